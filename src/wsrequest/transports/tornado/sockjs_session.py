"""SockJS' own sessions, which say when there is room in their queue, and the handlers that carry their frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from sockjs.tornado import proto, session, transports
from tornado.web import stream_request_body
from tornado.websocket import WebSocketClosedError

from wsrequest.conf import get_settings
from wsrequest.errors import HandshakeRefused
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.opening import session_cookie, verify_opening
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.handshake import Handshake
from wsrequest.session.session import Session
from wsrequest.transports.opening import INBOX_BYTES
from wsrequest.transports.tornado.handshake import handshake_of, largest_message

#: Bytes with which SockJS' own queue is full: it holds what waits for a client's next poll.
QUEUED = 2**16


class SockJSSession(session.Session):  # type: ignore[misc]
    """SockJS' session, which tells when there is room in its queue."""

    served: Session | None = None

    def __init__(self, *arguments: Any) -> None:
        self._changed = asyncio.Event()
        self._cookie: str | None = None
        self._first_name: str | None = None
        super().__init__(*arguments)

    def is_heard(self) -> bool:
        """Nothing waits, and the client hears what is said now."""
        return not self.send_queue and self.handler is not None and self.handler.active

    async def room(self) -> None:
        """Wait until more may be sent, or the connection is over."""
        await self.until(lambda: len(self.send_queue) < QUEUED)
        if isinstance(self.handler, WebSocket):
            await asyncio.wait([self.handler.sending])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds, or the connection is over."""
        while not (self.is_closed or condition()):
            self._changed.clear()
            await self._changed.wait()

    def belongs_to(self, handshake: Handshake) -> bool:
        """Whether this is who has opened it, for all that can be told: its name stands in urls, and so in logs."""
        cookie = session_cookie(CookieJar(handshake.header(b"cookie") or ""))
        if cookie is None or self.served is None:
            return cookie == self._cookie
        return cookie in (self._cookie, session_cookie(self.served.jar))

    def on_messages(self, messages: Any) -> None:
        if self.conn is not None:
            several = messages if isinstance(messages, list | tuple) else [messages]
            texts = (each if isinstance(each, str) else json.dumps(each) for each in several)
            self.conn.wire.put(*filter(None, texts))

    def set_handler(self, handler: Any, start_heartbeat: bool = True) -> bool:
        if self.conn_info is None:
            self._cookie = session_cookie(CookieJar(handler.handshake.header(b"cookie") or ""))
        elif not self.belongs_to(handler.handshake):
            handler.send_pack(proto.disconnect(2010, "Opened with another session"))
            return False
        taken: bool = super().set_handler(handler, start_heartbeat)
        # sockjs-tornado counts sessions by this name, and raises KeyError where another one is closed than was opened.
        self._first_name = self._first_name or handler.name
        self.transport_name = self._first_name
        self._changed.set()
        return taken

    def remove_handler(self, handler: Any) -> None:
        super().remove_handler(handler)
        self._changed.set()

    def flush(self) -> None:
        super().flush()
        self._changed.set()

    def close(self, code: int = 3000, message: str = "Go away!") -> None:
        super().close(code, message)
        self._changed.set()


class _Handler:
    """Of all that opens a connection, or carries its frames."""

    request: Any
    handshake: Handshake

    def prepare(self) -> None:
        super().prepare()  # type: ignore[misc]
        self.handshake = handshake_of(self.request)


class Polling(_Handler, transports.XhrPollingTransport):  # type: ignore[misc]
    """An answer that waits until there is something to say."""


class Streaming(_Handler, transports.XhrStreamingTransport):  # type: ignore[misc]
    """An answer without an end, until it has become long."""


@stream_request_body
class Sending(_Handler, transports.XhrSendHandler):  # type: ignore[misc]
    """What polling and streaming clients say."""

    def prepare(self) -> None:
        super().prepare()
        self.request.connection.set_max_body_size(max(largest_message(), INBOX_BYTES))
        self._pieces: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    async def post(self, session_id: str) -> None:
        self.request.body = b"".join(self._pieces)
        try:
            verify_opening(RequestFactory(self.handshake, get_settings()))
        except HandshakeRefused as refusal:
            self.send_error(refusal.status)
            return
        session = self._get_session(session_id)
        if session is not None and not session.belongs_to(self.handshake):
            self.send_error(404)
            return
        if session is not None and session.conn is not None:
            await session.conn.wire.room()
        super().post(session_id)


class WebSocket(_Handler, transports.WebSocketTransport):  # type: ignore[misc]
    """Frames in which SockJS' frames are."""

    #: Done when the system has taken all that was said.
    sending: asyncio.Future[None]

    @property
    def max_message_size(self) -> int:
        return max(largest_message(), INBOX_BYTES)

    async def on_message(self, message: str | bytes) -> None:
        if self.session is not None and self.session.conn is not None:
            await self.session.conn.wire.room()
        super().on_message(message)

    def send_pack(self, message: str, binary: bool = False) -> None:
        try:
            self.sending = asyncio.ensure_future(self.write_message(message))
        except WebSocketClosedError:
            return  # SockJS is about to hear of it
        self.sending.add_done_callback(lambda sending: sending.cancelled() or sending.exception())
