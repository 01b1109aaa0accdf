"""The difference between two answers, as JSON Patch (RFC 6902).

The library that finds it comes with the extra ``live``. Without it, and wherever a patch would be no gain, clients are
sent the whole new answer; that is always right.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import msgspec
from msgspec import Raw, UnsetType

from wsrequest.protocol.codec import Codec, Encoding

#: Above one of these a patch is not looked for. The search takes Python 5 to 10 microseconds for a value where little
#: has changed, as much as 200 where much has; a page of 100 rows has some 1,000 values in 20 KB.
MOST_BYTES = 2**16
MOST_VALUES = 2_000


class State(Protocol):
    """An answer's body as the codec has written it."""

    @property
    def data(self) -> Raw | str | bytes | UnsetType: ...
    @property
    def encoding(self) -> Encoding: ...
    @property
    def codec(self) -> Codec: ...


class Patch(NamedTuple):
    """What turns the old answer into the new one: ``ops`` is the array of operations, as the codec writes it."""

    ops: Raw


#: The two say the same to a client, who holds what was parsed: formatting, order and repetition of keys are lost in
#: that. There is nothing to send.
SAME: Final = Patch(Raw(b""))


def delta(old: State, new: State) -> Patch | None:
    """:data:`SAME`, or the patch; None where the whole new answer is to be sent. It takes its time: not for an event
    loop. Applied to the old answer by the letter, a patch gives the new one, in which ``1``, ``1.0`` and ``true`` are
    three things."""
    if old.codec.name != new.codec.name or type(old.data) is not type(new.data):
        return None
    if (old.data, old.encoding) == (new.data, new.encoding):
        return SAME
    if not isinstance(old.data, Raw) or not isinstance(new.data, Raw):
        return None
    before, after = bytes(old.data), bytes(new.data)
    if len(before) > MOST_BYTES or len(after) > MOST_BYTES:
        return None
    try:
        return _delta(before, after, new.codec)
    except (ValueError, TypeError, LookupError, RecursionError):  # one of them is beyond a reader
        return None


def _delta(before: bytes, after: bytes, codec: Codec) -> Patch | None:
    old, new = _read(before, codec), _read(after, codec)
    wanted, had = _canonical(new), _canonical(old)
    if wanted == had:
        return SAME
    library = _library()
    if library is None or max(had.count(","), wanted.count(",")) >= MOST_VALUES:
        return None
    try:
        text = json.dumps(
            library.make_patch(old, new).patch,
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        ).encode()
        ops = codec.splice(text)
        if ops is None or len(bytes(ops)) >= len(after):
            return None
        # What is sent is tried, on a value that nobody has touched: the library compares with ==.
        reached = library.apply_patch(_read(before, codec), json.loads(text), in_place=True)
    except (library.JsonPatchException, library.JsonPointerException):
        return None
    return Patch(ops) if _canonical(reached) == wanted else None


def _read(data: bytes, codec: Codec) -> Any:
    if codec.name == "msgpack":
        return msgspec.msgpack.decode(data)
    # The standard library's reader: integers of any size stay what they are.
    return json.loads(data, parse_constant=_refuse)


def _canonical(value: Any) -> str:
    """One text for each value. Raises ValueError for a number that is too large for a double."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


@cache
def _library() -> Any:
    """The library, or None where it is not installed."""
    try:
        import jsonpatch
    except ImportError:
        return None
    return jsonpatch
