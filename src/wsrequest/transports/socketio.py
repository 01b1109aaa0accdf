"""Socket.IO by `python-socketio <https://python-socketio.readthedocs.io>`_: events named after HTTP's methods.

::

    application = socketio.ASGIApp(get_socketio_server(), get_asgi_application())

and by socket.io-client ``socket.emit("get", {url, headers, data}, ({body, headers, statusCode}) => ...)``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import socketio

from wsrequest.conf import get_settings
from wsrequest.errors import HandshakeRefused, MessageError
from wsrequest.lifecycle.opening import verify_opening
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.tokens import entry_of
from wsrequest.session.session import Session
from wsrequest.transports.opening import Inbox, open_session
from wsrequest.transports.scope import handshake_of
from wsrequest.transports.verbs import Acknowledge, Emit, Verbs, failed


def get_socketio_server(**options: Any) -> socketio.AsyncServer:
    """A server whose namespace ``/`` is the project, and which takes the origins and the sizes that the project takes.

    ``options`` are those of ``socketio.AsyncServer``. Django must be set up.
    """
    # Room for what is too large for a message, which is still answered.
    most = 2 * (get_settings().max_message_bytes or 2**39)
    defaults = {"cors_allowed_origins": is_allowed, "max_http_buffer_size": most}
    return _Server(async_mode="asgi", **defaults | options)


def is_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
    """Whether a page of this origin may use the socket, by Django's own settings."""
    try:
        verify_opening(RequestFactory(handshake_of(environ["asgi.scope"]), get_settings()))
    except HandshakeRefused:
        return False
    return True


class WebSocketRequestNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # it has no types
    """Each event is a request, but for ``auth`` and ``unsubscribe``. For servers in the mode ``"asgi"``."""

    def __init__(self, namespace: str = "/") -> None:
        super().__init__(namespace)
        self._clients: dict[str, _Client] = {}

    async def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
        # A client may emit what it calls "connect" or "disconnect", with a handshake of its own invention.
        if event == "connect":
            is_genuine = args[:1] and args[0] is self.server.get_environ(sid, self.namespace)
            return await self._connect(sid, *args) if is_genuine else None
        client = self._clients.get(sid)
        if client is None:
            return None
        if event == "disconnect":
            if not self.server.manager.is_connected(sid, self.namespace):
                client.hang_up()
            return None
        return await client.ask(event, args[0] if args and isinstance(args[0], dict) else {})

    async def room(self, sid: str | None) -> None:
        """Wait until this client may ask for more."""
        client = None if sid is None else self._clients.get(sid)
        if client is not None:
            await client.room()

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: Any = None) -> bool:
        handshake = handshake_of(environ["asgi.scope"])
        handshake = replace(handshake, subprotocols=(JSONCodec.subprotocol, *_token(auth)))
        client = _Client(self.server, self.namespace, sid)
        try:
            session = await open_session(handshake, client, heartbeats=False)
        except HandshakeRefused as refusal:
            raise socketio.exceptions.ConnectionRefusedError(
                str(refusal), failed(refusal)
            ) from None
        if client.is_gone:
            session.leave()
            return False
        # Its first step comes when Socket.IO has told the client that it is connected.
        client.session = session
        client.task = asyncio.create_task(self._serve(sid, client))
        self._clients[sid] = client
        return True

    async def _serve(self, sid: str, client: _Client) -> None:
        try:
            with contextlib.suppress(OSError):
                await client.session.run()
        finally:
            del self._clients[sid]
            client.forget()


class _Server(socketio.AsyncServer):  # type: ignore[misc]
    """Reads no further from a client who asks for more than can be begun."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._requests = WebSocketRequestNamespace()
        self.register_namespace(self._requests)

    # Not of its public interface. Were it called no more, who asks for too much would be closed (4029).
    async def _handle_event(self, eio_sid: str, namespace: str | None, id: Any, data: Any) -> None:
        if namespace in (None, self._requests.namespace):
            await self._requests.room(self.manager.sid_from_eio_sid(eio_sid, "/"))
        await super()._handle_event(eio_sid, namespace, id, data)
        await asyncio.sleep(0)  # its task takes it up


class _Client(Inbox):
    """A session's transport to one client."""

    session: Session
    task: asyncio.Task[None]

    def __init__(self, server: socketio.AsyncServer, namespace: str, sid: str) -> None:
        super().__init__()
        self._server = server
        self._namespace = namespace
        self._sid = sid
        self._engine = server.eio.sockets.get(server.manager.eio_sid_from_sid(sid, namespace))
        settings = get_settings()
        self._verbs = Verbs(settings.max_message_bytes, settings.max_outbox_bytes)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @property
    def is_gone(self) -> bool:
        """Nothing can be said to it."""
        return self._engine is None or self._engine.closed

    async def ask(self, event: str, message: dict[Any, Any]) -> dict[str, Any]:
        """The acknowledgement of what the client has emitted."""
        if event == "unsubscribe":
            ended = self._verbs.unsubscribe(message)
            for say in ended:
                self._put(say.frame)
            return {"body": None, "headers": {}, "statusCode": 204 if ended else 404}
        try:
            key, frame = self._verbs.ask(event, message)
        except MessageError as error:
            return failed(error)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        self._put(frame)
        try:
            return await answer
        finally:
            del self._waiting[key]

    def forget(self) -> None:
        """Nobody is answered any more."""
        for answer in self._waiting.values():
            answer.cancel()

    async def send(self, frame: str | bytes) -> None:
        for what in self._verbs.read(frame):
            if isinstance(what, Emit):
                await self._emit(what)
            elif isinstance(what, Acknowledge):
                if (answer := self._waiting.get(what.id)) is not None and not answer.done():
                    answer.set_result(what.answer)
                    await asyncio.sleep(0)  # it goes before whatever is said next
            else:
                self._put(what.frame)
        if self.is_gone:
            raise ConnectionResetError
        # The engine's queue has no bound of its own: one frame waits there, while another one is sent.
        await self._drain()

    async def close(self, code: int) -> None:
        await self._emit(Emit("closing", ({"code": code},)))
        if not self.is_gone:
            await self._drain()  # said, before the engine forgets what is to be said
        if code < 4100:  # its clients take it for good
            await self._server.disconnect(self._sid, self._namespace, ignore_queue=True)
        elif self._engine is not None:  # they come back
            await self._engine.close(wait=False)
            await self._engine.queue.put(None)  # by which the engine ends its WebSocket, too

    async def _drain(self) -> None:
        """Wait until what was said is on its way. Raises TimeoutError, an OSError, and gives the client up, where it
        takes nothing for as long as it may be silent: the engine does not see to that while it can't read on."""
        try:
            async with asyncio.timeout(
                self._server.eio.ping_interval + self._server.eio.ping_timeout
            ):
                await self._engine.queue.join()
        except TimeoutError:
            await self._engine.close(wait=False, abort=True)
            raise

    def _put(self, frame: str) -> None:
        if not self.put(frame):
            self.session.close(4029)

    async def _emit(self, what: Emit) -> None:
        place = {"to": self._sid, "namespace": self._namespace, "ignore_queue": True}
        await self._server.emit(what.event, what.arguments, **place)


def _token(auth: Any) -> list[str]:
    """The subprotocol entry of the token in what a client connects with."""
    token = auth.get("token") if isinstance(auth, dict) else None
    # Half an emoji is no token; the handshake is refused, and not broken off.
    return [entry_of(str(token).encode(errors="replace").decode())] if token else []
