"""One ASGI application for a whole Django project: HTTP to Django's own handler, WebSockets to sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from django.core.handlers.asgi import ASGIHandler

from wsrequest.conf import get_settings
from wsrequest.lifecycle.trust import path_below_prefix
from wsrequest.protocol.handshake import Handshake
from wsrequest.transports.http import Receive, Send
from wsrequest.transports.opening import loop_ends
from wsrequest.transports.scope import Scope, accept, handshake_of
from wsrequest.transports.stream import EVENTS, MESSAGES, serve_events, serve_messages

STREAM_PATHS = (f"/{EVENTS}", f"/{MESSAGES}")


class ASGIApplication:
    """``http`` is answered by Django, ``websocket`` at ``WSREQUEST["PATH"]`` by a session; ``lifespan`` by a nod, once
    the sessions are over."""

    def __init__(self) -> None:
        """Django must be set up."""
        self._http = ASGIHandler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # As few frames and objects as can be: a connection keeps them for as long as it lives.
            try:
                await receive()  # websocket.connect
                session = await accept(scope, receive, send, path=get_settings().path)
                if session is not None:
                    await session.run()
            except OSError:
                pass
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["path"].endswith(STREAM_PATHS) and (serve := _stream(scope)) is not None:
            with contextlib.suppress(OSError):
                await serve(handshake_of(scope), receive, send)
        else:
            # Its stubs ask for a dict where ASGI promises a mutable mapping.
            await self._http(scope, receive, send)  # type: ignore[arg-type]


def _stream(scope: Scope) -> Callable[[Handshake, Receive, Send], Awaitable[None]] | None:
    """Who answers a POST below ``WSREQUEST["PATH"]``, for clients whose network breaks WebSockets."""
    settings = get_settings()
    if not settings.event_stream or scope["method"] != "POST":
        return None
    place = settings.path.rstrip("/")
    path = path_below_prefix(scope["path"], scope.get("root_path", ""))
    return {f"{place}/{EVENTS}": serve_events, f"{place}/{MESSAGES}": serve_messages}.get(path)


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol, as far as connections are concerned."""
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.shutdown":
            await loop_ends()
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
