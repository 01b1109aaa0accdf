"""The engine: one socket at a time, opened when somebody wants it, and opened again when it is lost.

All of it belongs to one event loop. What has an id is an :class:`~wsrequest.client.exchange.Exchange`; it stays in the
table until the server has said its last word, through as many connections as that takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Literal

import httpx
from msgspec import UNSET
from websockets.asyncio.client import ClientConnection as Socket
from websockets.exceptions import ConnectionClosed

from wsrequest.client.dial import BYE, Failure, Refused, close, closed_by, dial
from wsrequest.client.exchange import HARD_LIMIT, MOST_TRIES, SOFT_LIMIT, Exchange, is_last
from wsrequest.client.options import Target, Token, back_off, pause_before, seconds_in
from wsrequest.client.table import Table
from wsrequest.errors import InvalidMessage
from wsrequest.protocol.client import ClientConnection, Comeback, Hello, after_close, data_of
from wsrequest.protocol.messages import Said

logger = logging.getLogger("wsrequest.client")

State = Literal["closed", "connecting", "open", "waiting"]


class Link:
    """``stays``: connected also while nobody asks for anything."""

    def __init__(self, target: Target, cookies: dict[str, str], *, stays: bool) -> None:
        self.target = target
        self.codec = target.codec
        self.stays = stays
        self.state: State = "closed"
        #: Facts of the last connection; the first thing that is known of it.
        self.hello: Hello | None = None
        #: The cookies of the next handshake, and those whose present value only the server knows.
        self.cookies = dict(cookies)
        self.secret_cookies: set[str] = set()
        #: Told of each notice.
        self.on_notice: list[Callable[[str, Any], None]] = []
        #: What wants a connection although it has no exchange at this moment.
        self.wants: set[object] = set()
        self.table = Table()
        self._waiting: set[asyncio.Future[None]] = set()
        self._asked = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._failure: Failure | None = None
        #: Why this client is to stay away for good.
        self._sent_away: Failure | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_paused = self._is_closed = False

    # --- asking ---

    @property
    def is_ready(self) -> bool:
        return self._connection is not None and self._connection.goaway is None

    def bring(self, cookies: dict[str, str]) -> None:
        """Take over the cookies of a request, for the handshake. Raises LocalProtocolError where that has been."""
        if self.state in ("closed", "waiting"):
            self.cookies |= cookies
            return
        for name, value in cookies.items():
            if self.cookies.get(name) != value and name not in self.secret_cookies:
                raise httpx.LocalProtocolError(
                    f"The cookie {name!r} can't be sent on an open connection, whose cookies are kept by the server:"
                    " set it before the first request, or use another transport"
                )

    async def ready(self, timeout: float | None) -> None:  # noqa: ASYNC109
        """Wait until there is a connection on which something new may be sent."""
        try:
            async with asyncio.timeout(timeout):
                while not self.is_ready:
                    await self._wait_for_connection()
        except TimeoutError:
            if self._failure is not None and self._failure.kind is httpx.ConnectError:
                raise self._failure.error() from None
            raise httpx.ConnectTimeout(
                f"No connection to {self.target.url} in {timeout} seconds"
            ) from None

    def start(self, exchange: Exchange) -> None:
        """Send it, now or as soon as there is a connection. Raises LocalProtocolError for what no frame takes."""
        self._check_open()
        self._check_size(exchange)
        self.table.add(exchange, send=self.is_ready)
        self._wake()

    def cancel(self, exchange: Exchange) -> None:
        """Nobody wants to hear of it any more; the server is told."""
        if exchange.is_over or exchange.is_cancelled:
            return
        exchange.is_cancelled = True
        exchange.size = 0
        if exchange.is_sent and self._connection is not None:
            self.table.put(self._connection.cancel(exchange.id))
            self.table.moved.set()
        else:
            self.table.remove(exchange)

    async def aclose(self) -> None:
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        for task in self._tasks:
            task.cancel()
        self.state = "closed"
        self._fail(BYE)

    # --- connecting ---

    async def _wait_for_connection(self) -> None:
        self._check_open()
        if self._sent_away is not None:
            raise self._sent_away.error()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(turn)
        self._wake()
        try:
            await turn
        finally:
            self._waiting.discard(turn)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("This connection was closed; make another one")

    def _wake(self) -> None:
        self._asked.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="wsrequest connection")
            self._keeper.add_done_callback(self._died)

    def _died(self, keeper: asyncio.Task[None]) -> None:
        """By a fault of this package: nobody waits for ever, and the next one who asks begins anew."""
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            logger.error("The connection broke", exc_info=error)
            self._keeper = None
            self._fail(Failure(httpx.RemoteProtocolError, f"The connection broke: {error!r}"))

    def _is_wanted(self) -> bool:
        return bool(self.stays or self.table.exchanges or self._waiting or self.wants)

    async def _keep(self) -> None:
        """Be connected whenever somebody wants that."""
        attempt, has_been_open = 0, False
        while True:
            self._asked.clear()
            if not self._is_wanted():
                self.state = "closed"
                await self._asked.wait()
            self.state = "connecting"
            try:
                self.secret_cookies.clear()
                cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
                socket, connection, first = await dial(self.target, cookie)
            except Refused as refused:
                self._failure = refused.failure
                if refused.is_final or not has_been_open:
                    self._give_up(refused.failure)
                    continue
                pause = max(refused.retry_after, back_off(attempt))
                attempt += 1
            else:
                has_been_open, self._failure = True, None
                try:
                    answered = await self._run(socket, connection, first)
                finally:
                    self._connection = None
                    socket.transport.abort()
                attempt = 0 if answered else attempt + 1
                comeback = after_close(socket.close_code or 1006)
                self._after(comeback, closed_by(socket).failure, connection, socket.close_code)
                if comeback == "never":
                    continue
                pause = pause_before(comeback, connection.goaway, attempt)
                if comeback == "when asked" and not (self.table.exchanges or self._waiting):
                    self._asked.clear()
                    self.state = "closed"
                    await self._asked.wait()
            self.state = "waiting"
            await asyncio.sleep(pause)

    def _give_up(self, failure: Failure) -> None:
        """Whoever asks next may try again; nobody does so by himself."""
        self.stays = False
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        for exchange in self.table:
            self.table.remove(exchange)
            exchange.fail(failure)
        for wanting in tuple(self.wants):
            if isinstance(wanting, Exchange):
                wanting.fail(failure)
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(failure.error())
        self._waiting.clear()

    def _after(
        self, comeback: Comeback, failure: Failure, connection: ClientConnection, code: int | None
    ) -> None:
        """The connection is lost: what can't be sent again has failed."""
        self._failure = failure
        if comeback == "never":
            self._sent_away = failure
            self._give_up(failure)
            return
        # The server finishes what it has begun before it leaves: what has no answer crossed its close.
        was_not_run = connection.goaway is not None and code == 4200
        for exchange in self.table:
            if exchange.is_cancelled:
                self.table.remove(exchange)
            elif exchange.is_sent and not exchange.may_be_sent_again(was_not_run=was_not_run):
                self.table.remove(exchange)
                exchange.fail(
                    Failure(
                        httpx.RemoteProtocolError,
                        f"{failure.text}. There is no answer, and the request may have been run",
                    )
                )

    # --- while it is open ---

    async def _run(self, socket: Socket, connection: ClientConnection, first: list[Said]) -> bool:
        """Until the socket is closed; says whether anything was answered."""
        clock = asyncio.get_running_loop().time
        self._connection, self.hello, self.state = connection, connection.hello, "open"
        assert connection.hello is not None
        self.table.in_flight = connection.hello.limits.in_flight
        self.table.begin_anew()
        for said in first:
            self._hear(said)
        helpers = [
            asyncio.create_task(self._write(socket)),
            asyncio.create_task(self._watch(socket)),
        ]
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        heard = 0
        try:
            while True:
                for said in connection.receive(await socket.recv(), clock()):
                    self._hear(said)
                    heard += 1
                await self._room(connection)
        except ConnectionClosed:
            pass
        except InvalidMessage:
            await socket.close(1002, "This is no message of a server")
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await close(socket)
        return heard > 0

    async def _write(self, socket: Socket) -> None:
        connection = self._connection
        assert connection is not None
        while True:
            self.table.filled.clear()
            while self.table.outbox:
                frame = connection.frame(
                    self.table.together(connection), asyncio.get_running_loop().time()
                )
                try:
                    await socket.send(frame)
                except ConnectionClosed:
                    return
            await self.table.filled.wait()

    async def _watch(self, socket: Socket) -> None:
        """Ping a server that would hear nothing otherwise; leave one that says nothing."""
        connection = self._connection
        assert connection is not None
        clock = asyncio.get_running_loop().time
        while (due := connection.due()) is not None:
            await asyncio.sleep(max(due - clock(), 0.01))
            if self._is_paused:
                connection.heard(clock())
            if connection.is_dead(clock()):
                socket.transport.abort()
            elif (due := connection.due()) is not None and clock() >= due:
                self.table.put(connection.ping(clock()))

    async def _room(self, connection: ClientConnection) -> None:
        """Read no further while a stream that nobody reads is all there is to read."""
        while any(exchange.size > SOFT_LIMIT for exchange in self.table):
            for exchange in self.table:
                if exchange.size > HARD_LIMIT and not exchange.is_cancelled:
                    self.cancel(exchange)
                    exchange.fail(
                        Failure(
                            httpx.ReadError,
                            f"{HARD_LIMIT} bytes of this stream were not read while others used the connection",
                        )
                    )
            if not self.table.has_one_only or self._waiting:
                return
            self._is_paused = True
            self.table.moved.clear()
            await self.table.moved.wait()
            self._is_paused = False
            connection.heard(asyncio.get_running_loop().time())

    def _hear(self, said: Said) -> None:
        if said.id is UNSET or said.id is None:
            self._hear_of_connection(said)
            return
        exchange = self.table.exchanges.get(said.id) if isinstance(said.id, int) else None
        if exchange is None:
            return
        if exchange.is_cancelled:
            if is_last(said):
                self.table.remove(exchange)
        elif not self._goes_again(exchange, said):
            try:
                exchange.hear(said)
            except InvalidMessage:
                text = "The server's answer is not what it says that it is"
                self.cancel(exchange)
                exchange.fail(Failure(httpx.RemoteProtocolError, text))
        if exchange.is_over and not exchange.is_cancelled:
            self.table.remove(exchange)
        self.table.give_places()

    def _hear_of_connection(self, said: Said) -> None:
        if said.control == "expiring":
            if callable(self.target.token):
                self._spawn(self._send_token())
        elif said.event is not UNSET:
            data = data_of(self.codec, said)
            for tell in self.on_notice:
                tell(said.event, data)
        elif said.status is not UNSET:
            text = bytes(self.codec.json_text(said.data)) if said.data is not UNSET else b""
            logger.error(
                "The server refused a message of this client: %s %s", said.status, text[:500]
            )

    def _goes_again(self, exchange: Exchange, said: Said) -> bool:
        """Whether it was refused without having been run, and may be sent later, or on the next connection."""
        if said.status not in (429, 503) or exchange.tries >= MOST_TRIES:
            return False
        data = data_of(self.codec, said)
        code = data.get("code") if isinstance(data, dict) else None
        if code == "rate_limited":
            pause = seconds_in(said.headers.get("retry-after"), 1)
            asyncio.get_running_loop().call_later(pause, self.table.put_again, exchange)
        elif code != "going_away":
            return False
        exchange.is_sent = False
        return True

    def authenticate(self, token: Token | None) -> None:
        """Another token, on this connection and on the next ones."""
        self.target = replace(self.target, token=token)
        self._spawn(self._send_token())

    async def _send_token(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            token = await self.target.current_token()
        except Exception:
            logger.exception("There is no new token: the connection goes on without one")
            return
        if connection is self._connection:
            self.table.put(connection.authenticate(self.table.new_id(), token))

    def _check_size(self, exchange: Exchange) -> None:
        most = self.hello.limits.message_bytes if self.hello is not None else None
        if most is not None and (size := len(self.codec.encode(exchange.asked(2**53 - 1)))) > most:
            raise httpx.LocalProtocolError(
                f"This request takes {size} bytes as a message, and the server reads {most} at most: send it over HTTP"
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
