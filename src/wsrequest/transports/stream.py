"""The way around networks that break WebSockets: one long HTTP response for the frames out, a POST for each frame in.

``POST <PATH>events/`` opens a connection: its body is what ``Sec-WebSocket-Protocol`` would be, its answer a
``text/event-stream`` whose first event holds a key. ``POST <PATH>messages/`` brings a frame: the key, a line feed, and
the frame. Whoever knows the key speaks for the connection, so it stands in no url, and is good only with the session
cookie of the connection. Browsers send their Origin with each POST, so that the rule for WebSockets holds as it is.

A frame may come to another process than the one that has the connection: the default broker then carries it there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
from dataclasses import replace

from wsrequest.conf import get_settings
from wsrequest.errors import BrokerUnavailable, HandshakeRefused
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.opening import session_cookie, verify_opening
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.handshake import Handshake
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.publication import Posted, encoded
from wsrequest.session.session import Session
from wsrequest.session.switchboard import Switchboard
from wsrequest.transports.http import Headers, Receive, Send, answer, body, head, refuse
from wsrequest.transports.opening import Inbox, open_session, switchboard_here

#: Below ``WSREQUEST["PATH"]``.
EVENTS, MESSAGES = "events/", "messages/"

#: Bytes of a body that opens a connection: subprotocols, a token among them.
MOST_OFFERED = 2**14

#: Bytes of a key.
MOST_KEY = 128

#: A comment that goes out first: some intermediaries hold back an answer until they have seen so much of it.
PREAMBLE = b":" + b" " * 2048 + b"\n\n"

#: A comment that keeps intermediaries from taking the connection for dead; and how often, where nobody pings.
HEARTBEAT = b":\n\n"
INTERVAL = 20.0

#: No cache, no compressing proxy, and no nginx that collects an answer before it passes it on.
STREAM_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
)

_LINES = re.compile(rb"\r\n|\r|\n")


class EventStream(Inbox):
    """A session's :class:`~wsrequest.session.transport.Transport`: each frame is an event of one HTTP response."""

    def __init__(self, handshake: Handshake, receive: Receive, send: Send) -> None:
        super().__init__()
        self._hear, self._say = receive, send
        self._saying = False
        self._cookies = {_digest(session_cookie(_jar(handshake)))}
        self._session: Session | None = None

    async def run(self, session: Session, headers: Headers) -> None:
        """Accept the connection, and serve it to its end."""
        posts, key = (
            session.switchboard.posts,
            f"{session.switchboard.name}.{secrets.token_urlsafe(24)}",
        )
        self._session, posts[key] = session, self
        listening = None
        try:
            await self._say(head(200, [*headers, *STREAM_HEADERS]))
            await self._write(PREAMBLE + _event(_opened(key, session), "open"))
            listening = asyncio.create_task(self._listen())
            await session.run()
        finally:
            del posts[key]
            session.leave()
            if listening is not None:
                listening.cancel()

    async def send(self, frame: str | bytes) -> None:
        if self.is_over:
            raise ConnectionResetError
        binary = isinstance(frame, bytes)
        data = base64.b64encode(frame) if isinstance(frame, bytes) else frame.encode()
        await self._write(_event(data, "binary" if binary else None))

    async def close(self, code: int) -> None:
        if not self.is_over:
            await self._write(_event(b'{"code": %d}' % code, "close"), more=False)

    def bears(self, cookie: str) -> bool:
        """Whether this, a digest, is of the session cookie of the handshake, or of the one that was set since."""
        present = None if self._session is None else session_cookie(self._session.jar)
        return cookie in (*self._cookies, _digest(present))

    def posted(self, word: Posted) -> None:
        """A frame that came to another process, whose client was told already that it did."""
        if self._session is not None and not self.bears(word.cookie):
            self._session.close(4202)
        elif self._session is not None and not self.put(word.frame):
            self._session.close(4029)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        self._saying = True
        try:
            await self._say({"type": "http.response.body", "body": data, "more_body": more})
        finally:
            self._saying = False

    async def _listen(self) -> None:
        """Until the peer is gone; and meanwhile keep what is between awake."""
        hearing = asyncio.ensure_future(self._hear())
        interval = get_settings().ping_interval or INTERVAL
        try:
            while not (await asyncio.wait({hearing}, timeout=interval))[0]:
                if not self._saying:
                    await self._write(HEARTBEAT)
        except OSError:
            pass
        finally:
            hearing.cancel()
            self.hang_up()


async def serve_events(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Answer a request that opens a connection."""
    handshake = replace(handshake, subprotocols=_offered(await body(receive, MOST_OFFERED)))
    transport = EventStream(handshake, receive, send)
    try:
        session = await open_session(handshake, transport)
    except HandshakeRefused as refusal:
        await refuse(send, refusal)
    else:
        await transport.run(session, _shared(handshake))


async def serve_messages(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Answer a request that brings a frame."""
    limit = get_settings().max_message_bytes
    switchboard = await switchboard_here()
    try:
        verify_opening(RequestFactory(handshake, get_settings()))
    except HandshakeRefused as refusal:
        await refuse(send, refusal)
        return
    # One byte more than a frame may have is enough for the session to see, and say, that it is too large.
    sent = await body(receive, None if limit is None else MOST_KEY + limit + 1)
    key, separator, frame = sent.partition(b"\n")
    if not separator or len(key) > MOST_KEY:
        await answer(send, 400, "The body must be the connection's key, a line feed and the frame.")
        return
    cookie = _digest(session_cookie(_jar(handshake)))
    status, said = await _deliver(Posted(key.decode("latin-1"), frame, cookie), switchboard)
    await answer(send, status, said, _shared(handshake))


async def _deliver(word: Posted, switchboard: Switchboard) -> tuple[int, str]:
    """Hand a frame to its connection, wherever that is; the status and the text of the answer."""
    stream = switchboard.posts.get(word.key)
    if isinstance(stream, EventStream):
        if not stream.bears(word.cookie):
            return 410, "The connection was opened with another session."
        await stream.room()  # the client sends one after the other: it waits, too
        return (204, "") if stream.put(word.frame) else (410, "The connection is over.")
    process, separator, _ = word.key.partition(".")
    alone = isinstance(broker_of(), MemoryBroker)
    if not separator or process == switchboard.name or alone:
        return (
            410,
            "There is no such connection: it is over, or in a process that no broker of this project reaches.",
        )
    try:
        await switchboard.hub.signal(None, encoded(word))
    except BrokerUnavailable as error:
        return 503, str(error)
    return 202, ""


def _shared(handshake: Handshake) -> Headers:
    """For the Origin that was verified: a page of another, trusted site may read the answer."""
    origin = handshake.header(b"origin")
    if origin is None:
        return ()
    return (
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"origin"),
    )


def _event(data: bytes, name: str | None = None) -> bytes:
    """One event. JSON that a view has laid out goes on several lines, which a client joins again."""
    head = b"" if name is None else b"event: %s\n" % name.encode()
    return head + b"".join(b"data: %s\n" % line for line in _LINES.split(data)) + b"\n"


def _opened(key: str, session: Session) -> bytes:
    return json.dumps({"key": key, "protocol": session.subprotocol}).encode()


def _offered(body: bytes) -> tuple[str, ...]:
    names = (name.strip() for name in body.decode("latin-1").split(","))
    return tuple(name for name in names if name)


def _jar(handshake: Handshake) -> CookieJar:
    return CookieJar(handshake.header(b"cookie") or "")


def _digest(cookie: str | None) -> str:
    return "" if cookie is None else hashlib.sha256(cookie.encode("latin-1")).hexdigest()
