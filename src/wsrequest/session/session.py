"""One live connection: requests in, answers out, everything bounded.

While MAX_OUTBOX_BYTES wait to be sent no request starts and no stream goes on; while MAX_QUEUED more requests wait to
start, the socket is not read. All of it happens on one event loop; nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import secrets
from http.cookies import SimpleCookie
from math import ceil
from typing import Any

from msgspec import UNSET, Raw

from wsrequest.conf import Settings
from wsrequest.errors import TooManyConnections
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.identity import Identity, Who
from wsrequest.lifecycle.opening import verify_opening
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.threads import Lane
from wsrequest.lifecycle.websocket import WebSocket
from wsrequest.protocol.connection import Close, Connection, InOrder
from wsrequest.protocol.handshake import Handshake, choose_subprotocol
from wsrequest.protocol.messages import Auth, Cancel, Request
from wsrequest.protocol.tokens import token_among
from wsrequest.push.news import spliced
from wsrequest.session import terms
from wsrequest.session.announce import Announcer
from wsrequest.session.backlog import Backlog
from wsrequest.session.credentials import Credentials
from wsrequest.session.exchange import Exchange
from wsrequest.session.observer import observer_of
from wsrequest.session.opening import ask_project
from wsrequest.session.registry import registry
from wsrequest.session.subscription import Subscription
from wsrequest.session.subscriptions import Subscriptions
from wsrequest.session.switchboard import switchboard_of
from wsrequest.session.transport import Transport
from wsrequest.session.watch import Watch
from wsrequest.session.writer import Pen, Surrounded

#: Messages that are taken up before other connections have their turn: one read from a socket may bring thousands.
EVENTS_AT_ONCE = 64

#: Seconds that a close frame may take to a peer that is probably dead.
CLOSE_TIMEOUT = 5


class Session:
    """The server's side of one connection, from the handshake to the close.

    A transport makes one, asks the project by :meth:`open`, accepts the WebSocket, and awaits :meth:`run`. Where it
    does not come to that, it calls :meth:`leave`.
    """

    def __init__(
        self, handshake: Handshake, transport: Transport, runner: PoolRunner, settings: Settings
    ) -> None:
        """To be made on the running loop. Raises :class:`~wsrequest.errors.HandshakeRefused`."""
        self.id = secrets.token_urlsafe(12)
        self.address = handshake.client[0] if handshake.client else None
        #: The primary key of its user as a string; None for nobody.
        self.identity: str | None = None
        self.subprotocol = choose_subprotocol(handshake.subprotocols, terms.CODECS)
        self.loop = asyncio.get_running_loop()
        self.transport = transport
        self._runner = runner
        self._settings = settings
        negotiated = self.subprotocol is not None
        codec = terms.codec_of(self.subprotocol)
        self.jar = CookieJar(handshake.header(b"cookie") or "")
        #: As requests see it.
        self.websocket = WebSocket(self.id, codec.name, self if negotiated else None, self.jar)
        factory = RequestFactory(handshake, settings, websocket=self.websocket)
        self._secure, self._trusted = verify_opening(factory)
        if token := token_among(handshake.subprotocols):
            factory = factory.authorized(token)
        self._omitted = terms.omitted(settings)
        self.connection = Connection(
            codec,
            terms.limits(settings),
            negotiated=negotiated,
            now=self.loop.time(),
            ping_interval=settings.ping_interval,
            rate=settings.messages_per_second,
            burst=settings.message_burst,
        )
        #: Told of what happens here; None where nobody wants to hear it.
        self.observer = observer = observer_of(self.id, settings, runner.pool)
        if observer is not None:
            self.connection.on_refusal = observer.refused
        # Each message runs in a copy of the connection's context: nothing passes from one to the next.
        self.context = contextvars.copy_context()
        self.outbox = Pen(
            self,
            Surrounded(self.context, transport) if self.context else transport,
            observer,
            limit=settings.max_outbox_bytes,
            merge=negotiated,
        )
        self._backlog = Backlog(settings.max_in_flight, settings.max_queued, self.outbox, self)
        self._lane = Lane()
        self._reader: asyncio.Task[Any] | None = None
        self._close_code: int | None = None
        self.watch = Watch(self.connection, settings, self)
        self._gone = False
        self._over = False
        self._subscriptions: Subscriptions | None = None
        #: By whom it is told what is said to connections.
        self.switchboard = switchboard_of(runner)
        registry.admit(self, settings)
        if negotiated:
            self.outbox.put(self.connection.send_hello(terms.hello(self.id, settings)))
        self._credentials = Credentials(factory, settings.expiring_notice, self)
        factory.idle()

    async def open(self) -> None:
        """Ask the project's HANDSHAKE hook, and learn who it is. Raises :class:`~wsrequest.errors.HandshakeRefused`."""
        identity = await ask_project(
            self._credentials.factory, self.jar, self._secure, self._runner, self._settings
        )
        if identity is not UNSET and not self._is_now(identity):
            raise TooManyConnections

    async def run(self) -> None:
        """Serve the connection until the peer goes away, or has to."""
        self._reader = asyncio.current_task()
        assert self._reader is not None
        if self._close_code is not None:
            self._reader.cancel()
        self.outbox.attend(self.switchboard.writers)
        self.watch.start()
        announcer = Announcer(self._runner, self.websocket, self.address, self.observer)
        try:
            await announcer.opened(self.subprotocol, self.identity)
            while not self._gone:
                self.watch.listening = True
                self._close_if_done()
                if self._close_code is not None:
                    await asyncio.sleep(0)  # the cancellation arrives here: no frame is taken
                heard = await self.transport.receive()
                self.watch.listening = False
                if (frame := self.transport.frame_in(heard)) is None:
                    break
                await self._take(frame)
        except asyncio.CancelledError:
            if self._close_code is None:
                raise
            self._reader.uncancel()  # it was close() that cancelled
            self.outbox.stop()  # nothing may follow a close
            with contextlib.suppress(Exception):  # a transport that failed, or takes too long
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self.transport.close(self._close_code)
        finally:
            self.outbox.stop()
            self._abandon()
            self.leave()
            announcer.closed(self.identity, self._close_code, self.transport.peer_code)

    def leave(self) -> None:
        """The connection counts no more, whether or not it was ever opened. May be called again."""
        self._credentials.stop()
        self.websocket.hang_up()
        registry.leave(self)

    def close(self, code: int) -> None:
        """Close with this code, whatever is under way."""
        if self._close_code is None and not self._gone:
            self._close_code = code
            if self._reader is not None:
                self._reader.cancel()

    def go_away(self, delay: float) -> None:
        """Shutting down: tell the client (to come back after ``delay`` seconds), refuse new requests, and close with
        4200 as soon as what is under way has ended."""
        if self.outbox.leaving:
            return
        if self.subprotocol is not None:
            self.outbox.put(self.connection.send_control("goaway", {"delay": round(delay, 3)}))
        self.connection.leaving = ceil(delay)
        self.outbox.leaving = True
        if self._subscriptions is not None:
            self._subscriptions.step_out()
        self._close_if_done()

    def cut_short(self) -> None:
        """Shutting down, and the time for what is under way is over: answer 503, and close, waiting for no one."""
        if self._over or self._gone:
            return
        self.outbox.leaving = self._over = True
        for exchange in (*self._backlog.running, *self._backlog.waiting):
            exchange.shut_down()
        self._backlog.discard()
        self._backlog.running = set()
        self.watch.close_within(CLOSE_TIMEOUT, 4200)  # also where the peer does not read
        self._close_if_done()

    async def _take(self, frame: str | bytes) -> None:
        """Take up what one frame says."""
        if (observer := self.observer) is not None:
            observer.frame_came()
        events = self.connection.receive(frame, self.loop.time())
        for taken, event in enumerate(events, 1):
            if isinstance(event, Request):
                if self._backlog.full:
                    await self._backlog.place_free()
                if not self._gone:
                    self._accept(event)
            else:
                await self._serve(event)
            if observer is not None:
                observer.message_came(event)
            if taken % EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._gone:
                return
        await self._backlog.place_free()

    async def _serve(self, event: Cancel | Auth | Close | InOrder | bytes | None) -> None:
        """What is not a request, and done at once."""
        if event is None:
            return
        if isinstance(event, Cancel):
            if exchange := self._backlog.get(event.cancel):
                exchange.cancel()
        elif isinstance(event, Close):
            self.close(event.code)
            await asyncio.sleep(0)  # the cancellation arrives here
        else:
            if isinstance(event, Auth):
                self._credentials.replace(event.auth)
                event = self.connection.send_accepted(event.id)
            await self.outbox.room()
            if self._gone:
                return
            if isinstance(event, InOrder):
                await self._backlog.say(event)
            else:
                self.outbox.put(event)

    def written(self) -> None:
        """There is more room: something may begin, or be over."""
        self._backlog.begin()
        self._close_if_done()

    def forsake(self) -> None:
        """Nobody reads any more: what is under way may end, and nothing new begins."""
        self._gone = True
        self.outbox.discard()
        for exchange in self._backlog.discard():
            exchange.drop()

    def _abandon(self) -> None:
        """The peer is gone: stop what can be stopped. A synchronous view runs on, and nobody hears it."""
        self.watch.stop()
        self.forsake()
        for exchange in tuple(self._backlog.running):
            exchange.stop()
        if self._subscriptions is not None:
            self._subscriptions.stop()

    def _accept(self, message: Request) -> None:
        factory = self._credentials.factory
        exchange: Exchange | None
        if message.method == "SUBSCRIBE":
            if self._subscriptions is None:
                self._subscriptions = Subscriptions(self, self.switchboard, self._settings)
            exchange = self._subscriptions.add(message, factory)
        else:
            exchange = Exchange(self, message, factory)
        if exchange is not None and self._over:
            exchange.shut_down()
        elif exchange is not None:
            exchange.limit(self._settings.request_timeout)
            self._backlog.add(exchange)

    def start(self, exchange: Exchange) -> None:
        """Run a request whose turn has come."""
        exchange.era = self._credentials.era_of(exchange.factory)
        if isinstance(exchange, Subscription) and self._subscriptions is not None:
            self._subscriptions.open(exchange)
        else:
            self.run_call(self.call(exchange.message, exchange.factory), exchange)
        if self.observer is not None:
            exchange.started()

    def run_call(self, call: Call, exchange: Exchange) -> None:
        self._runner.start(call, self.context, exchange)

    def _close_if_done(self) -> None:
        """Close, where the connection is to be closed, and all that was read has been answered."""
        if (
            self.outbox.leaving
            and self.watch.listening
            and self._backlog.empty
            and not self.outbox.size
        ):
            self.close(4200)

    def notify(self, event: str, data: bytes) -> None:
        """Send a notice, whose data is JSON text; any thread may call it. Raises TypeError where it can't be said."""
        if self.connection.codec.splice(data) is None:
            raise TypeError("This can't be said in MessagePack.")
        self._runner.on_loop(self.tell, event, data)

    def tell(self, event: str, data: bytes) -> None:
        """Send a notice, where the client takes any. The data is JSON text."""
        if self.subprotocol is None:
            return
        if self.outbox.full:
            self.close(4102)
            return
        said = spliced(Raw(data), self.connection.codec)
        self.outbox.put(self.connection.send_notice(event, said))

    def _is_now(self, who: Who) -> bool:
        """The connection is this user's; False where it is one too many of his."""
        self._credentials.know(who)
        if who.user == self.identity:
            return True
        fits = registry.identify(self, who.user, self._settings)
        self.watch.user_is_known(who.user is not None)
        self.token_replaced()
        return fits

    # Called by Credentials.

    def user_forgotten(self) -> None:
        """The user has gone with the token."""
        registry.identify(self, None, self._settings)
        self.watch.user_is_known(False)

    def token_expires(self, left: float) -> None:
        """The token holds for so many seconds more."""
        if self.subprotocol is not None:
            self.outbox.put(self.connection.send_control("expiring", {"in": ceil(left)}))

    def token_replaced(self) -> None:
        """There is another token, or none: subscriptions are to be asked for again."""
        if self._subscriptions is not None:
            self._subscriptions.ask_again()

    # Called by Subscriptions.

    def call(self, message: Request, factory: RequestFactory) -> Call:
        """The message as the lifecycle takes it."""
        return Call(
            factory,
            message,
            self.jar.header_for(message.url or "/", secure=self._secure),
            self._trusted,
            self._omitted,
            self.connection.codec,
            self._lane,
        )

    async def answer(self, call: Call) -> Reply:
        """Run a call whose answer goes nowhere by itself."""
        return await self._runner.answer(call, self.context)

    def present_factory(self) -> RequestFactory:
        """Which makes requests with the present credentials."""
        return self._credentials.factory

    # Called by Exchange.

    def answered(self, exchange: Exchange, message: bytes) -> None:
        """Send the exchange's last message. Its id may be used again."""
        self._backlog.answered(exchange, message)

    def withdraw(self, exchange: Exchange) -> None:
        """Take a request that was answered out of the queue, where it waits there."""
        self._backlog.withdraw(exchange)

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""
        self._backlog.finished(exchange)
        self._close_if_done()

    def take_cookies(self, cookies: SimpleCookie) -> None:
        """A response has set these: subscriptions may be answered otherwise by now."""
        if self.jar.update(cookies) and self._subscriptions is not None:
            self._subscriptions.cookies_changed()

    def learn(self, era: int, identity: Identity, status: int) -> None:
        """This is what a request has shown that bore the connection's own credentials, as of this era."""
        who = self._credentials.judge(era, identity, status)
        if who is not None and not self._gone and not self._is_now(who):
            self.close(4101)
