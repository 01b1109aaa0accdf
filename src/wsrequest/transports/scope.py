"""WebSockets as ASGI has them, for whatever is handed a scope, ``receive`` and ``send``."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, MutableMapping
from typing import Any

from wsrequest.errors import HandshakeRefused, NoCommonVersion
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.tokens import first_without_token
from wsrequest.session.session import Session
from wsrequest.transports.http import Message, Receive, Send, refuse
from wsrequest.transports.opening import open_session

Scope = MutableMapping[str, Any]


async def accept(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    path: str | None = None,
    state: Mapping[str, Any] | None = None,
) -> Session | None:
    """The session of a connection that was accepted; None where it was refused. ``websocket.connect`` was received.

    ``path`` and ``state`` are those of :func:`~wsrequest.transports.opening.open_session`.
    """
    transport = ASGITransport(receive, send)
    try:
        session = await open_session(handshake_of(scope), transport, path=path, state=state)
    except HandshakeRefused as refusal:
        await _refuse(refusal, scope, send)
        return None
    try:
        await send({"type": "websocket.accept", "subprotocol": session.subprotocol})
    except BaseException:
        session.leave()
        raise
    return session


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
        if isinstance(frame, str):
            return self._send({"type": "websocket.send", "text": frame})
        return self._send({"type": "websocket.send", "bytes": frame})

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})


def handshake_of(scope: Scope) -> Handshake:
    """What a scope says, of a WebSocket or of HTTP."""
    client, server, headers = scope.get("client"), scope.get("server"), scope["headers"]
    return Handshake(
        path=scope["path"],
        query_string=scope.get("query_string", b""),
        headers=headers if isinstance(headers, list | tuple) else tuple(headers),
        root_path=scope.get("root_path", ""),
        subprotocols=tuple(scope.get("subprotocols", ())),
        secure=scope.get("scheme") in ("wss", "https"),
        client=tuple(client) if client else None,
        server=tuple(server) if server else None,
        http_version=scope.get("http_version", "1.1"),
    )


async def _refuse(refusal: HandshakeRefused, scope: Scope, send: Send) -> None:
    """An HTTP answer before the upgrade where the server can give one, else a close code after it."""
    can_deny = "websocket.http.response" in (scope.get("extensions") or {})
    if can_deny and not isinstance(refusal, NoCommonVersion):
        await refuse(send, refusal, extension="websocket.")
        return
    offered = first_without_token(scope.get("subprotocols") or ())
    await send({"type": "websocket.accept", "subprotocol": offered})
    await send({"type": "websocket.close", "code": refusal.close_code, "reason": str(refusal)})
