"""One connection of a test: a real session, whose frames go through memory. Everything here is for its event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from django.core.serializers.json import DjangoJSONEncoder
from msgspec import UNSET

from wsrequest.conf import get_settings
from wsrequest.livequery import spreading
from wsrequest.protocol.client import CODECS, data_of
from wsrequest.session.session import Session

if TYPE_CHECKING:
    from wsrequest.livequery.queries import Queries
    from wsrequest.protocol.handshake import Handshake
    from wsrequest.protocol.messages import Said
    from wsrequest.testing.recording import Record, RecordingRunner

T = TypeVar("T")

CODEC = CODECS["json"]

#: Messages that wait to be looked at, of one exchange and of notices: those before them are dropped.
MOST = 10_000

#: Parts of a stream that nobody has read, from which on the server has to wait, as with any client that does not read.
MOST_PARTS = 64

#: Turns of the loop that pass between what is heard and what is done about it, at most.
TURNS = 20


class Notice(NamedTuple):
    """What the connection was told, whatever it is subscribed to."""

    event: str
    data: Any


class Closed(Exception):
    """The server has closed the connection."""

    def __init__(self, code: int) -> None:
        super().__init__(f"The server has closed the connection with {code}.")
        self.code = code


class _Memory:
    """The transport of the session."""

    peer_code: int | None = None

    def __init__(self, hear: Callable[[str | bytes], None], closed: Callable[[int], None]) -> None:
        self.frames: asyncio.Queue[str | None] = asyncio.Queue()
        #: Whether the client reads.
        self.room = asyncio.Event()
        self.room.set()
        self._hear = hear
        self._closed = closed

    def receive(self) -> Awaitable[str | None]:
        return self.frames.get()

    def frame_in(self, heard: str | None) -> str | None:
        return heard

    async def send(self, frame: str | bytes) -> None:
        self._hear(frame)
        await self.room.wait()

    async def close(self, code: int) -> None:
        self._closed(code)


class Exchange:
    """A message that is answered: by one message, or by several."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.said: deque[Said] = deque(maxlen=MOST)
        self.news = asyncio.Event()
        #: Nothing more will be said.
        self.over = False
        #: Its answer is a stream that somebody reads.
        self.is_read = False
        #: The run that its answer comes from.
        self.record: Record | None = None


