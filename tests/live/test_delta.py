"""The difference between two answers: short, and exact."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from wsrequest.livequery import delta as module
from wsrequest.livequery.delta import MOST_BYTES, MOST_VALUES, SAME, Patch, delta
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.msgpack import MsgpackCodec

CODECS = [JSONCodec(), MsgpackCodec()]


@dataclass
class State:
    data: Any
    encoding: Any = UNSET
    codec: Codec = field(default_factory=JSONCodec)


def state(text: str, codec: Codec = CODECS[0]) -> State:
    """A JSON body as a reply carries it."""
    spliced = codec.splice(text.encode())
    assert spliced is not None, text
    return State(spliced, codec=codec)


def read(data: Raw, codec: Codec) -> Any:
    if codec.name == "msgpack":
        return msgspec.msgpack.decode(bytes(data))
    return json.loads(bytes(data))


def exactly(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    assert pointer[0] == "/"
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def take(value: Any, path: list[str], *, out: bool = False) -> Any:
    for step in path[:-1]:
        value = value[int(step) if isinstance(value, list) else step]
    if not path:
        return value
    last = int(path[-1]) if isinstance(value, list) else path[-1]
    return value.pop(last) if out else value[last]


def put(value: Any, path: list[str], new: Any, *, replace: bool = False) -> Any:
    if not path:
        return new
    target = take(value, [*path[:-1]])
    last = path[-1]
    if isinstance(target, dict):
        assert not replace or last in target
        target[last] = new
    elif replace:
        target[int(last)] = new
    else:
        index = len(target) if last == "-" else int(last)
        assert 0 <= index <= len(target)
        target.insert(index, new)
    return value


def applied(ops: list[dict[str, Any]], value: Any) -> Any:
    """RFC 6902, by the letter, and by nobody's library."""
    for op in ops:
        path = steps(op["path"])
        match op["op"]:
            case "add":
                value = put(value, path, json.loads(json.dumps(op["value"])))
            case "replace":
                value = put(value, path, json.loads(json.dumps(op["value"])), replace=True)
            case "remove":
                take(value, path, out=True)
            case "move":
                value = put(value, path, take(value, steps(op["from"]), out=True))
            case "copy":
                found = json.loads(json.dumps(take(value, steps(op["from"]))))
                value = put(value, path, found)
            case _:
                raise AssertionError(op)
    return value


def check(old: State, new: State) -> Patch | None:
    """The difference, which is seen to be one."""
    found = delta(old, new)
    if found is SAME:
        assert exactly(read(old.data, old.codec)) == exactly(read(new.data, new.codec))
    elif found is not None:
        assert len(bytes(found.ops)) < len(bytes(new.data))
        reached = applied(read(found.ops, new.codec), read(old.data, old.codec))
        assert exactly(reached) == exactly(read(new.data, new.codec))
    return found


def rows(count: int) -> dict[str, Any]:
    return {"count": count, "results": [{"id": i, "title": f"Snippet {i}"} for i in range(count)]}


def patched(codec: Codec, old: Any, new: Any) -> list[dict[str, Any]]:
    found = check(state(json.dumps(old), codec), state(json.dumps(new), codec))
    assert found is not None
    return read(found.ops, codec)


# --- what is sent ---


@pytest.mark.parametrize("codec", CODECS)
def test_a_field_of_a_row(codec: Codec) -> None:
    new = rows(50)
    new["results"][20]["title"] = "Grüße"
    ops = patched(codec, rows(50), new)
    assert ops == [{"op": "replace", "path": "/results/20/title", "value": "Grüße"}]


@pytest.mark.parametrize("codec", CODECS)
def test_a_row_that_comes_first_moves_no_other(codec: Codec) -> None:
    new = rows(50)
    new["results"].insert(0, {"id": 50, "title": "New"})
    assert len(patched(codec, rows(50), new)) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_row_that_goes(codec: Codec) -> None:
    new = rows(50)
    del new["results"][3]
    assert patched(codec, rows(50), new) == [{"op": "remove", "path": "/results/3"}]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("key", ["", "/", "~", "~1", "-", "0", "a b", "ü", '"', "\\", "\u0000"])
