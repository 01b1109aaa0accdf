"""A process's ear: what is subscribed stays so, whatever happens to the connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from wsrequest import log
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Entry, Listener, Page, Position, Receiver, new_epoch
from wsrequest.push.brokers.redis import scripts
from wsrequest.push.brokers.redis.clients import FAILURES, Access
from wsrequest.push.brokers.redis.line import Lines
from wsrequest.push.brokers.redis.names import PASSING, Names, heard
from wsrequest.push.brokers.redis.pipe import LoopClient
from wsrequest.push.brokers.redis.presence import Presence
from wsrequest.push.brokers.redis.scripts import milliseconds

#: Seconds between two tries to connect: up to the first at once, up to the second after a while, and chosen by chance,
#: so that not all processes come at the same moment.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

#: Seconds after which those who listen see to it that their topics are not forgotten ...
LOOKED_AFTER = scripts.KEPT / 3

#: ... so many at once.
AT_A_TIME = 100


class RedisListener(Listener):
    """Two ways to the server: what is heard comes through :class:`Lines`, what is asked goes through a small pool."""

    def __init__(self, access: Access, names: Names, receiver: Receiver) -> None:
        self._access = access
        self._names = names
        self._receiver = receiver
        self._client = LoopClient(access)
        self._presence = Presence(names, self._client.run)
        self._topics: dict[bytes, str] = {}
        self._lines: Lines | None = None
        self._is_up = asyncio.Event()
        self._was_told_lost = False
        self._tasks = [asyncio.create_task(self._stay()), asyncio.create_task(self._look_after())]

    # What is subscribed.

    async def subscribe(self, topic: str) -> Position:
        channel = self._names.channel(topic)
        self._topics[channel] = topic
        try:
            return await self._subscribed(topic, channel)
        except BaseException as error:
            self._forget(channel)
            if isinstance(error, FAILURES):
                raise self._access.unavailable(error) from error
            raise

    async def _subscribed(self, topic: str, channel: bytes) -> Position:
        """The position, as of a moment from which on the channel is heard by the connection that there is now.

        There is a limit to waiting for a connection. One that there is answers, however many are waiting, or is lost.
        """
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._access.timeout
        while True:
            async with asyncio.timeout_at(limit):
                await self._is_up.wait()
            if (lines := self._lines) is None:
                continue
            try:
                await lines.subscribe([channel])
                position = await self._look(topic)
            except (*FAILURES, BrokerUnavailable):
                if not lines.lost.done() or loop.time() > limit:
                    raise
                await asyncio.sleep(0)  # who waits for that future clears the event
            else:
                if lines is self._lines:
                    return position

    async def unsubscribe(self, topic: str) -> None:
        self._forget(self._names.channel(topic))

    def _forget(self, channel: bytes) -> None:
        self._topics.pop(channel, None)
        if self._lines is not None:
            self._lines.unsubscribe(channel)

    # What is asked.

    async def _look(self, topic: str) -> Position:
        """The topic's position; it begins with the first who asks, and does not end while anybody does."""
        return position_in(await self._ask(scripts.LOOK, topic))

    async def history(self, topic: str, after: Position, limit: int) -> Page:
        reply = await self._ask(
            scripts.HISTORY, topic, after.epoch, f"{after.offset:.0f}", max(1, limit)
        )
        newest = position_in(reply)
        if len(reply) < 3:
            return Page((), newest, whole=False)
        payloads = reply[2][:limit]
        entries = [Entry(after.offset + n, payload) for n, payload in enumerate(payloads, 1)]
        return Page(entries, newest, whole=True)

    async def _ask(self, script: scripts.Script, topic: str, *arguments: str | int) -> Any:
        first = (new_epoch(), milliseconds(scripts.KEPT))
        return await self._client.run(script, self._names.history(topic), *first, *arguments)

    async def signal(self, topic: str | None, payload: bytes) -> None:
        await self._client.run(scripts.SIGNAL, *signal(self._access, self._names, topic, payload))

    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        return await self._presence.enter(topic, member, data, lease)

    async def leave(self, topic: str, member: str) -> bool:
        return await self._presence.leave(topic, member)

    async def renew(self, topic: str, members: Sequence[str], lease: float) -> Sequence[str]:
        return await self._presence.renew(topic, members, lease)

    async def expire(self, topic: str) -> Mapping[str, bytes]:
        return await self._presence.expire(topic)

    async def members(self, topic: str) -> Mapping[str, bytes]:
        return await self._presence.members(topic)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is_up.clear()
        self._topics.clear()
        await self._client.close()

    # What keeps it going.

    async def _stay(self) -> None:
        """Be connected, for ever."""
        failures = 0
        while True:
            lines = Lines(self._client, self._heard)
            try:
                try:
                    await self._connect(lines)
                except (*FAILURES, BrokerUnavailable) as error:
                    failures += 1
                    why: BaseException = error
                else:
                    failures = 0
                    self._came_up(lines)
                    why = await lines.lost
                self._went_down(why)
            finally:
                self._is_up.clear()
                self._lines = None
                await lines.close()
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311
            self._client.router.forget()

    async def _connect(self, lines: Lines) -> None:
        channels = [self._names.everywhere, *self._topics]
        await lines.subscribe(channels)
        for channel in channels[1:]:
            if channel not in self._topics:  # no longer
                lines.unsubscribe(channel)
        # A node may hear, and not be ready to be asked.
        asked = [topic for channel in lines.one_of_each if (topic := self._topics.get(channel))]
        await asyncio.gather(*map(self._look, asked))

    def _came_up(self, lines: Lines) -> None:
        self._lines = lines
        self._is_up.set()
        if self._was_told_lost:
            self._was_told_lost = False
            log.broker_back(str(self._access))
            self._receiver.resumed()

    def _went_down(self, why: BaseException) -> None:
        self._is_up.clear()
        self._lines = None  # before anybody is told
        if not self._was_told_lost:
            self._was_told_lost = True
            log.broker_lost(str(self._access), why)
            self._receiver.interrupted()

    def _heard(self, channel: bytes, data: bytes) -> None:
        try:
            position, payload = heard(data)
        except ValueError:
            return  # it was not we who said that
        if channel == self._names.everywhere:
            self._receiver.signal(None, payload)
        elif (topic := self._topics.get(channel)) is None:
            return  # it is not subscribed any more
        elif position is None:
            self._receiver.signal(topic, payload)
        else:
            self._receiver.deliver(topic, position, payload)

    async def _look_after(self) -> None:
        """Let no topic be forgotten while it is listened to."""
        while True:
            await asyncio.sleep(LOOKED_AFTER)
            topics = list(self._topics.values())
            for start in range(0, len(topics), AT_A_TIME):
                with suppress(BrokerUnavailable):  # the next time, then
                    await asyncio.gather(*map(self._look, topics[start : start + AT_A_TIME]))


def position_in(reply: Sequence[Any]) -> Position:
    """What the scripts answer with first."""
    return Position(reply[0].decode(), reply[1])


def signal(
    access: Access, names: Names, topic: str | None, payload: bytes
) -> tuple[tuple[bytes], str, bytes]:
    """What SIGNAL is given."""
    channel = names.everywhere if topic is None else names.channel(topic)
    return (channel,), publishing(access), PASSING + payload


def publishing(access: Access) -> str:
    """The command that publishes: of a cluster, only the node that has the topic is told."""
    return "SPUBLISH" if access.cluster else "PUBLISH"
