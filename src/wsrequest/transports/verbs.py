"""Requests as events with an acknowledgement, in the shape that Sails gave to them, and the protocol's messages.

A client emits ``get``, or any other method, with ``{url, headers, data}``, and is given ``{body, headers,
statusCode}``. What a server says on its own are events. Nothing here knows Socket.IO, or waits.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wsrequest.errors import InvalidMessage, MessageTooLarge, StreamTooLong, WSRequestError
from wsrequest.protocol.body import is_json_type

#: What a client may say of a request. ``stream``: it takes the pieces of a streamed body as they come.
FIELDS = frozenset("url data headers token encoding timeout key since live presence stream".split())
#: By these Socket.IO's clients tell of the connection itself: nothing that a project says may look like them.
RESERVED = frozenset(
    "connect connect_error disconnect disconnecting newListener removeListener".split()
)
JSON_TYPE = {"content-type": "application/json"}


class Acknowledge(NamedTuple):
    """Answer the event that was :meth:`~Verbs.ask`'s with this id."""

    id: int
    answer: dict[str, Any]


class Emit(NamedTuple):
    """Tell the client."""

    event: str
    arguments: tuple[Any, ...]


class Say(NamedTuple):
    """Tell the session."""

    frame: str


@dataclass(slots=True)
class _Asked:
    """What a client has asked for, until nothing more belongs to it."""

    url: Any
    streams: bool
    #: Whether it is for :meth:`~Verbs.unsubscribe`, which names it by its url.
    goes_on: bool
    answered: bool = False
    #: The answer without its body, while that is put together here.
    head: dict[str, Any] | None = None
    pieces: list[str | bytes] = field(default_factory=list)
    size: int = 0


class Verbs:
    """What one client has asked for, and may still be told."""

    def __init__(self, most_bytes: int | None, most_buffered: int) -> None:
        """``most_bytes`` of a message; ``most_buffered`` bytes (or characters) of a stream that is put together."""
        self._most_bytes = most_bytes
        self._most_buffered = most_buffered
        self._ids = itertools.count(1)
        self._asked: dict[int, _Asked] = {}

    def ask(self, event: str, message: dict[Any, Any]) -> tuple[int, str]:
        """The request's id, and its frame. Raises :class:`~wsrequest.errors.MessageError` for what can't be one."""
        key = next(self._ids)
        said: dict[str, Any] = {"id": key}
        if event == "auth":
            said["auth"] = message.get("token")
        else:
            said["method"] = event
            said |= {name: message[name] for name in FIELDS & message.keys()}
        streams = said.pop("stream", False) is True
        if isinstance(said.get("data"), bytes):
            said["encoding"] = "base64"
        frame = _frame(said)
        if self._most_bytes is not None and len(frame.encode()) > self._most_bytes:
            raise MessageTooLarge(self._most_bytes)
        goes_on = streams or event.upper() == "SUBSCRIBE"
        self._asked[key] = _Asked(said.get("url"), streams, goes_on)
        return key, frame

    def unsubscribe(self, message: dict[Any, Any]) -> list[Say]:
        """End the subscriptions to this ``url``, and its streams; or what has this ``id``."""
        wanted, url = message.get("id"), message.get("url")
        ended = [
            key
            for key, asked in self._asked.items()
            if key == wanted or (asked.goes_on and asked.url == url)
        ]
        for key in ended:
            if self._asked[key].answered:
                del self._asked[key]
        return [_cancel(key) for key in ended]

    def read(self, frame: str | bytes) -> Iterator[Acknowledge | Emit | Say]:
        """What is to be done about what the session says."""
        said = json.loads(frame)
        for message in said if isinstance(said, list) else [said]:
            yield from self._read(message)

    def _read(self, message: dict[str, Any]) -> Iterator[Acknowledge | Emit | Say]:
        key = message.pop("id", None)
        if key is None:
            name = message.get("control") or message.get("event")
            if name is not None:  # else a pong
                yield _emit(name, message.get("data"))
        elif (asked := self._asked.get(key)) is None:
            return  # unsubscribed
        elif "chunk" in message:
            yield from self._piece(key, asked, _value(message, "chunk"))
        elif "end" in message:
            del self._asked[key]
            yield _end(key, asked, message)
        elif "event" in message:
            about = {"id": key, "url": asked.url, **message}
            name, data = about.pop("event"), _value(about, "data")
            yield _emit(name, data, about)
        else:
            yield from self._answer(key, asked, message)

    def _answer(self, id: int, asked: _Asked, message: dict[str, Any]) -> Iterator[Acknowledge]:
        status, headers = message["status"], message["headers"]
        answer = {"body": _value(message, "data"), "headers": headers, "statusCode": status}
        if cookies := message.get("cookies"):
            answer["cookies"] = cookies
        if "subscription" in message:
            answer["subscription"] = {"id": id, **message["subscription"]}
        elif not message.get("more"):
            del self._asked[id]
        elif asked.streams:
            answer["stream"] = {"id": id}
        else:
            asked.head = answer
            return
        asked.answered = True
        yield Acknowledge(id, answer)

    def _piece(
        self, id: int, asked: _Asked, piece: str | bytes
    ) -> Iterator[Acknowledge | Emit | Say]:
        if asked.head is None:
            yield _emit("chunk", piece, {"id": id, "url": asked.url})
            return
        asked.pieces.append(piece)
        asked.size += len(piece)
        if asked.size > self._most_buffered:
            del self._asked[id]
            yield _cancel(id)
            yield Acknowledge(id, failed(StreamTooLong(self._most_buffered)))


def failed(error: WSRequestError) -> dict[str, Any]:
    """The acknowledgement that reports an error."""
    headers = dict(JSON_TYPE)
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return {"body": error.as_data(), "headers": headers, "statusCode": error.status}


def _end(id: int, asked: _Asked, message: dict[str, Any]) -> Acknowledge | Emit:
    body, status = _value(message, "data"), message.get("status")
    if asked.head is None:
        about = {"id": id, "url": asked.url}
        return _emit("end", body, about if status is None else about | {"statusCode": status})
    if status is not None:
        return Acknowledge(id, {"body": body, "headers": dict(JSON_TYPE), "statusCode": status})
    return Acknowledge(id, asked.head | {"body": _whole(asked.head["headers"], asked.pieces)})


def _emit(event: str, *arguments: Any) -> Emit:
    return Emit(f"wsrequest:{event}" if event in RESERVED else event, arguments)


def _cancel(id: int) -> Say:
    return Say(json.dumps({"cancel": id}))


def _frame(said: dict[str, Any]) -> str:
    """The message as JSON; bytes are their base64. Raises InvalidMessage for what is not JSON."""
    try:
        frame = json.dumps(said, default=_base64, ensure_ascii=False, allow_nan=False)
        if not frame.isascii() and any("\ud800" <= c <= "\udfff" for c in frame):
            frame = json.dumps(said, default=_base64, allow_nan=False)  # half an emoji
    except (ValueError, TypeError, RecursionError):
        raise InvalidMessage from None
    return frame


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode("ascii")


def _value(message: dict[str, Any], name: str) -> Any:
    """This field, which is taken out, with the encoding."""
    value = message.pop(name, None)
    return base64.b64decode(value) if message.pop("encoding", None) == "base64" else value


def _whole(headers: dict[str, str], pieces: list[str | bytes]) -> Any:
    """A body that came in pieces, as it would have come in one."""
    if any(isinstance(piece, bytes) for piece in pieces):
        return b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    if is_json_type(headers.get("content-type", "")):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return text