def test_any_key_can_be_named(codec: Codec, key: str) -> None:
    filler = {"filler": "x" * 200}
    assert patched(codec, {key: 1, **filler}, {key: 2, **filler})
    assert patched(codec, {"a": {key: [1]}, **filler}, {"a": {key: [1, 2]}, **filler})


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("old", "new"),
    [("1", "true"), ("0", "false"), ("1", "1.0"), ("0.0", "-0.0"), ('""', "null"), ("[]", "{}")],
)
def test_what_python_takes_for_equal_is_told_apart(codec: Codec, old: str, new: str) -> None:
    filler = ',"filler":"' + "x" * 200 + '"}'
    for shape in ('{"a":%s', '{"a":[1,%s]', '{"a":[[%s],{"b":%s}]'):
        one = state(shape.replace("%s", old) + filler, codec)
        other = state(shape.replace("%s", new) + filler, codec)
        assert check(one, other) is not SAME
        assert check(other, one) is not SAME


@pytest.mark.parametrize("codec", CODECS)
def test_true_and_one_that_change_places(codec: Codec) -> None:
    filler = ["x" * 300]
    for old, new in (([1, True], [True, 1]), ([0, False, 1], [False, 1, 0]), ([1.0, 1], [1, 1.0])):
        assert check(state(json.dumps(old + filler), codec), state(json.dumps(new + filler), codec))


# --- nothing ---


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }'),
        ('"ü"', '"\\u00fc"'),
        ("100.0", "1e2"),
        ('{"a":1,"a":2}', '{"a":2}'),
        ("null", "null"),
    ],
)
def test_nothing_is_sent_where_the_same_is_said(codec: Codec, old: str, new: str) -> None:
    assert check(state(old, codec), state(new, codec)) is SAME


@pytest.mark.parametrize("data", [UNSET, "text", b"bytes", Raw(b"1" * (MOST_BYTES + 1))])
def test_nothing_is_sent_for_the_same_bytes_whatever_they_are(data: Any) -> None:
    again = Raw(bytes(data)) if isinstance(data, Raw) else data
    assert delta(State(data), State(again)) is SAME


# --- the whole ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State("text"), State("texts")),
        (State(b"bytes"), State(b"byte")),
        (State("AAAA", "base64"), State("AAAB", "base64")),
        (State("AAAA", "base64"), State("AAAA")),
        (State(UNSET), State(Raw(b"1"))),
        (State(Raw(b'"a"')), State('"a"')),
        (State(Raw(b"1")), State(Raw(b"1"), codec=MsgpackCodec())),
    ],
)
def test_what_is_not_json_comes_whole(old: State, new: State) -> None:
    assert delta(old, new) is None
    assert delta(new, old) is None


@pytest.mark.parametrize("codec", CODECS)
def test_a_patch_that_is_not_shorter_is_not_sent(codec: Codec) -> None:
    assert delta(state("[1]", codec), state("[2]", codec)) is None
    assert delta(state("1", codec), state('"another"', codec)) is None


def with_filler(size: int, value: int) -> State:
    text = json.dumps({"a": value, "b": ""}, separators=(",", ":"))
    return state(text.replace('""', '"' + "x" * (size - len(text)) + '"'))


def test_bytes_have_a_limit() -> None:
    assert check(with_filler(MOST_BYTES, 1), with_filler(MOST_BYTES, 2))
    assert delta(with_filler(MOST_BYTES, 1), with_filler(MOST_BYTES + 1, 2)) is None
    assert delta(with_filler(MOST_BYTES + 1, 1), with_filler(MOST_BYTES, 2)) is None


@pytest.mark.parametrize(("count", "found"), [(MOST_VALUES, True), (MOST_VALUES + 1, False)])
def test_values_have_a_limit(count: int, found: bool) -> None:
    old, new = [1] * count, [2] + [1] * (count - 1)
    assert (check(state(json.dumps(old)), state(json.dumps(new))) is not None) is found
    # The limit is for both.
    few = state(json.dumps([1] * 10 + ["x" * 10_000]))
    assert (delta(few, state(json.dumps(new))) is None) or found


@pytest.mark.parametrize(
    "value",
    [
        b"1e400",
        b"1" * 5000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 30_000 + b"]" * 30_000,
        b"NaN",
        b'"\\ud800"',
    ],
)
def test_what_some_reader_can_not_hold_comes_whole(value: bytes) -> None:
    filler = b'{"filler":"' + b"x" * 300 + b'","a":'
    old, new = State(Raw(filler + b"1}")), State(Raw(filler + value + b"}"))
    assert delta(old, new) is None


def test_integers_of_any_size_are_exact() -> None:
    filler = ["x" * 300]
    old, new = state(json.dumps([2**64, *filler])), state(json.dumps([2**64 + 1, *filler]))
    found = check(old, new)
    assert found is not None
    assert read(found.ops, new.codec)[0]["value"] == 2**64 + 1


