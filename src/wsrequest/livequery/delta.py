"""The difference between two answers, as JSON Patch (RFC 6902).

The library that finds it comes with the extra ``live``. Without it, and wherever a patch would be no gain, clients are
sent the whole new answer; that is always right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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
            list(_operations(library, old, new)),
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


def _operations(library: Any, old: Any, new: Any) -> Iterator[dict[str, Any]]:
    """What the library finds, which looks into every value, where it is shown no more than what differs: mostly that is
    one row of a list."""
    path = ""
    while (keys := _differing(old, new)) is not None and len(keys) == 1:
        (key,) = keys
        path += "/" + str(key).replace("~", "~0").replace("/", "~1")
        old, new = old[key], new[key]
    for operation in library.make_patch(old, new).patch:
        yield {
            name: path + value if name in ("path", "from") else value
            for name, value in operation.items()
        }


def _differing(old: Any, new: Any) -> list[Any] | None:
    """The keys of what differs in the two; None where they are no containers with the same keys."""
    if old.__class__ is dict and new.__class__ is dict and old.keys() == new.keys():
        keys: Iterable[Any] = old
    elif old.__class__ is list and new.__class__ is list and len(old) == len(new):
        keys = range(len(old))
    else:
        return None
    # Their texts, as 1, 1.0 and True are equal; where only the order of keys differs, the library is asked.
    return [key for key in keys if repr(old[key]) != repr(new[key])]


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