class Connection:
    """The client's end."""

    def __init__(self, runner: RecordingRunner) -> None:
        self._runner = runner
        self._ids = count(1)
        self._exchanges: dict[int, Exchange] = {}
        self._transport = _Memory(self._hear, self._was_closed)
        self._serving: asyncio.Task[None] | None = None
        self.session: Session | None = None
        self.notices: deque[Notice] = deque(maxlen=MOST)
        #: With which the server has closed; None while the connection is open.
        self.close_code: int | None = None
        self._reruns: deque[Record] = deque(maxlen=MOST)

    async def open(self, handshake: Handshake) -> None:
        """Raises :class:`~wsrequest.errors.HandshakeRefused`."""
        # Whoever looks around in a debugger is not to be hung up on.
        settings = dataclasses.replace(get_settings(), ping_interval=None)
        session = Session(handshake, self._transport, self._runner, settings)
        self._runner.listeners[session.id] = self
        try:
            await session.open()
        except BaseException:
            session.leave()
            raise
        self.session = session
        self._serving = asyncio.create_task(session.run())

    async def close(self) -> None:
        """Go away, and wait for what the server does about it."""
        if self._serving is not None:
            self._transport.frames.put_nowait(None)
            for exchange in self._exchanges.values():
                exchange.is_read = False
            self._look_for_room()
            await asyncio.wait([self._serving])
        for exchange in tuple(self._exchanges.values()):
            self._end(exchange)

    async def ask(self, message: dict[str, Any]) -> tuple[Exchange, Said]:
        """Send a request under a new id, and wait for the first that is said of it. Raises :class:`Closed`."""
        self._check_room()
        exchange = Exchange(next(self._ids))
        self._exchanges[exchange.id] = exchange
        self._send({"id": exchange.id, **message})
        said = await self.next(exchange)
        if said is None:
            raise Closed(self.close_code or 1006)
        return exchange, said

    async def next(self, exchange: Exchange) -> Said | None:
        """What is said next of it; None where nothing will be."""
        while not exchange.said:
            if exchange.over:
                return None
            if not exchange.is_read:
                self._check_room()
            exchange.news.clear()
            await exchange.news.wait()
        said = exchange.said.popleft()
        self._look_for_room()
        return said

    def cancel(self, exchange: Exchange) -> None:
        if not exchange.over:
            self._send({"cancel": exchange.id})
        if exchange.is_read:  # by nobody any more
            exchange.is_read = False
            exchange.said.clear()
            self._look_for_room()

    def _look_for_room(self) -> None:
        if any(each.is_read and len(each.said) >= MOST_PARTS for each in self._exchanges.values()):
            self._transport.room.clear()
            for exchange in self._exchanges.values():
                exchange.news.set()  # who waits for it would wait for ever
        else:
            self._transport.room.set()

    def _check_room(self) -> None:
        if not self._transport.room.is_set():
            raise AssertionError(
                "A stream waits to be read: read the response to its end, or close it, before anything else is asked."
            )

    def cancel_soon(self, exchange: Exchange) -> None:
        """:meth:`cancel`, called on any thread."""
        if not exchange.over and self.close_code is None:
            self._runner.on_loop(self.cancel, exchange)

    async def on_test_thread(self, function: Callable[[], T]) -> T:
        return await self._runner.call(function)

    def _send(self, message: dict[str, Any]) -> None:
        if self.close_code is not None:
            raise Closed(self.close_code)
        self._transport.frames.put_nowait(json.dumps(message, cls=DjangoJSONEncoder))

    # What the server says and does.

    def started(self, record: Record) -> None:
        """A message of this connection begins to run."""
        known = isinstance(record.message_id, int)
        exchange = self._exchanges.get(cast("int", record.message_id)) if known else None
        if exchange is not None and exchange.record is None:
            exchange.record = record
        else:
            self._reruns.append(record)

    def failure(self) -> BaseException | None:
        """The first exception of a view that ran again for a subscription, since this was asked last."""
        raised = [record.exc_info[1] for record in self._reruns if record.exc_info]
        self._reruns.clear()
        return raised[0] if raised else None

    def _hear(self, frame: str | bytes) -> None:
        for said in CODEC.read(frame):
            exchange = self._exchanges.get(said.id) if isinstance(said.id, int) else None
            if exchange is not None:
                exchange.said.append(said)
                exchange.is_read = exchange.is_read or said.more
                subscribed = said.subscription is not UNSET or said.event is not UNSET
                if not (said.more or subscribed or said.chunk is not UNSET):
                    self._end(exchange)
                exchange.news.set()
                self._look_for_room()
            elif said.event is not UNSET:
                self.notices.append(Notice(said.event, data_of(CODEC, said)))

    def _end(self, exchange: Exchange) -> None:
        exchange.over = True
        self._exchanges.pop(exchange.id, None)
        exchange.news.set()

    def _was_closed(self, code: int) -> None:
        self.close_code = code
        for exchange in tuple(self._exchanges.values()):
            self._end(exchange)

    # Waiting until everything has been said.

    async def settle(self) -> None:
        """Wait until the connection has heard all that was said and written before, and what came of it."""
        await self._runner.call(spreading.flush)
        turns = 0
        while turns < TURNS and not any(record.exc_info for record in self._reruns):
            if self._is_idle():
                turns += 1
                await asyncio.sleep(0)
            else:
                turns = 0
                self._check_room()
                await asyncio.sleep(0.001)

    def _is_idle(self) -> bool:
        session = self.session
        if session is None:
            return True
        if session.outbox.size or self._runner.asking or _hurry(session.switchboard.queries):
            return False
        kept = session._subscriptions
        return kept is None or not any(each._asking for each in kept._members)


def _hurry(queries: Queries) -> bool:
    """Run at once what is to be run again, however seldom that may be in production. Whether there is any."""
    busy = False
    for query in queries.all():
        if query.task is not None:
            busy = True
        elif (
            query.dirty and query.started <= queries._loop.time()
        ):  # else it has failed, and is put off
            busy = True
            queries._schedule(query, 0)
    return busy
