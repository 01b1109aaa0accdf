"""Frames to messages and back, with the limits that keep a hostile frame cheap.

One frame is one message or an array of messages, in both directions. A codec has no state: one instance
serves every connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec
from msgspec import Raw

from wsrequest.errors import (
    InvalidField,
    InvalidMessage,
    MessageError,
    MessageTooLarge,
    MissingURL,
    TooDeep,
    TooManyKeys,
)
from wsrequest.protocol.messages import (
    Cancel,
    ClientMessage,
    HeaderRules,
    Id,
    Ping,
    Pong,
    Request,
    ServerMessage,
    checked,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may cost: bytes, nesting levels (the message itself is 1), keys in one object.

    None means that there is no limit. ``header_rules`` says which headers a message may bear.
    """

    max_message_bytes: int | None = 1024 * 1024
    max_depth: int | None = 64
    max_keys: int | None = 10_000
    header_rules: HeaderRules = field(default_factory=HeaderRules)


class JSONCodec:
    """``wsrequest.v1.json``, and what a connection without a subprotocol speaks: text frames."""

    subprotocol = "wsrequest.v1.json"

    def decode(self, frame: str | bytes, limits: Limits) -> Iterable[ClientMessage | MessageError]:
        """The frame's messages in their order; one that is refused stands there as its error.

        Raises nothing: a frame that can't be read at all is one error. Bytes are read as UTF-8. The messages of an
        array are made one by one, as they are asked for.
        """
        maximum = limits.max_message_bytes
        if maximum is not None and _size(frame) > maximum:
            return [MessageTooLarge(maximum)]
        if isinstance(frame, bytes):
            try:
                frame = frame.decode()
            except UnicodeDecodeError:
                return [InvalidMessage()]
        if not _is_array(frame):
            return [_message(frame, limits)]
        try:
            parts = _PARTS.decode(frame)
        except RecursionError:
            return [InvalidMessage()]
        except msgspec.DecodeError:
            # One message that only the standard library reads must not cost the others their answer.
            try:
                parts = [_dumps(part) for part in _standard_loads(frame)]
            except ValueError:
                return [InvalidMessage()]
        return (_message(str(part, "utf-8"), limits) for part in parts)

    def encode(self, message: ServerMessage) -> bytes:
        """One message as JSON text in UTF-8."""
        return _ENCODER.encode(message)

    def frame(self, messages: list[bytes]) -> str:
        """The text frame that carries these encoded messages: one stands alone, several form an array."""
        if len(messages) == 1:
            return messages[0].decode()
        return f"[{b','.join(messages).decode()}]"


def is_json(body: bytes) -> bool:
    """Whether these bytes are one JSON text in UTF-8, so that they may stand in a message as they are."""
    try:
        msgspec.json.decode(body, type=Raw)
        body.decode()  # msgspec does not look inside strings when it only skips them
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class _Identified(msgspec.Struct, gc=False):
    id: Id | None = None


_ENCODER = msgspec.json.Encoder()
_PARTS = msgspec.json.Decoder(list[Raw])
_REQUEST = msgspec.json.Decoder(Request)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_NAMES = msgspec.json.Decoder(dict[str, Raw])
_CONTROLS: dict[
    str, msgspec.json.Decoder[Cancel] | msgspec.json.Decoder[Ping] | msgspec.json.Decoder[Pong]
] = {
    "cancel": msgspec.json.Decoder(Cancel),
    "ping": msgspec.json.Decoder(Ping),
    "pong": msgspec.json.Decoder(Pong),
}
_ARRAY = re.compile(r"[ \t\r\n]*\[").match
_PLACE = re.compile(r" - at `\$\.(\w+).*`$")


def _is_array(text: str) -> bool:
    return _ARRAY(text) is not None


def _size(frame: str | bytes) -> int:
    """Bytes on the wire; a text of ASCII need not be encoded to know."""
    if isinstance(frame, str) and not frame.isascii():
        return len(frame.encode("utf-8", "surrogatepass"))
    return len(frame)


def _message(text: str, limits: Limits) -> ClientMessage | MessageError:
    try:
        _check_shape(text, limits)
        request = _REQUEST.decode(text)
        if request.url is None:
            return _without_url(text, request)
        return checked(request, limits.header_rules)
    except MessageError as error:
        return error
    except msgspec.ValidationError as error:
        return _refusal(str(error), _find_id(text))
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _read_by_standard_library(text, limits)
    except RecursionError:
        return InvalidMessage()


def _without_url(text: str, request: Request) -> ClientMessage | MessageError:
    names = _NAMES.decode(text)
    for name, decoder in _CONTROLS.items():
        if name in names:
            return decoder.decode(text)
    return MissingURL(request.id)


def _find_id(text: str) -> int | str | None:
    try:
        return _IDENTIFIED.decode(text).id
    except msgspec.DecodeError:
        return None


def _refusal(problem: str, id: int | str | None) -> MessageError:
    """msgspec's sentence ("Expected `str`, got `int` - at `$.url`") as ours."""
    place = _PLACE.search(problem)
    if place is None:
        return InvalidMessage(id)
    sentence = problem[: place.start()]
    return InvalidField(place[1], sentence[:1].lower() + sentence[1:], id)


def _check_shape(text: str, limits: Limits) -> None:
    """Raise TooDeep or TooManyKeys. Counting brackets and colons is enough for nearly every message."""
    depth_limit, key_limit = limits.max_depth, limits.max_keys
    may_be_deep = depth_limit is not None and text.count("{") + text.count("[") > depth_limit
    may_be_wide = key_limit is not None and text.count(":") > key_limit
    if not (may_be_deep or may_be_wide):
        return
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise TooDeep(depth_limit or 0) from None
    _check_value(value, _find_id(text), limits)


def _check_value(value: Any, id: int | str | None, limits: Limits) -> None:
    level, depth = [value], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        if limits.max_depth is not None and depth > limits.max_depth:
            raise TooDeep(limits.max_depth, id)
        below: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                if limits.max_keys is not None and len(container) > limits.max_keys:
                    raise TooManyKeys(limits.max_keys, id)
                below.extend(container.values())
            else:
                below.extend(container)
        level = below


def _read_by_standard_library(text: str, limits: Limits) -> ClientMessage | MessageError:
    """A message that msgspec can't read, read as Django's own views would read it.

    A lone surrogate (an escape that is half an emoji) is legal JSON, and what a browser sends when a text was cut in
    the middle; in ``data`` it goes to the view, which answers as over HTTP. Anything else is refused.
    """
    try:
        value = _standard_loads(text)
    except ValueError:
        return InvalidMessage()
    if not isinstance(value, dict):
        return InvalidMessage()
    data = value.pop("data", None)
    try:
        request = _REQUEST.decode(json.dumps(value, ensure_ascii=False, allow_nan=False))
        if request.url is None:
            return InvalidMessage(request.id)
        _check_value({"data": data}, request.id, limits)
        request.data = Raw(_dumps(data))
        return checked(request, limits.header_rules)
    except MessageError as error:
        return error
    except (msgspec.DecodeError, ValueError):
        return InvalidMessage()


def _standard_loads(text: str) -> Any:
    """The standard library's reader without its extension (NaN, Infinity). Raises ValueError only."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _dumps(value: Any) -> bytes:
    """JSON in ASCII: a lone surrogate stays an escape. Raises ValueError for an infinite number."""
    return json.dumps(value, allow_nan=False).encode()
