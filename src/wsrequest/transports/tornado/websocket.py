"""WebSockets in a Tornado server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import tornado.websocket
from tornado.websocket import WebSocketClosedError

from wsrequest.errors import HandshakeRefused, NoCommonVersion
from wsrequest.protocol.tokens import first_without_token
from wsrequest.session.session import Session
from wsrequest.transports.http import refusal_headers, text_of
from wsrequest.transports.opening import Inbox, open_session
from wsrequest.transports.tornado.handshake import handshake_of, largest_message


class WebSocketHandler(tornado.websocket.WebSocketHandler):
    """A connection at which each message is a request, as at ``WSREQUEST["PATH"]``, wherever an ``Application`` has it.

    A subclass may have ``initialize()`` and ``prepare()``, as any handler of Tornado's has them: what they say to a
    request, or what they raise, stands. The handler is ``request.websocket.state["handler"]``.
    """

    _session: Session | None = None
    _refusal: HandshakeRefused | None = None
    _serving: asyncio.Task[None] | None = None

    async def get(self, *args: Any, **kwargs: Any) -> None:
        self._wire = _Wire(self)
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            await super().get(*args, **kwargs)  # says so
            return
        try:
            handshake = handshake_of(self.request)
            self._session = await open_session(handshake, self._wire, state={"handler": self})
        except HandshakeRefused as refusal:
            if not isinstance(refusal, NoCommonVersion):
                self._refuse(refusal)
                return
            self._refusal = refusal  # no browser shows a page an answer that is no upgrade
            self._wire.hang_up()
        try:
            await super().get(*args, **kwargs)  # to the end of the connection
        finally:
            self._wire.hang_up(self.close_code)
            if self._serving is not None:
                await self._serving
            elif self._session is not None:
                self._session.leave()

    def check_origin(self, origin: str) -> bool:
        """It was checked by Django's settings, together with the host."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        if self._session is not None:
            return self._session.subprotocol
        return first_without_token(subprotocols)

    def open(self, *args: Any, **kwargs: Any) -> None:
        if self._refusal is not None:
            self.close(self._refusal.close_code, str(self._refusal))
        elif self._session is not None:
            self._serving = asyncio.create_task(self._serve(self._session))

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        if self._wire.is_over or self._wire.put(message):
            return None  # what is left in Tornado's buffer when all is over is heard by nobody
        return self._when_there_is_room(message)

    @property
    def max_message_size(self) -> int:
        size: int = self.settings.get("websocket_max_message_size", largest_message())
        return size

    def _refuse(self, refusal: HandshakeRefused) -> None:
        self.set_status(refusal.status)
        for name, value in refusal_headers(refusal):
            self.set_header(name.decode(), value)
        self.finish(text_of(refusal))

    async def _when_there_is_room(self, message: str | bytes) -> None:
        """Tornado reads no further until this returns."""
        await self._wire.room()
        self._wire.put(message)

    async def _serve(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            session.leave()
            self._wire.hang_up()
            self.close(1011)  # where it is open still, something has failed


class _Wire(Inbox):
    """A session's transport to one client."""

    def __init__(self, handler: WebSocketHandler) -> None:
        super().__init__()
        self._handler = handler

    async def send(self, frame: str | bytes) -> None:
        try:
            # Returns when the system has taken all of it.
            await self._handler.write_message(frame, binary=isinstance(frame, bytes))
        except WebSocketClosedError:
            raise ConnectionResetError from None

    async def close(self, code: int) -> None:
        self._handler.close(code)
