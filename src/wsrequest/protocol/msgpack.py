"""``wsrequest.v1.msgpack``: MessagePack in binary frames, where bytes are bytes.

The messages are those of JSON, and so is what becomes of them: a request's ``data`` is written as JSON text when its
message is read, except bytes, which are the body as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wsrequest.errors import InvalidField, InvalidMessage, MessageError, TooDeep, TooManyKeys
from wsrequest.protocol.codec import Codec, Limits
from wsrequest.protocol.messages import BytesRequest, Request, ServerMessage


class MsgpackCodec(Codec, decoder=msgspec.msgpack.Decoder):
    """A text frame is refused."""

    name = "msgpack"
    subprotocol = "wsrequest.v1.msgpack"
    rewrites_json = True

    def encode(self, message: ServerMessage) -> bytes:
        return _ENCODER.encode(message)

    def frame(self, messages: list[bytes]) -> bytes:
        count = len(messages)
        if count == 1:
            return messages[0]
        head = bytes((0x90 + count,)) if count < 16 else b"\xdd" + count.to_bytes(4, "big")
        return head + b"".join(messages)

    def splice(self, body: bytes) -> Raw | None:
        """The same value. None also for JSON with a number that is no 64-bit integer and no finite double, and with
        half a surrogate pair in a string."""
        try:
            return Raw(_ENCODER.encode(_JSON_DECODER.decode(body)))
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            return None

    def binary(self, body: bytes) -> tuple[bytes, UnsetType]:
        return body, UNSET

    def _opened(self, frame: str | bytes) -> tuple[bytes, bool]:
        if isinstance(frame, str):
            raise ValueError
        return frame, _ARRAY(frame) is not None

    def _parts(self, data: bytes) -> Sequence[Raw]:
        try:
            return _PARTS.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise ValueError from None

    def _examined(self, part: bytes, request: Request, limits: Limits) -> Request:
        message = _VALUE.decode(part)
        if request.data is UNSET and _is_small(part, limits):
            return request
        problem = _survey(message, request.id, limits)
        if request.data is UNSET:
            return request
        data = message["data"]
        if isinstance(data, bytes):
            return BytesRequest(**msgspec.structs.asdict(request) | {"data": Raw(data)})
        if problem:  # if not in a field that nobody reads
            _check_is_json(data, request.id)
        request.data = Raw(_JSON_ENCODER.encode(data))  # writes bytes as base64
        return request

    def _unreadable(self, part: bytes, limits: Limits) -> MessageError:
        return InvalidMessage(self._find_id(part))

    def _unreadable_id(self, part: bytes) -> None:
        return None

    def _leading_id(self, part: bytes) -> bytes | None:
        start = _LEADING_ID(part)
        if start is None:
            return None
        length = int.from_bytes(start["short"] or b"") % 0xA0
        length += int.from_bytes(start["long"] or start["longer"] or b"")
        return b"\x81" + part[start.start("pair") : start.end() + length]


_ENCODER = msgspec.msgpack.Encoder()
_PARTS = msgspec.msgpack.Decoder(list[Raw])
_VALUE = msgspec.msgpack.Decoder()
_JSON_ENCODER = msgspec.json.Encoder()
_JSON_DECODER = msgspec.json.Decoder()
_NO_LIMITS = Limits(None, None, None)
_ARRAY = re.compile(rb"[\x90-\x9f\xdc\xdd]").match
#: A map that begins with "id" and a positive integer or the head of a string.
_LEADING_ID = re.compile(
    rb"(?:[\x80-\x8f]|\xde..|\xdf....)"
    rb"(?P<pair>\xa2id(?:[\x01-\x7f]|\xcc.|\xcd..|\xce....|\xcf.{8}"
    rb"|(?P<short>[\xa0-\xbf])|\xd9(?P<long>.)|\xda(?P<longer>..)))",
    re.DOTALL,
).match
_ONLY_STRINGS = {str}
_SCALARS = {type(None), bool, int, str, bytes}


def _check_is_json(data: Any, id: int | str | None) -> None:
    """Raise InvalidField for what JSON can't say."""
    if problem := _survey([data], id, _NO_LIMITS):
        raise InvalidField("data", problem, id)


def _is_small(part: bytes, limits: Limits) -> bool:
    """Whether so few bytes are sure to be within the limits."""
    depth, keys = limits.max_depth, limits.max_keys
    return (depth is None or len(part) <= depth) and (keys is None or len(part) <= 2 * keys)


def _survey(value: dict[str, Any] | list[Any], id: int | str | None, limits: Limits) -> str:
    """Why the value can't be JSON, "" where it can. (Bytes can: they become base64.) Raises TooDeep and TooManyKeys."""
    problem = ""
    depth, keys = limits.max_depth, limits.max_keys
    number, most_keys = 0, 0
    level: list[Any] = [value]
    while level:
        number += 1
        if depth is not None and number > depth:
            raise TooDeep(depth, id)
        below: list[Any] = []
        for container in level:
            if type(container) is list:
                problem = _strangeness(container, below) or problem
                continue
            most_keys = max(most_keys, len(container))
            problem = _strangeness(container.values(), below) or problem
            if not _ONLY_STRINGS.issuperset(map(type, container)):
                problem = "the keys of a map are strings"
        level = below
    if keys is not None and most_keys > keys:
        raise TooManyKeys(keys, id)
    return problem


def _strangeness(values: Iterable[Any], below: list[Any]) -> str:
    """Why these can't stand in JSON; arrays and maps among them are added to ``below``."""
    problem = ""
    for value in values:
        if (kind := type(value)) in _SCALARS:
            continue
        if kind is dict or kind is list:
            below.append(value)
        elif kind is not float:
            problem = "JSON has no extension types"
        elif not isfinite(value):
            problem = "NaN and Infinity are not JSON"
    return problem
