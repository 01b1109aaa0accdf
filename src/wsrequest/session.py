"""One live connection: requests in, answers out, everything bounded.

A request with an id starts at once, at most MAX_IN_FLIGHT of them at a time; those without an id run one after the
other. While MAX_OUTBOX_BYTES wait to be sent no request starts and no stream goes on; while MAX_QUEUED more requests
wait to start, the socket is not read.
All of it happens on one event loop; nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import secrets
from collections import deque
from typing import Any, Protocol

from wsrequest.conf import Settings
from wsrequest.exchange import Exchange
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.opening import verify_opening
from wsrequest.lifecycle.request import RequestFactory, connection_only_headers
from wsrequest.lifecycle.runner import Call, PoolRunner
from wsrequest.outbox import Outbox
from wsrequest.protocol.codec import JSONCodec, Limits
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.handshake import Handshake, choose_subprotocol
from wsrequest.protocol.messages import Cancel, HeaderRules, Request

logger = logging.getLogger("wsrequest")

#: Bytes up to which waiting messages share a frame: enough to save most of the cost of a frame, and far from the 1 MiB
#: at which WebSocket clients commonly stop reading.
MERGED_BYTES = 2**16

#: Messages of one frame that are taken up before other connections have their turn: a mebibyte holds half a million.
EVENTS_AT_ONCE = 64

#: Seconds that a close frame may take to a peer that is probably dead.
CLOSE_TIMEOUT = 5


class Transport(Protocol):
    """The seam between a session and whatever carries its frames."""

    async def receive(self) -> str | bytes | None:
        """The next frame; None once the peer is gone."""

    async def send(self, frame: str | bytes) -> None:
        """Send a frame; returns when the transport has room for more. Raises OSError when it is gone."""

    async def close(self, code: int) -> None:
        """Close with this code."""


class Session:
    """The server's side of one connection, from the handshake to the close."""

    def __init__(
        self, handshake: Handshake, transport: Transport, runner: PoolRunner, settings: Settings
    ) -> None:
        """To be made on the running loop. Raises :class:`~wsrequest.errors.HandshakeRefused`."""
        self.id = secrets.token_urlsafe(12)
        self.subprotocol = choose_subprotocol(handshake.subprotocols, (JSONCodec.subprotocol,))
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._runner = runner
        self._settings = settings
        self._factory = RequestFactory(handshake, settings, meta={"wsrequest.connection": self.id})
        self._opening = verify_opening(self._factory)
        self._omitted = frozenset(settings.omit_response_headers)
        self.jar = CookieJar(handshake.header(b"cookie") or "")
        self.connection = Connection(
            JSONCodec(),
            _limits(settings),
            negotiated=self.subprotocol is not None,
            now=self._loop.time(),
            ping_interval=settings.ping_interval,
        )
        self.outbox = Outbox(settings.max_outbox_bytes)
        self._waiting: deque[Exchange] = deque()
        self._in_order: deque[Exchange] = deque()
        self._order_busy = False
        self._running: set[Exchange] = set()
        self._by_id: dict[int | str, Exchange] = {}
        self._place = asyncio.Event()
        self._reading = False
        self._close_code: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sending_since: float | None = None
        self._gone = False
        # Each message runs in a copy of the connection's context: nothing passes from one to the next.
        self._context = contextvars.copy_context()

    async def run(self) -> None:
        """Serve the connection until the peer goes away, or has to."""
        reader = asyncio.current_task()
        assert reader is not None
        if self.subprotocol is not None:
            self.outbox.put(self.connection.send_hello(self._hello()))
        writer = self._loop.create_task(self._write(reader))
        self._watch(reader)
        try:
            await self._read()
        except asyncio.CancelledError:
            if self._close_code is None:
                raise
            reader.uncancel()  # it was _close that cancelled
            writer.cancel()  # nothing may follow a close
            with contextlib.suppress(Exception):  # a transport that failed, or takes too long
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._transport.close(self._close_code)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            writer.cancel()
            self._abandon()

    async def _read(self) -> None:
        while True:
            self._reading = True
            frame = await self._transport.receive()
            self._reading = False
            if frame is None:
                return
            for number, event in enumerate(self.connection.receive(frame, self._loop.time()), 1):
                if isinstance(event, Request):
                    await self._place_free()
                    if not self._gone:
                        self._accept(event)
                elif isinstance(event, Cancel):
                    if exchange := self._by_id.get(event.cancel):
                        exchange.cancel()
                else:
                    await self.outbox.room()
                    self.outbox.put(event)
                if number % EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                if self._gone:
                    return
            await self._place_free()

    async def _place_free(self) -> None:
        """Wait while as many requests are running and waiting as may be."""
        most = self._settings.max_in_flight + self._settings.max_queued
        while (
            not self._gone and len(self._running) + len(self._waiting) + len(self._in_order) >= most
        ):
            self._place.clear()
            await self._place.wait()

    async def _write(self, reader: asyncio.Task[Any]) -> None:
        """Put whatever is waiting into one frame, for as long as there is a peer."""
        merged = MERGED_BYTES if self.subprotocol is not None else 0
        try:
            while True:
                messages = await self.outbox.take(merged)
                frame = self.connection.codec.frame(messages)
                self._sending_since = self._loop.time()
                await self._transport.send(frame)
                self._sending_since = None
                self.outbox.sent(messages)
                self._start_waiting()
        except OSError:
            self._forsake()
        except Exception:
            logger.exception("Connection %s: the transport failed", self.id)
            self._forsake()
            self._close(4105, reader)

    def _forsake(self) -> None:
        """Nobody reads any more: what is under way may end, and nothing new begins."""
        self._gone = True
        self.outbox.discard()
        self._waiting.clear()
        self._in_order.clear()
        self._place.set()

    def _accept(self, message: Request) -> None:
        exchange = Exchange(self, message)
        if message.id is None:
            self._in_order.append(exchange)
        else:
            self._by_id[message.id] = exchange
            self._waiting.append(exchange)
        self._start_waiting()

    def _start_waiting(self) -> None:
        # An answer must not be lost, so none is made for which there is no room.
        while len(self._running) < self._settings.max_in_flight and not self.outbox.full:
            if self._in_order and not self._order_busy:
                exchange = self._in_order.popleft()
                self._order_busy = True
            elif self._waiting:
                exchange = self._waiting.popleft()
            else:
                return
            self._running.add(exchange)
            self._place.set()
            self._runner.start(self._call(exchange.message), self._context, exchange)

    def _call(self, message: Request) -> Call:
        cookie = self.jar.header_for(message.url or "/", secure=self._opening.secure)
        return Call(self._factory, message, cookie, self._opening.trusted, self._omitted)

    def _abandon(self) -> None:
        """The peer is gone: stop what can be stopped. A synchronous view runs on, and nobody hears it."""
        self._forsake()
        for exchange in self._running:
            exchange.stop()

    def _hello(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "connection": self.id,
            "heartbeat": settings.ping_interval,
            "limits": {
                "message_bytes": settings.max_message_bytes,
                "in_flight": settings.max_in_flight,
            },
        }

    def _watch(self, reader: asyncio.Task[Any]) -> None:
        deadline = self.connection.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._check_heartbeat, reader)

    def _check_heartbeat(self, reader: asyncio.Task[Any]) -> None:
        now = self._loop.time()
        if not self._reading and not self._stalled(now):
            # The peer may well have spoken: it is we who do not listen, being full.
            self.connection.heard(now)
        if (self.connection.deadline() or 0) > now:
            self._watch(reader)
        else:
            self._close(4201, reader)

    def _stalled(self, now: float) -> bool:
        """Whether the peer has not taken a frame for so long that it counts as silent."""
        since, interval = self._sending_since, self._settings.ping_interval
        return since is not None and interval is not None and now - since >= 2 * interval

    def _close(self, code: int, reader: asyncio.Task[Any]) -> None:
        self._close_code = code
        reader.cancel()

    # Called by Exchange.

    def answered(self, exchange: Exchange) -> None:
        """The exchange's id may be used again."""
        if exchange.message.id is not None:
            self._by_id.pop(exchange.message.id, None)

    def withdraw(self, exchange: Exchange) -> bool:
        """Take a request out of the queue; False where it runs already."""
        if exchange not in self._waiting:
            return False
        self._waiting.remove(exchange)
        self._place.set()
        return True

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""
        self._running.discard(exchange)
        if exchange.message.id is None:
            self._order_busy = False
        self._place.set()
        self._start_waiting()


def _limits(settings: Settings) -> Limits:
    rules = HeaderRules(connection_only_headers(settings.handshake_headers))
    return Limits(settings.max_message_bytes, settings.max_depth, settings.max_keys, rules)
