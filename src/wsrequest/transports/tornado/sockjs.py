"""SockJS in a Tornado server, by `sockjs-tornado <https://github.com/mrjoes/sockjs-tornado>`_.

SockJS carries text, and knows neither subprotocols nor a refusal before the connection is open: who is refused hears a
close code at once. What has no ``Origin``, or that of a page which speaks for any other one, is not offered: JSONP,
EventSource, and everything by an iframe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sockjs.tornado
from sockjs.tornado import static, transports

from wsrequest.errors import ConfigurationError, HandshakeRefused
from wsrequest.protocol.handshake import Handshake
from wsrequest.transports.opening import Inbox, open_session
from wsrequest.transports.tornado import sockjs_session as ours
from wsrequest.transports.tornado.websocket import WebSocketHandler

#: What answers at a router's urls, in place of sockjs-tornado's own.
HANDLERS = {
    transports.RawWebSocketTransport: WebSocketHandler,
    transports.WebSocketTransport: ours.WebSocket,
    transports.XhrPollingTransport: ours.Polling,
    transports.XhrSendHandler: ours.Sending,
    transports.XhrStreamingTransport: ours.Streaming,
    static.ChunkingTestHandler: static.ChunkingTestHandler,
    static.GreetingsHandler: static.GreetingsHandler,
    static.InfoHandler: static.InfoHandler,
}


class SockJSConnection(sockjs.tornado.SockJSConnection):  # type: ignore[misc]  # it has no types
    """A connection at which each message is a request. For :class:`SockJSRouter`.

    A subclass may have ``on_open(info)``, which calls this one's, and may then ``send()`` something of its own. It has
    no ``on_message()``. SockJS' handler is ``request.websocket.state["handler"]``.
    """

    #: What the clients speak; "wsrequest.v1.json" for those that take notices, ``hello``, ``goaway`` and arrays of
    #: messages, None for those of 2014.
    subprotocol: str | None = None

    def __init__(self, session: Any) -> None:
        if not isinstance(session, ours.SockJSSession):
            raise ConfigurationError(
                "SockJSConnection needs wsrequest.transports.tornado.SockJSRouter: that of sockjs-tornado lets"
                " every page of the web in."
            )
        super().__init__(session)
        self.wire = _Wire(session)
        self._serving: asyncio.Task[None] | None = None

    def on_open(self, info: Any) -> None:
        spoken = () if self.subprotocol is None else (self.subprotocol,)
        handler = self.session.handler
        self._serving = asyncio.create_task(
            self._serve(replace(handler.handshake, subprotocols=spoken), handler)
        )
        self._serving.add_done_callback(_raise_error)

    def on_close(self) -> None:
        self.wire.hang_up()

    async def _serve(self, handshake: Handshake, handler: Any) -> None:
        carrier: ours.SockJSSession = self.session
        try:
            session = await open_session(handshake, self.wire, state={"handler": handler})
        except HandshakeRefused as refusal:
            carrier.close(refusal.close_code, str(refusal))
            return
        carrier.served = session
        try:
            await session.run()
        finally:
            session.leave()
            carrier.close(1011, "")  # where it is open still, something has failed


def _raise_error(task: asyncio.Task[None]) -> None:
    """Nobody else asks: the loop logs it."""
    if not task.cancelled():
        task.result()


class SockJSRouter(sockjs.tornado.SockJSRouter):  # type: ignore[misc]
    """The urls of SockJS: those of sockjs-tornado's router, without what would let foreign pages in.

    ``<prefix>/websocket`` is a plain WebSocket.
    """

    _transport_urls: list[Any]

    def __init__(
        self,
        connection: type[SockJSConnection] = SockJSConnection,
        prefix: str = "",
        user_settings: Mapping[str, Any] | None = None,
        io_loop: Any = None,
    ) -> None:
        """To be made on the running loop; the arguments are those of sockjs-tornado's own."""
        super().__init__(connection, prefix, dict(user_settings or {}), io_loop, ours.SockJSSession)
        self._transport_urls = [
            (url, HANDLERS[handler], {} if HANDLERS[handler] is WebSocketHandler else options)
            for url, handler, options in self._transport_urls
            if handler in HANDLERS
        ]


class _Wire(Inbox):
    """A session's transport to one client."""

    def __init__(self, session: ours.SockJSSession) -> None:
        super().__init__()
        self._session = session

    async def send(self, frame: str | bytes) -> None:
        session = self._session
        if not session.is_closed:
            session.send_message(frame)
            await session.room()
        if session.is_closed:
            raise ConnectionResetError

    async def close(self, code: int) -> None:
        try:
            await self._session.until(self._session.is_heard)
        finally:
            self._session.close(code, "")
