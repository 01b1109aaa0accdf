"""Hearing: one connection that listens, for however many topics, and a few that answer questions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count

from wsrequest import log
from wsrequest.errors import BrokerUnavailable, ConfigurationError
from wsrequest.push.brokers.base import Entry, Listener, Page, Position, Receiver
from wsrequest.push.brokers.postgres.hearing import Hearing
from wsrequest.push.brokers.postgres.wires import Address, Wires
from wsrequest.push.brokers.postgres.words import EVERYWHERE, Assembly, key_of, signal_head

#: Seconds between two looks for topics whose history has expired, and how many are looked at.
SWEEP_INTERVAL = 10.0
SWEPT = 500

#: One in so many looks is for members, too, of topics that nobody asks about any more.
FORGETTING = 360

_POSITION = "SELECT in_epoch, last FROM wsrequest_position(%s, %s)"

# One statement sees one moment. The first row is there whatever is kept.
_HISTORY = """
SELECT topic.epoch, newest, CASE WHEN expires > clock_timestamp() THEN oldest ELSE newest + 1 END,
    event."offset", event.payload
FROM wsrequest_topic AS topic LEFT JOIN LATERAL (
    SELECT * FROM wsrequest_event WHERE epoch = topic.epoch AND "offset" > %s ORDER BY "offset" LIMIT %s
) AS event ON true
WHERE channel = %s AND key = %s ORDER BY event."offset"
"""

_SWEEP = "SELECT wsrequest_sweep(%s)"
_SIGNAL = "SELECT wsrequest_tell(%s, %s, %s)"

# A row that was inserted has never been locked by another transaction.
_ENTER = """
INSERT INTO wsrequest_member (channel, key, member, data, until)
VALUES (%s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (channel, key, member) DO UPDATE SET data = excluded.data, until = excluded.until
RETURNING xmax = 0
"""
_LEAVE = (
    "DELETE FROM wsrequest_member WHERE channel = %s AND key = %s AND member = %s RETURNING true"
)
_RENEW = """
UPDATE wsrequest_member SET until = clock_timestamp() + make_interval(secs => %s)
WHERE channel = %s AND key = %s AND member = ANY(%s) RETURNING member
"""
_EXPIRE = """
DELETE FROM wsrequest_member WHERE (channel, key, member) IN (
    SELECT channel, key, member FROM wsrequest_member
    WHERE channel = %s AND key = %s AND until <= clock_timestamp() FOR UPDATE SKIP LOCKED
) RETURNING member, data
"""
_MEMBERS = """
SELECT member, data FROM wsrequest_member
WHERE channel = %s AND key = %s AND until > clock_timestamp()
"""
_FORGET_MEMBERS = "DELETE FROM wsrequest_member WHERE until < clock_timestamp() - interval '1 hour'"


class PostgresListener(Listener):
    """The ear of one event loop. It connects when it is made, and tries again for ever."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: Receiver,
        address: Address,
        channel: str,
        connections: int,
    ) -> None:
        self._loop = loop
        self._receiver = receiver
        self._address = address
        self._name = f"DATABASES[{address.using!r}]"
        self._channel = channel
        self._wires = Wires(address, connections)
        self._topics: dict[str, str] = {}  # by key
        self._assembly = Assembly()
        self._listening = asyncio.Event()
        self._is_interrupted = False
        self._hearing = Hearing(loop, address, channel, self)
        self._sweeping = loop.create_task(self._sweep())

    async def subscribe(self, topic: str) -> Position:
        key = key_of(topic)
        self._topics[key] = topic  # first: what the position does not count is heard
        try:
            await self._until_listening()
            return await self._position(key)
        except BaseException:
            self._topics.pop(key, None)
            raise

    async def unsubscribe(self, topic: str) -> None:
        self._topics.pop(key_of(topic), None)

    async def history(self, topic: str, after: Position, limit: int) -> Page:
        key = key_of(topic)
        rows = await self._wires.ask(_HISTORY, after.offset, limit, self._channel, key)
        if not rows:
            return Page((), await self._position(key), whole=False)
        epoch, newest, oldest = rows[0][:3]
        position = Position(epoch, newest)
        if epoch != after.epoch or not oldest - 1 <= after.offset <= newest:
            return Page((), position, whole=False)
        entries = tuple(Entry(row[3], row[4]) for row in rows if row[3] is not None)
        return Page(entries, position, whole=True)

    async def signal(self, topic: str | None, payload: bytes) -> None:
        await self._wires.ask(_SIGNAL, self._channel, signal_head(topic), payload)

    async def close(self) -> None:
        self._sweeping.cancel()
        await self._hearing.close()
        await asyncio.wait([self._sweeping])
        self._topics.clear()
        await self._wires.close()

    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        rows = await self._wires.ask(_ENTER, self._channel, key_of(topic), member, data, lease)
        return bool(rows[0][0])

    async def leave(self, topic: str, member: str) -> bool:
        return bool(await self._wires.ask(_LEAVE, self._channel, key_of(topic), member))

    async def renew(self, topic: str, members: Sequence[str], lease: float) -> Sequence[str]:
        key = key_of(topic)
        rows = await self._wires.ask(_RENEW, lease, self._channel, key, list(members))
        renewed = {member for (member,) in rows}
        return [member for member in members if member not in renewed]

    async def expire(self, topic: str) -> Mapping[str, bytes]:
        rows = await self._wires.ask(_EXPIRE, self._channel, key_of(topic))
        return dict(rows)

    async def members(self, topic: str) -> Mapping[str, bytes]:
        rows = await self._wires.ask(_MEMBERS, self._channel, key_of(topic))
        return dict(rows)

    async def _position(self, key: str) -> Position:
        rows = await self._wires.ask(_POSITION, self._channel, key)
        return Position(*rows[0])

    async def _until_listening(self) -> None:
        try:
            async with asyncio.timeout(self._address.timeout):
                await self._listening.wait()
        except TimeoutError as error:
            raise BrokerUnavailable from error

    # The hearer.

    def failed(self, why: Exception) -> None:
        self._listening.clear()
        self._assembly = Assembly()
        self._wires.forget_idle()
        if not self._is_interrupted:
            self._is_interrupted = True
            log.broker_lost(self._name, why)
            self._receiver.interrupted()

    def begun(self) -> None:
        self._listening.set()
        if self._is_interrupted:
            self._is_interrupted = False
            log.broker_back(self._name)
            self._receiver.resumed()

    def heard(self, extra: bytes) -> None:
        heard = self._assembly.add(extra)
        if heard is None:
            return
        topic = self._topics.get(heard.key)
        if heard.kind == "event":
            if topic is not None:
                self._receiver.deliver(topic, Position(heard.epoch, heard.offset), heard.payload)
        elif topic is not None or heard.key == EVERYWHERE:
            self._receiver.signal(topic, heard.payload)

    async def _sweep(self) -> None:
        """What has expired is removed by who listens: so publishing pays nothing for it."""
        for turn in count():
            await asyncio.sleep(SWEEP_INTERVAL * random.uniform(0.5, 1.5))  # noqa: S311
            with suppress(BrokerUnavailable, ConfigurationError):
                await self._wires.ask(_SWEEP, SWEPT)
                if turn % FORGETTING == 0:
                    await self._wires.ask(_FORGET_MEMBERS)
