"""``wsrequest.v1.msgpack``: MessagePack in binary frames, where bytes are bytes.

The messages are those of JSON, and so is what becomes of them: a request's ``data`` is written as JSON text when its
message is read, except bytes, which are the body as they are.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wsrequest.errors import InvalidField, InvalidMessage, MessageError, TooDeep, TooManyKeys
from wsrequest.protocol.codec import Codec, Limits
from wsrequest.protocol.messages import (
    Asked,
    Auth,
    BytesRequest,
    Cancel,
    Happening,
    Id,
    Ping,
    Request,
    ServerMessage,
)

#: Bytes from which on a message is large.
LARGE = 2**16


class MsgpackCodec(Codec, decoder=msgspec.msgpack.Decoder):
    """A text frame is refused."""

    name = "msgpack"
    subprotocol = "wsrequest.v1.msgpack"
    rewrites_json = True

    def value(self, raw: Raw) -> Any:
        return _VALUE.decode(raw)

    def json_text(self, raw: Raw) -> bytes:
        value = self.value(raw)
        return value if isinstance(value, bytes) else _JSON_ENCODER.encode(value)

    def encode(self, message: ServerMessage | Happening | Asked | Auth | Cancel | Ping) -> bytes:
        return _ENCODER.encode(message)

    def head(self, id: Id, fields: int, skip: int = 0) -> bytes:
        own = {"id": id, "skip": skip} if skip else {"id": id}
        return bytes((0x80 + fields + len(own),)) + _ENCODER.encode(own)[1:]

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
        message = _decoded(part)
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
_NESTING = {dict, list}
_SCALARS = {type(None), bool, int, str, bytes}


def _decoded(part: bytes) -> Any:
    """The message as Python has it.

    A large one is made without the garbage collector: it would look through the whole process again and again while a
    million arrays are made, none of them garbage. (MessagePack's own package for Python advises the same.)
    """
    if len(part) < LARGE or not gc.isenabled():
        return _VALUE.decode(part)
    gc.disable()
    try:
        return _VALUE.decode(part)
    finally:
        gc.enable()


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
        level, width, strange = _one_level(level)
        most_keys = max(most_keys, width)
        problem = strange or problem
    if keys is not None and most_keys > keys:
        raise TooManyKeys(keys, id)
    return problem


def _one_level(containers: list[Any]) -> tuple[list[Any], int, str]:
    """The arrays and maps in these, the keys of the widest map among these, and what JSON has not.

    There may be a million of either, so nothing is called for each of them.
    """
    below: list[Any] = []
    width = 0
    problem = ""
    for container in containers:
        values = container
        if type(container) is dict:
            values = container.values()
            if len(container) > width:
                width = len(container)
            for key in container:
                if type(key) is not str:
                    problem = "the keys of a map are strings"
        for value in values:
            kind = type(value)
            if kind in _NESTING:
                below.append(value)
            elif kind not in _SCALARS:
                problem = _strangeness(value) or problem
    return below, width, problem


def _strangeness(value: Any) -> str:
    if type(value) is not float:
        return "JSON has no extension types"
    return "" if isfinite(value) else "NaN and Infinity are not JSON"
