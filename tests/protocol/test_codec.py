"""The rules that hold in either codec: what a message is, what is refused and how, limits, and what is written."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tests.protocol.support import LIMITS, common_values, on_both_wires
from wsrequest.errors import (
    InvalidField,
    InvalidMessage,
    MessageTooLarge,
    MissingURL,
    TooDeep,
    TooManyKeys,
)
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.messages import (
    Auth,
    Cancel,
    Chunk,
    Control,
    End,
    Event,
    Happening,
    Ping,
    Pong,
    Request,
    Response,
    Since,
    Subscribed,
)

pytestmark = on_both_wires

ids = st.integers(1, 2**53 - 1) | st.text(st.characters(codec="utf-8"), max_size=64)

# --- what is read -------------------------------------------------------------------------------------


@given(
    data=common_values,
    id=ids,
    method=st.sampled_from(["GET", "post", "Delete", "PROPFIND"]),
)
def test_a_request_survives_the_wire(wire, data, id, method):
    sent = {"id": id, "method": method, "url": "/a/?b=ü", "data": data, "token": "t"}
    message = wire.one(sent)
    assert type(message) is Request
    assert (message.id, message.method, message.url) == (id, method.upper(), "/a/?b=ü")
    assert message.token == "t"
    assert json.loads(bytes(message.data)) == data


@pytest.mark.parametrize(
    "field", ["id", "token", "headers", "encoding", "method", "timeout", "key", "since"]
)
def test_null_is_as_if_absent(wire, field):
    value = getattr(wire.request(**{field: None}), field)
    assert value == (None if field != "method" else "GET")


def test_unknown_fields_are_ignored(wire):
    assert wire.request(colour={"epoch": "a"}, more=[1]).url == "/"


@given(st.lists(st.integers(1, 1000), max_size=20))
def test_an_array_is_its_messages_in_their_order(wire, numbers):
    messages = [{"id": number, "url": "/"} for number in numbers]
    assert [message.id for message in wire.decoded(messages)] == numbers


@pytest.mark.parametrize("count", [15, 16, 2**16])
def test_an_array_of_any_length(wire, count):
    assert wire.decoded([{"ping": 1}] * count) == [Ping(1)] * count


def test_messages_of_an_array_are_made_as_they_are_asked_for(wire):
    frame = wire.pack([{"url": "/a"}, {"url": "/b"}, 5])
    messages = iter(wire.codec.decode(frame, LIMITS))
    assert next(messages).url == "/a"
    assert next(messages).url == "/b"
    assert isinstance(next(messages), InvalidMessage)
    assert list(messages) == []


def test_one_bad_message_of_an_array_costs_the_others_nothing(wire):
    good, bad, worse, last = wire.decoded(
        [{"id": 1, "url": "/"}, 7, {"id": 2, "url": 5}, {"id": 3, "url": "/"}]
    )
    assert (good.id, worse.id, last.id) == (1, 2, 3)
    assert isinstance(bad, InvalidMessage)
    assert isinstance(worse, InvalidField)


def test_an_empty_array_asks_for_nothing(wire):
    assert wire.decoded([]) == []


@pytest.mark.parametrize("number", [0, 1, -1, 2**53 - 1, 1 - 2**53])
def test_ping_and_pong(wire, number):
    assert wire.one({"ping": number}) == Ping(number)
    assert wire.one({"pong": number}) == Pong(number)


@given(ids)
def test_cancel(wire, id):
    assert wire.one({"cancel": id}) == Cancel(id)


@pytest.mark.parametrize("token", ["abc", "", None])
def test_auth(wire, token):
    assert wire.one({"id": 1, "auth": token}) == Auth(token, 1)


def test_a_message_with_a_url_is_a_request_whatever_else_it_has(wire):
    assert isinstance(wire.one({"url": "/", "cancel": 1, "ping": 2}), Request)
    assert wire.one({"ping": 2, "cancel": 1}) == Cancel(1)


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 0, -1.5e3, "text", "", 2**53])
def test_what_is_no_object_is_no_message(wire, value):
    for error in (wire.refusal(value), *wire.decoded([value, [], [{"url": "/"}]])):
        assert type(error) is InvalidMessage
        assert (error.id, error.status, str(error)) == (None, 400, "Invalid formatted message.")


@pytest.mark.parametrize("message", [{}, {"url": ""}, {"url": None}, {"data": {"url": "/"}}])
def test_without_a_url(wire, message):
    error = wire.refusal(message)
    assert type(error) is MissingURL
    assert str(error) == "Missing URL"
    assert wire.refusal({"id": 5, **message}).id == 5


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": 5}, "url: expected `str | null`, got `int`"),
        ({"url": ["/"]}, "url: expected `str | null`, got `array`"),
        ({"method": 1}, "method: expected `str | null`, got `int`"),
        ({"token": {}}, "token: expected `str | null`, got `object`"),
        ({"headers": []}, "headers: expected `object | null`, got `array`"),
        ({"headers": {"a": 1}}, "headers: expected `str`, got `int`"),
        ({"headers": {"a": None}}, "headers: expected `str`, got `null`"),
        (
            {"headers": {"a_b": "c"}},
            "headers: 'a_b' is not a header name (letters, digits and hyphens)",
        ),
        ({"encoding": "hex"}, "encoding: invalid enum value 'hex'"),
        ({"encoding": 64}, "encoding: expected `str | null`, got `int`"),
        ({"timeout": 0}, "timeout: expected `int` >= 1"),
        ({"timeout": 1.5}, "timeout: expected `int | null`, got `float`"),
        ({"key": ""}, "key: expected `str` of length >= 1"),
        ({"url": None, "auth": 1}, "auth: expected `str | null`, got `int`"),
        ({"url": None, "cancel": None}, "cancel: expected `int | str`, got `null`"),
        ({"url": None, "ping": "1"}, "ping: expected `int`, got `str`"),
        ({"url": "//host"}, "url: send the path without scheme and domain"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_and_answered_under_its_id(wire, fields, problem):
    error = wire.refusal({"id": 7, "url": "/", **fields})
    assert type(error) is InvalidField
    assert str(error) == f"Invalid {problem}"
    field = problem.partition(":")[0]
    assert (error.field, error.id, error.status) == (field, 7, 400)
    assert error.as_data() == {"error": str(error), "code": "invalid_field", "field": field}


@pytest.mark.parametrize(
    "id", [0, -1, 1.0, 1.5, True, [], {}, 2**53, 2**63, 2**64 - 1, -(2**63), "x" * 65, [[[[]]]]]
)
def test_what_can_not_be_an_id_is_refused_without_one(wire, id):
    error = wire.refusal({"id": id, "url": "/"})
    assert (type(error), error.id) == (InvalidField, None)
    assert error.field == "id"
    assert wire.refusal({"cancel": id}).status == 400


@pytest.mark.parametrize(
    "id", [1, 127, 128, 2**16, 2**32, 2**53 - 1, "", "x" * 64, "ü" * 64, "\U0001f600" * 64]
)
def test_what_can_be_an_id(wire, id):
    assert wire.request(id=id).id == id


@pytest.mark.parametrize("value", [2**53, 2**63, 1.5, "1", None, []])
def test_a_ping_is_a_number_that_every_peer_can_hold(wire, value):
    error = wire.refusal({"id": 3, "ping": value})
    assert type(error) is InvalidField
    assert (error.field, error.id) == ("ping", 3)


# --- limits -------------------------------------------------------------------------------------------


def test_message_bytes_at_the_limit_and_one_past_it(wire):
    value = {"id": 1, "url": "/", "data": "ü" * 50}
    frame = wire.pack(value)
    size = len(frame)
    assert isinstance(wire.one(value, Limits(max_message_bytes=size)), Request)
    error = wire.refusal(value, Limits(max_message_bytes=size - 1))
    assert type(error) is MessageTooLarge
    assert (error.status, error.limit, error.id) == (413, size - 1, None)
    assert isinstance(wire.one(value, Limits(max_message_bytes=None)), Request)


def nested(levels: int, field: str = "data") -> dict[str, object]:
    """A message that is so deep, itself counted as 1."""
    value: list[object] = []
    for _ in range(levels - 2):
        value = [value]
    return {"id": 1, "url": "/", field: value}


@pytest.mark.parametrize("limit", [2, 3, 64, 200])
@pytest.mark.parametrize("field", ["data", "unknown"])
def test_depth_at_the_limit_and_one_past_it(wire, limit, field):
    limits = Limits(max_depth=limit)
    assert isinstance(wire.one(nested(limit, field), limits), Request)
    error = wire.refusal(nested(limit + 1, field), limits)
    assert type(error) is TooDeep
    assert (error.id, error.limit) == (1, limit)
    assert isinstance(wire.one(nested(limit + 1, field), Limits(max_depth=None)), Request)


@given(common_values, st.integers(1, 6))
def test_depth_is_that_of_the_parsed_value(wire, data, limit):
    def depth(value):
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        if isinstance(value, list):
            return 1 + max(map(depth, value), default=0)
        return 0

    message = {"url": "/", "data": data}
    result = wire.one(message, Limits(max_depth=limit))
    assert isinstance(result, TooDeep) == (depth(message) > limit)


@pytest.mark.parametrize("limit", [4, 10_000])
@pytest.mark.parametrize("field", ["data", "unknown"])
def test_keys_at_the_limit_and_one_past_it(wire, limit, field):
    def message(keys):
        wide = {str(key): 0 for key in range(keys)}
        return {"id": 1, "url": "/", field: [{"a:b": ":"}, wide]}

    limits = Limits(max_keys=limit)
    assert isinstance(wire.one(message(limit), limits), Request)
    error = wire.refusal(message(limit + 1), limits)
    assert type(error) is TooManyKeys
    assert (error.id, error.limit, error.status) == (1, limit, 400)
    assert isinstance(wire.one(message(limit + 1), Limits(max_keys=None)), Request)


def test_keys_are_counted_in_one_object(wire):
    many = [{"a": ":::", "b": ":"}] * 10
    assert isinstance(wire.one({"url": "/", "data": many}, Limits(max_keys=2)), Request)


# --- what is written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (Response(status=204, headers={}), {"status": 204, "headers": {}}),
        (Response(id=None, status=409, headers={}), {"id": None, "status": 409, "headers": {}}),
        (
            Response(id=1, status=200, headers={"a": "ü"}, data=None, more=True),
            {"id": 1, "status": 200, "headers": {"a": "ü"}, "data": None, "more": True},
        ),
        (Chunk(id=1, chunk="a"), {"id": 1, "chunk": "a"}),
        (End(id="a", end=True), {"id": "a", "end": True}),
        (
            Response(status=200, headers={}, subscription=Subscribed("e")),
            {"status": 200, "headers": {}, "subscription": {"epoch": "e", "offset": 0, "rev": 0}},
        ),
        (
            Response(
                id=1,
                status=200,
                headers={},
                subscription=Subscribed("e", 4, 0, recovered=False, presence=[]),
            ),
            {
                "id": 1,
                "status": 200,
                "headers": {},
                "subscription": {
                    "epoch": "e",
                    "offset": 4,
                    "rev": 0,
                    "recovered": False,
                    "presence": [],
                },
            },
        ),
        (Event(id=1, event="lost"), {"id": 1, "event": "lost"}),
        (
            Event(id=1, event="replace", data=None, rev=1, epoch="e", offset=0),
            {"id": 1, "event": "replace", "data": None, "rev": 1, "epoch": "e", "offset": 0},
        ),
        (
            Event(id=1, event="replace", data="YQ==", encoding="base64", rev=2),
            {"id": 1, "event": "replace", "data": "YQ==", "encoding": "base64", "rev": 2},
        ),
        (Pong(3), {"pong": 3}),
        (Control("hello", {}), {"control": "hello", "data": {}}),
    ],
)
def test_fields_that_say_nothing_are_left_out(wire, message, fields):
    written = wire.unpack(wire.codec.frame([wire.codec.encode(message)]))
    assert written == fields
    assert list(written) == list(fields)


@given(
    id=ids,
    skip=st.integers(0, 2**53 - 1),
    event=st.text(st.characters(codec="utf-8")),
    data=common_values,
    offset=st.integers(1, 2**53 - 1) | st.none(),
)
def test_an_event_is_each_subscribers_head_and_everybodys_tail(wire, id, skip, event, data, offset):
    spliced = wire.codec.splice(json.dumps(data).encode())
    happening = Happening(event, spliced, UNSET if offset is None else offset)
    fields = 2 if offset is None else 3
    message = wire.codec.head(id, fields, skip) + wire.codec.tail(happening)
    expected = {"id": id}
    if skip:
        expected["skip"] = skip
    expected |= {"event": event, "data": data}
    if offset is not None:
        expected["offset"] = offset
    assert wire.unpack(message) == expected
    assert list(wire.unpack(message)) == list(expected)
    assert type(wire.unpack(message)["id"]) is type(id)
    together = wire.codec.frame([message, wire.codec.encode(Pong(1)), message])
    assert wire.unpack(together) == [expected, {"pong": 1}, expected]


@given(id=ids, epoch=st.text(max_size=64), offset=st.integers(0, 2**53 - 1))
def test_where_a_client_was_survives_the_wire(wire, id, epoch, offset):
    message = wire.request(
        id=id, method="SUBSCRIBE", since={"epoch": epoch, "offset": offset}, presence=True
    )
    assert (message.id, message.since, message.presence) == (id, Since(epoch, offset), True)


@given(common_values)
def test_a_body_that_is_json_is_spliced_in(wire, value):
    spliced = wire.codec.splice(json.dumps(value, indent=1).encode())
    assert isinstance(spliced, msgspec.Raw)
    encoded = wire.codec.encode(Response(id=1, status=200, headers={}, data=spliced))
    assert bytes(spliced) in encoded
    assert wire.unpack(encoded)["data"] == value


@pytest.mark.parametrize(
    "body",
    [
        *[
            b"",
            b" ",
            b"NaN",
            b'{"a":NaN}',
            b"-Infinity",
            b"{",
            b'"\n"',
            b'"\xff"',
            b"1 2",
            b"1e400",
        ],
        *[b'["\xed\xa0\x80"]', b"\xef\xbb\xbf1", b'"\\ud800"', b"[" * 100_000 + b"]" * 100_000],
        *['"ü"'.encode("latin-1"), '"a"'.encode("utf-16"), b"\xc0", b"\x80"],
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_is_not_spliced_in(wire, body):
    if body == b"1e400" and wire.codec.name == "json":
        assert wire.codec.splice(body) is not None  # a JSON number, which no double can hold
    else:
        assert wire.codec.splice(body) is None


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x00" * 300, bytes(range(256))])
def test_any_bytes_can_be_written(wire, body):
    data, encoding = wire.codec.binary(body)
    for message in (
        Response(id=1, status=200, headers={}, data=data, encoding=encoding),
        Chunk(id=1, chunk=data, encoding=encoding),
    ):
        written = wire.unpack(wire.codec.encode(message))
        found = written["data" if isinstance(message, Response) else "chunk"]
        is_base64 = written.get("encoding") == "base64"
        assert (base64.b64decode(found, validate=True) if is_base64 else found) == body


@pytest.mark.parametrize("count", [1, 2, 15, 16, 255, 2**16])
def test_a_frame_holds_one_message_or_an_array(wire, count):
    messages = [Control("é", {"n": number}) for number in range(count)]
    frame = wire.codec.frame([wire.codec.encode(message) for message in messages])
    sent = [{"control": "é", "data": {"n": number}} for number in range(count)]
    assert wire.unpack(frame) == (sent if count > 1 else sent[0])
