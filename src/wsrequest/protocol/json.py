"""``wsrequest.v1.json``: JSON in text frames."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal, NoReturn

import msgspec
from msgspec import Raw

from wsrequest.errors import InvalidMessage, MessageError, TooDeep, TooManyKeys
from wsrequest.protocol.codec import Codec, Limits
from wsrequest.protocol.messages import (
    Asked,
    Auth,
    Cancel,
    ClientMessage,
    Happening,
    Id,
    Ping,
    Request,
    ServerMessage,
    checked,
)


class JSONCodec(Codec, decoder=msgspec.json.Decoder):
    """Also what a connection without a subprotocol speaks. A binary frame is read as if it were text."""

    name = "json"
    subprotocol = "wsrequest.v1.json"
    rewrites_json = False

    def value(self, raw: Raw) -> Any:
        try:
            return _VALUE.decode(raw)
        except msgspec.DecodeError:
            return _standard_loads(bytes(raw))  # half a surrogate pair

    def json_text(self, raw: Raw) -> bytes:
        return bytes(raw)

    def encode(self, message: ServerMessage | Happening | Asked | Auth | Cancel | Ping) -> bytes:
        """One message as JSON text in UTF-8."""
        return _ENCODER.encode(message)

    def head(self, id: Id, fields: int, skip: int = 0) -> bytes:
        skipped = b'"skip":%d,' % skip if skip else b""
        return b'{"id":%b,%b' % (_ENCODER.encode(id), skipped)

    def frame(self, messages: list[bytes]) -> str:
        if len(messages) == 1:
            return messages[0].decode()
        return f"[{b','.join(messages).decode()}]"

    def splice(self, body: bytes) -> Raw | None:
        return Raw(body) if is_json(body) else None

    def binary(self, body: bytes) -> tuple[str, Literal["base64"]]:
        return base64.b64encode(body).decode("ascii"), "base64"

    def _opened(self, frame: str | bytes) -> tuple[bytes, bool]:
        if isinstance(frame, str):
            text = frame.encode()
        else:
            text = frame
            text.decode()  # msgspec would not see it in what it only skips
        return text, text[:1] != b"{" and text.lstrip(_WHITESPACE)[:1] == b"["

    def _parts(self, data: bytes) -> Sequence[Raw | bytes]:
        try:
            return _PARTS.decode(data)
        except RecursionError:
            raise ValueError from None
        except msgspec.DecodeError:
            # One message that only the standard library reads must not cost the others their answer.
            return [_dumps(part) for part in _standard_loads(data)]

    def _examined(self, part: bytes, request: Request, limits: Limits) -> Request:
        """Size, or counting brackets and colons, is enough for nearly every message."""
        depth, keys = limits.max_depth, limits.max_keys
        if (
            depth is not None
            and len(part) > 2 * depth
            and part.count(b"{") + part.count(b"[") > depth
        ) or (keys is not None and len(part) > 4 * keys and part.count(b":") > keys):
            _check_shape(part, request.id, depth, keys)
        return request

    def _unreadable(self, part: bytes, limits: Limits) -> ClientMessage | MessageError:
        """A message that msgspec can't read, read as Django's own views would read it.

        A lone surrogate (an escape that is half an emoji) is legal JSON, and what a browser sends when a text was cut
        in the middle; in ``data`` it goes to the view, which answers as over HTTP. Anything else is refused.
        """
        try:
            value = _standard_loads(part)
        except ValueError:
            return InvalidMessage()
        if not isinstance(value, dict):
            return InvalidMessage()
        message_id = self._id_of(value)
        data = value.get("data")
        known = {name: value[name] for name in _ENVELOPE if name in value}
        try:
            request = self._examined(part, self._request.decode(_dumps(known)), limits)
            request.data = Raw(_dumps(data))
            return checked(request, limits.header_rules)
        except MessageError as error:
            return error
        except (msgspec.DecodeError, ValueError, RecursionError):
            return InvalidMessage(message_id)

    def _unreadable_id(self, part: bytes) -> int | str | None:
        try:
            return self._id_of(_standard_loads(part))
        except ValueError:
            return None

    def _id_of(self, value: dict[str, Any]) -> int | str | None:
        """The id of a message that the standard library has read."""
        try:
            return self._identified.decode(_dumps({"id": value.get("id")})).id
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None

    def _leading_id(self, part: bytes) -> bytes | None:
        start = _LEADING_ID(part)
        return start[0] + b"}" if start else None


def is_json(body: bytes) -> bool:
    """Whether these bytes are one JSON text in UTF-8, so that they may stand in a message as they are."""
    try:
        _RAW.decode(body)
        if not body.isascii():
            body.decode()  # msgspec does not look inside strings when it only skips them
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(Raw)
_VALUE = msgspec.json.Decoder()
_PARTS = msgspec.json.Decoder(list[Raw])
_ENVELOPE = [name for name in Request.__struct_fields__ if name != "data"]
_WHITESPACE = b" \t\r\n"
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:[^,{}\[\]]{1,400}(?=,)').match


def _check_shape(text: bytes, id: int | str | None, depth: int | None, keys: int | None) -> None:
    """Raise TooDeep or TooManyKeys."""
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
