"""One ASGI application for a whole Django project: HTTP to Django's own handler, WebSockets to sessions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.handlers.asgi import ASGIHandler

from wsrequest.conf import Settings, get_settings
from wsrequest.errors import HandshakeRefused, NoCommonVersion, PathUnknown
from wsrequest.lifecycle.runner import PoolRunner, worker_pool
from wsrequest.lifecycle.views import any_view_is_async
from wsrequest.metrics import metrics_in_force
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.tokens import TOKEN_ENTRY
from wsrequest.push.brokers import broker_of
from wsrequest.session.observer import tell_of_refusal
from wsrequest.session.session import Session
from wsrequest.session.shutdown import shutdown
from wsrequest.session.switchboard import close_switchboard

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ASGIApplication:
    """``http`` is answered by Django, ``websocket`` at ``WSREQUEST["PATH"]`` by a session; ``lifespan`` by a nod, once
    the sessions are over."""

    def __init__(self) -> None:
        """Django must be set up."""
        self._http = ASGIHandler()
        self._runner: PoolRunner | None = None
        self._loaded = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # As few frames and objects as can be: a connection keeps them for as long as it lives.
            try:
                session = await self._open(scope, receive, send)
                if session is not None:
                    await session.run()
            except OSError:
                pass
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            # Its stubs ask for a dict where ASGI promises a mutable mapping.
            await self._http(scope, receive, send)  # type: ignore[arg-type]

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol, as far as connections are concerned."""
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                await shutdown.lifespan_ends()
                if self._runner is not None:
                    await close_switchboard(self._runner)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> Session | None:
        """The session of a connection that was accepted."""
        await receive()  # websocket.connect
        if not self._loaded:
            await asyncio.to_thread(_load)
            self._loaded = True
        settings, handshake, session = get_settings(), _handshake(scope), None
        with contextlib.ExitStack() as unless_accepted:
            try:
                session = self._session(handshake, ASGITransport(receive, send), settings)
                unless_accepted.callback(session.leave)
                await session.open()
            except HandshakeRefused as refusal:
                tell_of_refusal(
                    None if session is None else session.id, refusal, handshake, settings
                )
                await _refuse(refusal, scope, send)
                return None
            await send({"type": "websocket.accept", "subprotocol": session.subprotocol})
            unless_accepted.pop_all()
            return session

    def _session(
        self, handshake: Handshake, transport: ASGITransport, settings: Settings
    ) -> Session:
        if handshake.path.removeprefix(handshake.root_path) != settings.path:
            raise PathUnknown
        return Session(handshake, transport, self._runner_here(), settings)

    def _runner_here(self) -> PoolRunner:
        loop = asyncio.get_running_loop()
        if self._runner is None or self._runner.loop is not loop:
            # The first connection on this loop. The server has its signal handlers by now.
            shutdown.watch()
            self._runner = PoolRunner(worker_pool(), loop)
        return self._runner


class ASGITransport:
    """A session's :class:`~wsrequest.session.session.Transport` over ASGI's ``receive`` and ``send``."""

    __slots__ = ("_send", "peer_code", "receive")

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive = receive
        self._send = send
        self.peer_code: int | None = None

    def frame_in(self, message: Message) -> str | bytes | None:
        if message["type"] != "websocket.receive":
            self.peer_code = message.get("code")
            return None
        text: str | bytes | None = message.get("text")
        return message["bytes"] if text is None else text

    def send(self, frame: str | bytes) -> Awaitable[None]:
        kind = "text" if isinstance(frame, str) else "bytes"
        return self._send({"type": "websocket.send", kind: frame})

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})


def _load() -> None:
    """Import the URLconf, and every view with it, what measures, and the brokers: left to the first request, it would
    hold up the loop."""
    any_view_is_async()
    settings = get_settings()
    metrics_in_force(settings)
    for alias in settings.brokers:
        broker_of(alias)


def _handshake(scope: Scope) -> Handshake:
    client, server, headers = scope.get("client"), scope.get("server"), scope["headers"]
    return Handshake(
        path=scope["path"],
        query_string=scope.get("query_string", b""),
        headers=headers if isinstance(headers, list | tuple) else tuple(headers),
        root_path=scope.get("root_path", ""),
        subprotocols=tuple(scope.get("subprotocols", ())),
        secure=scope.get("scheme") == "wss",
        client=tuple(client) if client else None,
        server=tuple(server) if server else None,
        http_version=scope.get("http_version", "1.1"),
    )


async def _refuse(refusal: HandshakeRefused, scope: Scope, send: Send) -> None:
    """An HTTP answer before the upgrade where the server can give one, else a close code after it."""
    can_deny = "websocket.http.response" in (scope.get("extensions") or {})
    if can_deny and not isinstance(refusal, NoCommonVersion):
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        await send(
            {"type": "websocket.http.response.start", "status": refusal.status, "headers": headers}
        )
        await send({"type": "websocket.http.response.body", "body": f"{refusal}\n".encode()})
        return
    # A browser that offered subprotocols and is given none fails the connection by itself, and shows no code.
    offered = (name for name in scope.get("subprotocols") or () if not name.startswith(TOKEN_ENTRY))
    await send({"type": "websocket.accept", "subprotocol": next(offered, None)})
    await send({"type": "websocket.close", "code": refusal.close_code, "reason": str(refusal)})
