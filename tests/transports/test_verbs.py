"""Events to messages and back, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrequest.errors import InvalidMessage, MessageTooLarge
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.json import JSONCodec
from wsrequest.transports.verbs import FIELDS, Acknowledge, Emit, Say, Verbs

HTML = {"content-type": "text/html"}


def verbs(most_bytes: int | None = 1000, most_buffered: int = 10) -> Verbs:
    return Verbs(most_bytes, most_buffered)


def read(translator: Verbs, *messages: dict[str, Any]) -> list[Any]:
    return list(translator.read(json.dumps(messages[0] if len(messages) == 1 else messages)))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.hypothesis
@given(
    event=st.sampled_from(["get", "post", "subscribe", "auth", "cancel"]) | st.text(),
    message=st.dictionaries(
        st.sampled_from([*sorted(FIELDS), "id", "method", "cancel", "ping"]) | st.text(),
        ANYTHING | st.sampled_from(["/", "base64", 1, True]),
    ),
)
def test_whatever_is_asked_is_answered(event: str, message: dict[str, Any]) -> None:
    """By its id: otherwise its acknowledgement would never come."""
    try:
        key, frame = verbs(None).ask(event, message)
    except InvalidMessage:
        return
    (heard,) = JSONCodec().decode(frame, Limits())
    assert heard.id == key  # type: ignore[union-attr]


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("text", ["x", "\xe9", "\U0001f600"])
def test_the_size_of_a_message(text: str, over: int) -> None:
    _, frame = verbs(None).ask("post", {"url": "/", "data": text})
    translator = verbs(len(frame.encode()) - over)
    if over:
        with pytest.raises(MessageTooLarge):
            translator.ask("post", {"url": "/", "data": text})
    else:
        assert translator.ask("post", {"url": "/", "data": text}) == (1, frame)


def test_bytes_are_base64() -> None:
    _, frame = verbs().ask("put", {"url": "/", "data": b"hello"})
    assert json.loads(frame) == {
        "id": 1,
        "method": "put",
        "url": "/",
        "data": "aGVsbG8=",
        "encoding": "base64",
    }
    _, frame = verbs().ask("put", {"url": "/", "data": {"file": {"content": b"hello"}}})
    assert json.loads(frame)["data"] == {"file": {"content": "aGVsbG8="}}


def test_an_answer() -> None:
    translator = verbs()
    translator.ask("get", {"url": "/"})
    cookies = {"a": {"path": "/"}}
    message = {"id": 1, "status": 200, "headers": HTML, "data": "x", "cookies": cookies}
    answer = {"body": "x", "headers": HTML, "statusCode": 200, "cookies": cookies}
    assert read(translator, message) == [Acknowledge(1, answer)]
    assert read(translator, message) == []  # nobody waits for it any more


STREAM = {"id": 1, "status": 200, "headers": HTML, "more": True}


def test_a_stream_is_put_together() -> None:
    translator = verbs(most_buffered=4)
    translator.ask("get", {"url": "/"})
    pieces = [{"id": 1, "chunk": "ab"}, {"id": 1, "chunk": "Y2Q=", "encoding": "base64"}]
    assert read(translator, STREAM, *pieces) == []
    whole = {"body": b"abcd", "headers": HTML, "statusCode": 200}
    assert read(translator, {"id": 1, "end": True}) == [Acknowledge(1, whole)]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", {"a": 1}),
        ("application/hal+json; charset=utf-8", {"a": 1}),
        ("text/plain", '{"a": 1}'),
    ],
)
def test_json_in_pieces(kind: str, body: Any) -> None:
    translator = verbs()
    translator.ask("get", {"url": "/"})
    read(translator, STREAM | {"headers": {"content-type": kind}})
    read(translator, {"id": 1, "chunk": '{"a":'}, {"id": 1, "chunk": " 1}"})
    ((_, answer),) = read(translator, {"id": 1, "end": True})
    assert answer["body"] == body


def test_what_is_json_by_name_only() -> None:
    translator = verbs()
    translator.ask("get", {"url": "/"})
    read(translator, STREAM | {"headers": {"content-type": "application/json"}})
    read(translator, {"id": 1, "chunk": "{"})
    ((_, answer),) = read(translator, {"id": 1, "end": True})
    assert answer["body"] == "{"


def test_a_stream_that_is_too_long() -> None:
    translator = verbs(most_buffered=4)
    translator.ask("get", {"url": "/"})
    assert read(translator, STREAM, {"id": 1, "chunk": "abcd"}) == []
    said = read(translator, {"id": 1, "chunk": "e"})
    assert said[0] == Say('{"cancel": 1}')
    assert (said[1].answer["statusCode"], said[1].answer["body"]["limit"]) == (502, 4)
    assert read(translator, {"id": 1, "chunk": "f"}, {"id": 1, "end": True, "status": 499}) == []


def test_a_stream_that_breaks() -> None:
    translator = verbs()
    translator.ask("get", {"url": "/"})
    why = {"error": "e"}
    said = read(translator, STREAM, {"id": 1, "end": True, "status": 500, "data": why})
    assert [(what.answer["statusCode"], what.answer["body"]) for what in said] == [(500, why)]


def test_a_stream_in_pieces() -> None:
    translator = verbs(most_buffered=1)
    translator.ask("get", {"url": "/", "stream": True})
    ((_, answer),) = read(translator, STREAM)
    assert (answer["body"], answer["stream"]) == (None, {"id": 1})
    about = {"id": 1, "url": "/"}
    assert read(translator, {"id": 1, "chunk": "abc"}) == [Emit("chunk", ("abc", about))]
    assert read(translator, {"id": 1, "end": True}) == [Emit("end", (None, about))]


def subscribed() -> Verbs:
    translator = verbs()
    translator.ask("subscribe", {"url": "/a/"})
    position = {"epoch": "e", "offset": 1, "rev": 0}
    ((_, answer),) = read(
        translator,
        {"id": 1, "status": 200, "headers": HTML, "data": "x", "subscription": position},
    )
    assert answer["subscription"] == {"id": 1, **position}
    return translator


def test_an_event_of_a_subscription() -> None:
    event = {"id": 1, "event": "status", "data": {"n": 1}, "offset": 2}
    about = {"id": 1, "url": "/a/", "offset": 2}
    assert read(subscribed(), event) == [Emit("status", ({"n": 1}, about))]


def test_the_end_of_a_subscription() -> None:
    ended = {"id": 1, "end": True, "status": 403, "data": "no"}
    about = {"id": 1, "url": "/a/", "statusCode": 403}
    assert read(subscribed(), ended) == [Emit("end", ("no", about))]


@pytest.mark.parametrize("by", [{"url": "/a/"}, {"id": 1}])
def test_unsubscribing(by: dict[str, Any]) -> None:
    translator = subscribed()
    assert translator.unsubscribe({"url": "/b/"}) == []
    assert translator.unsubscribe({}) == []
    assert translator.unsubscribe(by) == [Say('{"cancel": 1}')]
    assert read(translator, {"id": 1, "event": "late", "data": 1}, {"id": 1, "end": True}) == []


def test_what_is_not_answered_yet_is_answered_by_its_end() -> None:
    translator = verbs()
    translator.ask("subscribe", {"url": "/"})
    assert translator.unsubscribe({"url": "/"}) == [Say('{"cancel": 1}')]
    ((_, answer),) = read(translator, {"id": 1, "status": 499, "headers": {}, "data": "c"})
    assert answer["statusCode"] == 499


def test_a_url_ends_no_request_that_is_no_subscription() -> None:
    translator = verbs()
    translator.ask("post", {"url": "/"})
    translator.ask("auth", {"token": "abc"})
    assert translator.unsubscribe({"url": "/"}) == []
    assert translator.unsubscribe({"id": 7}) == []
    assert translator.unsubscribe({"id": 1}) == [Say('{"cancel": 1}')]


def test_what_nobody_has_asked_for() -> None:
    assert read(verbs(), {"event": "told", "data": 1}) == [Emit("told", (1,))]
    assert read(verbs(), {"control": "goaway", "data": {"delay": 1}}) == [
        Emit("goaway", ({"delay": 1},))
    ]
    assert read(verbs(), {"pong": 1}) == []


def test_an_event_that_looks_like_the_clients_own() -> None:
    assert read(verbs(), {"event": "disconnect", "data": 1}) == [Emit("wsrequest:disconnect", (1,))]
