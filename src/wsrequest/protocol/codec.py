"""Frames to messages and back, with the limits that keep a hostile frame cheap.

One frame is one message or an array of messages, in both directions. A codec has no state: one instance
serves every connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
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
    Auth,
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
        try:
            text = frame.encode() if isinstance(frame, str) else _in_utf8(frame)
        except UnicodeError:
            return (InvalidMessage(),)
        maximum = limits.max_message_bytes
        if maximum is not None and len(text) > maximum:
            return (MessageTooLarge(maximum),)
        if text[:1] == b"{" or text.lstrip(_WHITESPACE)[:1] != b"[":
            return (_message(text, limits),)
        try:
            parts = _parts(text)
        except ValueError:
            return (InvalidMessage(),)
        return (_message(bytes(part), limits) for part in parts)

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
        _RAW.decode(body)
        if not body.isascii():
            body.decode()  # msgspec does not look inside strings when it only skips them
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class _Identified(msgspec.Struct, gc=False):
    id: Id | None = None


_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(Raw)
_PARTS = msgspec.json.Decoder(list[Raw])
_REQUEST = msgspec.json.Decoder(Request)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_NAMES = msgspec.json.Decoder(dict[str, Raw])
_CONTROLS: dict[
    str,
    msgspec.json.Decoder[Cancel]
    | msgspec.json.Decoder[Auth]
    | msgspec.json.Decoder[Ping]
    | msgspec.json.Decoder[Pong],
] = {
    "auth": msgspec.json.Decoder(Auth),
    "cancel": msgspec.json.Decoder(Cancel),
    "ping": msgspec.json.Decoder(Ping),
    "pong": msgspec.json.Decoder(Pong),
}
_WHITESPACE = b" \t\r\n"
_PLACE = re.compile(r" - at `\$\.(\w+).*`$")
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:[^,{}\[\]]{1,400}(?=,)').match


def _in_utf8(frame: bytes) -> bytes:
    """The frame itself. Raises UnicodeDecodeError: msgspec would not see it in what it only skips."""
    frame.decode()
    return frame


def _parts(text: bytes) -> Sequence[Raw | bytes]:
    """The messages of an array. Raises ValueError where it is none."""
    try:
        return _PARTS.decode(text)
    except RecursionError:
        raise ValueError from None
    except msgspec.DecodeError:
        # One message that only the standard library reads must not cost the others their answer.
        return [_dumps(part) for part in _standard_loads(text)]


def _message(text: bytes, limits: Limits) -> ClientMessage | MessageError:
    try:
        request = _REQUEST.decode(text)
        _check_shape(text, request.id, limits)
        if request.url is None:
            return _without_url(text, request)
        return checked(request, limits.header_rules)
    except MessageError as error:
        return error
    except msgspec.ValidationError as error:
        return _refusal(str(error), _find_id(text))
    except msgspec.DecodeError:
        return _read_by_standard_library(text, limits)
    except RecursionError:
        return _past_recursion(_find_id(text), limits)


def _without_url(text: bytes, request: Request) -> ClientMessage:
    names = _NAMES.decode(text)
    for name, decoder in _CONTROLS.items():
        if name in names:
            return decoder.decode(text)
    raise MissingURL(request.id)


def _find_id(text: bytes) -> int | str | None:
    """The id of a message that can't be read as a whole; where even skipping is too deep, an id that stands first."""
    try:
        return _IDENTIFIED.decode(text).id
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        try:
            return _id_of(_standard_loads(text))
        except ValueError:
            return None
    except RecursionError:
        start = _LEADING_ID(text)
        return _find_id(start[0] + b"}") if start else None


def _refusal(problem: str, id: int | str | None) -> MessageError:
    """msgspec's sentence ("Expected `str`, got `int` - at `$.url`") as ours."""
    place = _PLACE.search(problem)
    if place is None:
        return InvalidMessage(id)
    sentence = problem[: place.start()]
    return InvalidField(place[1], sentence[:1].lower() + sentence[1:], id)


def _past_recursion(id: int | str | None, limits: Limits) -> MessageError:
    """Nested deeper than any reader here goes, whether or not there is a limit."""
    return InvalidMessage(id) if limits.max_depth is None else TooDeep(limits.max_depth, id)


def _check_shape(text: bytes, id: int | str | None, limits: Limits) -> None:
    """Raise TooDeep or TooManyKeys. Size, or counting brackets and colons, is enough for nearly every message."""
    depth, keys = limits.max_depth, limits.max_keys
    may_be_deep = (
        depth is not None and len(text) > 2 * depth and text.count(b"{") + text.count(b"[") > depth
    )
    may_be_wide = keys is not None and len(text) > 4 * keys and text.count(b":") > keys
    if not (may_be_deep or may_be_wide):
        return
    structure = _without_strings(text)
    if (
        depth is not None
        and max(accumulate(map(_STEPS, structure.translate(None, _NOT_BRACKETS)))) > depth
    ):
        raise TooDeep(depth, id)
    if keys is not None and structure.count(b":") > keys:

        def count(pairs: list[tuple[str, Any]]) -> None:
            if len(pairs) > keys:
                raise TooManyKeys(keys, id)

        json.loads(text, object_pairs_hook=count, parse_int=float)


def _without_strings(text: bytes) -> bytes:
    """Valid JSON without its strings, so that a bracket or colon in it is one."""
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(without_escapes.split(b'"')[::2])


_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}.__getitem__
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def _read_by_standard_library(text: bytes, limits: Limits) -> ClientMessage | MessageError:
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
    message_id = _id_of(value)
    data = value.get("data")
    known = {name: value[name] for name in _ENVELOPE if name in value}
    try:
        request = _REQUEST.decode(_dumps(known))
        _check_shape(text, message_id, limits)
        request.data = Raw(_dumps(data))
        return checked(request, limits.header_rules)
    except MessageError as error:
        return error
    except (msgspec.DecodeError, ValueError, RecursionError):
        return InvalidMessage(message_id)


_ENVELOPE = [name for name in Request.__struct_fields__ if name != "data"]


def _id_of(value: dict[str, Any]) -> int | str | None:
    """The id of a message that the standard library has read."""
    try:
        return _IDENTIFIED.decode(_dumps({"id": value.get("id")})).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _standard_loads(text: bytes) -> Any:
    """The standard library's reader without its extension (NaN, Infinity). Raises ValueError only."""
    try:
        return json.loads(text.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _dumps(value: Any) -> bytes:
    """JSON in ASCII: a lone surrogate stays an escape. Raises ValueError for an infinite number."""
    return json.dumps(value, allow_nan=False).encode()