@pytest.mark.parametrize("codec", CODECS)
def test_the_way_to_what_differs(codec: Codec) -> None:
    def page(row: Any) -> Any:
        return {"a/b~c": [{"x": "x" * 300}, {"1": [0, 1], "rows": row}], "true": 1}

    assert patched(codec, page([1, 2, 3]), page([1, 3])) == [
        {"op": "remove", "path": "/a~1b~0c/1/rows/1"}
    ]
    assert patched(codec, page([1, {"y": "y"}]), page([True, {"y": "y"}])) == [
        {"op": "replace", "path": "/a~1b~0c/1/rows/0", "value": True}
    ]
    (moved,) = patched(codec, page({"a": "y" * 40}), page({"b": "y" * 40}))
    place = "/a~1b~0c/1/rows/"
    assert moved == {"op": "move", "from": place + "a", "path": place + "b"}


def test_half_an_emoji_that_stays_where_it_is_does_no_harm() -> None:
    filler = '","b":"' + "x" * 300 + '"}'
    old, new = '{"c":1,"a":"\\ud800' + filler, '{"c":2,"a":"\\ud800' + filler
    found = check(State(Raw(old.encode())), State(Raw(new.encode())))
    assert found is not None


# --- the library ---


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in whose patches are what the test says."""
    import jsonpatch

    class Library:
        JsonPatchException = jsonpatch.JsonPatchException
        JsonPointerException = jsonpatch.JsonPointerException
        apply_patch = staticmethod(jsonpatch.apply_patch)
        patch: list[dict[str, Any]] = []

        def make_patch(self, old: Any, new: Any) -> Library:
            return self

    found = Library()
    monkeypatch.setattr(module, "_library", lambda: found)
    return found


@pytest.mark.parametrize(
    "patch",
    [
        [],
        [{"op": "replace", "path": "", "value": True}],
        [{"op": "replace", "path": "", "value": 2.0}],
        [{"op": "remove", "path": "/9"}],
        [{"op": "nonsense", "path": ""}],
        [{"op": "replace", "path": "0", "value": 2}],
        [{"op": "replace", "path": "/0/0", "value": 2}],
        [{"op": "replace", "path": "", "value": float("nan")}],
        [{"op": "replace", "path": "", "value": "\ud800"}],
    ],
)
@pytest.mark.parametrize("codec", CODECS)
def test_a_patch_that_does_not_lead_there_is_not_sent(
    library: Any, patch: Any, codec: Codec
) -> None:
    """It is asked for the way from 1 to 2 only, as nothing else differs."""
    filler = ["x" * 300]
    old, new = state(json.dumps([1, *filler]), codec), state(json.dumps([2, *filler]), codec)
    library.patch = patch
    assert delta(old, new) is None
    library.patch = [{"op": "replace", "path": "", "value": 2}]
    assert check(old, new) is not None


def test_without_the_library_everything_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    module._library.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "jsonpatch", None)
    try:
        old, new = state(json.dumps([1, "x" * 300])), state(json.dumps([2, "x" * 300]))
        assert delta(old, new) is None
        assert delta(old, state(json.dumps([1, "x" * 300], indent=1))) is SAME
    finally:
        module._library.cache_clear()


# --- any two ---

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0, 1, -1, 0.0, 1.0, -0.0, 2**53])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
keys = st.sampled_from(["", "a", "b", "0", "-", "~", "/", "ü"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@st.composite
def two(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and another, or what became of the first in a few places."""
    old = draw(values)
    if draw(st.booleans()):
        return old, draw(values)
    new = json.loads(json.dumps(old))
    for _ in range(draw(st.integers(0, 4))):
        new = changed(draw, new)
    return old, new


def changed(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, list):
        how = draw(st.sampled_from(["insert", "shuffle", "inside", "pop"]))
        if how == "insert":
            value.insert(draw(st.integers(0, len(value))), draw(values))
        elif how == "shuffle":
            value = draw(st.permutations(value))
        elif value:
            index = draw(st.integers(0, len(value) - 1))
            if how == "pop":
                value.pop(index)
            else:
                value[index] = changed(draw, value[index])
        return value
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.booleans()):
            value[draw(keys)] = value.pop(key)
        else:
            value[key] = changed(draw, value[key])
        return value
    return draw(values)


@given(pair=two(), codec=st.sampled_from(CODECS), filler=st.booleans())
def test_a_patch_leads_exactly_there(pair: tuple[Any, Any], codec: Codec, filler: bool) -> None:
    old, new = pair
    if filler:  # so that a patch is worth its while
        old, new = [old, "x" * 500], [new, "x" * 500]
    found = check(state(json.dumps(old), codec), state(json.dumps(new), codec))
    assert (found is SAME) == (exactly(old) == exactly(new))
