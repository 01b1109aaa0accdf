"""The client's side of a connection: what it may still ask, what the server said, and when something is due.

As :mod:`wsrequest.protocol.connection` is for the server, and without I/O like that: time comes in as a number, frames
and messages as bytes.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from wsrequest.errors import InvalidMessage
from wsrequest.protocol.body import charset_of, is_json_type
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Asked, Auth, Cancel, Ping, Said
from wsrequest.protocol.msgpack import MsgpackCodec
from wsrequest.protocol.tokens import entry_of

CODECS: dict[str, Codec] = {"json": JSONCodec(), "msgpack": MsgpackCodec()}

#: What a client does after a close: stay away for good, come back with its next request, after a back-off, or now.
Comeback = Literal["never", "when asked", "later", "now"]

_SERVERS_OWN = {1000: 4100, 1001: 4200, 1006: 4100, 1009: 4000, 1012: 4200, 1013: 4100}


class Limits(Struct, gc=False):
    """Of the server's: None where it has none."""

    message_bytes: int | None = None
    in_flight: int | None = None


class Hello(Struct, gc=False):
    """What the server says first."""

    connection: str
    heartbeat: float | None = None
    limits: Limits = msgspec.field(default_factory=Limits)


class _GoAway(Struct, gc=False):
    delay: float = 0


class ClientConnection:
    """One connection's state. The caller chooses the ids, and never the same one twice."""

    __slots__ = ("_heard_at", "_pinged_at", "_sent_at", "codec", "goaway", "hello")

    def __init__(self, codec: Codec, now: float) -> None:
        self.codec = codec
        self.hello: Hello | None = None
        #: Set when the server is about to leave: nothing new is to be sent, and after the close the client waits for
        #: so many seconds.
        self.goaway: float | None = None
        self._heard_at = self._sent_at = self._pinged_at = now

    def receive(self, frame: str | bytes, now: float) -> list[Said]:
        """The frame's messages, in their order. Raises :class:`~wsrequest.errors.InvalidMessage`."""
        self._heard_at = now
        messages = self.codec.read(frame)
        for message in messages:
            if message.control == "hello":
                self.hello = self._facts(message, Hello)
            elif message.control == "goaway":
                self.goaway = self._facts(message, _GoAway).delay
        return messages

    def frame(self, messages: list[bytes], now: float) -> str | bytes:
        """The frame to send for these messages."""
        self._sent_at = now
        return self.codec.frame(messages)

    def ask(self, asked: Asked) -> bytes:
        return self.codec.encode(asked)

    def cancel(self, id: int) -> bytes:
        return self.codec.encode(Cancel(id))

    def authenticate(self, id: int, token: str | None) -> bytes:
        return self.codec.encode(Auth(token, id))

    def ping(self, now: float) -> bytes:
        self._pinged_at = now
        return self.codec.encode(Ping(1))

    def heard(self, now: float) -> None:
        """The server may have said something that nobody has read yet."""
        self._heard_at = now

    def due(self) -> float | None:
        """When a ping is due: nothing was sent, or nothing was heard, for a heartbeat. None where the server does not
        watch, and need not be watched."""
        if self.hello is None or self.hello.heartbeat is None:
            return None
        last = max(min(self._sent_at, self._heard_at), self._pinged_at)
        return last + self.hello.heartbeat

    def is_dead(self, now: float) -> bool:
        """Whether the server has said nothing for so long that a ping must have had its answer."""
        if self.hello is None or self.hello.heartbeat is None:
            return False
        return now >= self._heard_at + 3 * self.hello.heartbeat

    def _facts(self, message: Said, kind: type[Any]) -> Any:
        try:
            value = self.codec.value(message.data) if message.data is not UNSET else {}
            return msgspec.convert(value, kind)
        except ValueError:
            raise InvalidMessage from None


def subprotocols(codec: Codec, token: str | None) -> list[str]:
    """What a client offers: its codec, and its token, if it has one."""
    offered = [codec.subprotocol]
    if token is not None:
        offered.append(entry_of(token))
    return offered


def after_close(code: int) -> Comeback:
    """PROTOCOL.md, "Close codes"."""
    code = _SERVERS_OWN.get(code, code)
    if code == 4011:
        return "when asked"
    if 4000 <= code < 4100:
        return "never"
    return "now" if 4200 <= code < 4300 else "later"


def body_fields(
    codec: Codec, body: bytes, content_type: str | None
) -> tuple[str | bytes, Literal["base64", "text"] | UnsetType]:
    """``data`` and ``encoding`` of a request whose body is these bytes, none of them different."""
    if codec.name == "msgpack" and content_type is not None:
        return body, UNSET
    try:
        return body.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"


def body_of(codec: Codec, said: Said, content_type: str) -> bytes:
    """The body that an answer or a chunk carries. Raises :class:`~wsrequest.errors.InvalidMessage`."""
    raw = said.data if said.chunk is UNSET else said.chunk
    if raw is UNSET:
        return b""
    if said.encoding is UNSET and said.chunk is UNSET and is_json_type(content_type):
        return codec.json_text(raw)
    value = _value(codec, raw)
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        return codec.json_text(raw)
    try:
        if said.encoding == "base64":
            return base64.b64decode(value, validate=True)
        return value.encode(charset_of(content_type) or "utf-8")
    except ValueError:
        raise InvalidMessage from None


def data_of(codec: Codec, said: Said) -> Any:
    """The ``data`` of an event or a notice: JSON. Raises :class:`~wsrequest.errors.InvalidMessage`."""
    if said.data is UNSET:
        return None
    value = _value(codec, said.data)
    return _loads(value) if isinstance(value, bytes) else value


def state_of(codec: Codec, said: Said, content_type: str) -> Any:
    """What a url answers: what its JSON says, else text or bytes."""
    if said.data is UNSET:
        return None
    if is_json_type(content_type) and said.encoding is UNSET:
        return data_of(codec, said)
    value = _value(codec, said.data)
    return body_of(codec, said, content_type) if said.encoding == "base64" else value


def _value(codec: Codec, raw: Raw) -> Any:
    try:
        return codec.value(raw)
    except (ValueError, RecursionError):
        raise InvalidMessage from None


def _loads(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # of a type that is JSON, and none
