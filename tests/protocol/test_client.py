"""The client's side of a connection, without a server: what is read, what is due, and what a close means."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tests.protocol.support import LIMITS, MSGPACK, Wire, common_values, on_both_wires
from wsrequest.errors import InvalidMessage
from wsrequest.protocol.body import payload
from wsrequest.protocol.client import (
    CODECS,
    ClientConnection,
    after_close,
    body_fields,
    body_of,
    data_of,
    state_of,
    subprotocols,
)
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Asked, Auth, Cancel, Ping, Said, Since
from wsrequest.protocol.tokens import token_among

HELLO = {
    "control": "hello",
    "data": {
        "connection": "c",
        "heartbeat": 20,
        "limits": {"message_bytes": 1000, "in_flight": 2, "later": 1},
        "later": 1,
    },
}


def opened(wire: Wire, *messages: object) -> ClientConnection:
    connection = ClientConnection(CODECS[wire.codec.name], 100)
    connection.receive(wire.pack(list(messages)), 100)
    return connection


def said(wire: Wire, **fields: object) -> Said:
    [message] = CODECS[wire.codec.name].read(wire.pack(fields))
    return message


@on_both_wires
def test_what_the_server_says_of_the_connection(wire: Wire):
    connection = opened(wire, {"control": "later"}, HELLO)
    assert connection.hello is not None
    assert (connection.hello.connection, connection.hello.heartbeat) == ("c", 20)
    assert (connection.hello.limits.message_bytes, connection.hello.limits.in_flight) == (1000, 2)
    assert connection.goaway is None
    connection.receive(wire.pack({"control": "goaway", "data": {"delay": 1.5}}), 101)
    assert connection.goaway == 1.5
    connection.receive(wire.pack({"control": "goaway"}), 101)
    assert connection.goaway == 0


@on_both_wires
@pytest.mark.parametrize(
    "value", [5, "text", None, [1], {"status": "x"}, {"control": "hello"}, [{"id": []}]]
)
def test_what_no_server_says(wire: Wire, value):
    with pytest.raises(InvalidMessage):
        opened(wire).receive(wire.pack(value), 101)


@pytest.mark.parametrize("frame", ["", "{", "\ud83d", b"\xff", "[" * 100_000])
def test_frames_that_are_no_json(frame):
    with pytest.raises(InvalidMessage):
        ClientConnection(CODECS["json"], 0).receive(frame, 0)


def test_a_text_frame_where_messagepack_was_agreed_on():
    with pytest.raises(InvalidMessage):
        ClientConnection(CODECS["msgpack"], 0).receive("{}", 0)


@on_both_wires
def test_what_a_client_says_is_what_the_server_reads(wire: Wire):
    connection = opened(wire)
    asked = Asked(id=1, method="SUBSCRIBE", url="/a/", since=Since("e", 7), live=True, key="k")
    messages = [
        connection.ask(asked),
        connection.authenticate(2, None),
        connection.cancel(1),
        connection.ping(100),
    ]
    request, *others = wire.codec.decode(connection.frame(messages, 100), LIMITS)
    assert (request.id, request.method, request.url, request.live) == (1, "SUBSCRIBE", "/a/", True)
    assert (request.since, request.data, request.headers) == (Since("e", 7), UNSET, None)
    assert others == [Auth(None, 2), Cancel(1), Ping(1)]


# --- the heartbeat ---


@on_both_wires
def test_a_ping_is_due_when_nothing_was_sent_or_heard_for_a_heartbeat(wire: Wire):
    connection = opened(wire, HELLO)
    assert connection.due() == 120
    connection.frame([], 110)
    assert connection.due() == 120  # nothing was heard
    connection.receive(wire.pack([]), 115)
    assert connection.due() == 130
    connection.ping(130)
    assert connection.due() == 150
    assert not connection.is_dead(174)
    assert connection.is_dead(175)
    connection.heard(174)
    assert not connection.is_dead(175)


@on_both_wires
def test_a_server_that_does_not_watch_need_not_be_pinged(wire: Wire):
    for messages in ((), ({"control": "hello", "data": {"connection": "c"}},)):
        connection = opened(wire, *messages)
        assert connection.due() is None
        assert not connection.is_dead(10**9)


# --- opening and closing ---


@given(st.text(min_size=1).filter(str.isprintable))
def test_a_token_is_offered_as_the_server_reads_it(token):
    first, second = subprotocols(CODECS["json"], token)
    assert first == "wsrequest.v1.json"
    assert token_among((first, second)) == token


def test_a_token_and_none():
    offered = subprotocols(CODECS["json"], "abc")
    assert offered == ["wsrequest.v1.json", "wsrequest.token.YWJj"]
    assert subprotocols(CODECS["msgpack"], None) == ["wsrequest.v1.msgpack"]


@pytest.mark.parametrize(
    ("codes", "comeback"),
    [
        ((4000, 4001, 4003, 4010, 4029, 4099, 1009), "never"),
        ((4011,), "when asked"),
        ((4100, 4101, 4102, 4105, 4199, 1000, 1006, 1011, 1013, 4300), "later"),
        ((4200, 4201, 4202, 4299, 1001, 1012), "now"),
    ],
)
def test_what_a_close_means(codes, comeback):
    assert {after_close(code) for code in codes} == {comeback}


# --- bodies ---


@on_both_wires
@given(
    body=st.binary() | st.text(st.characters(codec="utf-8")).map(str.encode),
    content_type=st.sampled_from([None, "text/plain", "application/json", "image/png"]),
)
def test_a_body_arrives_byte_for_byte(wire: Wire, body, content_type):
    data, encoding = body_fields(CODECS[wire.codec.name], body, content_type)
    headers = None if content_type is None else {"content-type": content_type}
    asked = Asked(id=1, url="/", method="POST", data=data, encoding=encoding, headers=headers)
    frame = wire.codec.frame([wire.codec.encode(asked)])
    [request] = wire.codec.decode(frame, LIMITS)
    arrived = payload(request)
    assert (arrived.body, arrived.content_type) == (body, content_type)


@pytest.mark.parametrize(
    ("codec", "body", "content_type", "expected"),
    [
        ("json", b"a", None, ("a", "text")),
        ("json", b"\xff", "a/b", ("/w==", "base64")),
        ("msgpack", b"a", "a/b", (b"a", UNSET)),
        ("msgpack", b"a", None, ("a", "text")),
    ],
)
def test_how_a_body_is_written(codec, body, content_type, expected):
    assert body_fields(CODECS[codec], body, content_type) == expected


@on_both_wires
@pytest.mark.parametrize(
    ("fields", "content_type", "body"),
    [
        ({}, "text/plain", b""),
        ({"data": "é"}, "text/plain; charset=latin-1", b"\xe9"),
        ({"data": "é"}, "", "é".encode()),
        ({"data": "é"}, "text/plain; charset=klingon", "é".encode()),
        ({"data": "YQ==", "encoding": "base64"}, "application/json", b"a"),
        ({"data": {"a": 1}}, "application/json", b'{"a":1}'),
        ({"data": {"a": 1}}, "", b'{"a":1}'),
        ({"chunk": "[1"}, "application/json", b"[1"),
    ],
)
def test_the_body_of_an_answer(wire: Wire, fields, content_type, body):
    codec = CODECS[wire.codec.name]
    found = body_of(codec, said(wire, id=1, **fields), content_type)
    assert found.replace(b" ", b"") == body


def test_bytes_of_messagepack_are_the_body():
    for content_type in ("image/png", "application/json"):
        message = said(MSGPACK, id=1, data=b"\xff")
        assert body_of(CODECS["msgpack"], message, content_type) == b"\xff"


@pytest.mark.parametrize("fields", [{"data": "a"}, {"data": "\u20ac"}])
def test_a_body_that_is_not_what_it_says(fields):
    encoding = {"encoding": "base64"} if fields["data"] == "a" else {}
    message = Said(data=Raw(json.dumps(fields["data"]).encode()), **encoding)
    with pytest.raises(InvalidMessage):
        body_of(CODECS["json"], message, "text/plain; charset=latin-1")


@on_both_wires
@given(common_values)
def test_the_data_of_an_event(wire: Wire, value):
    assert data_of(CODECS[wire.codec.name], said(wire, event="e", data=value)) == value


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_events_of_odd_data(codec: Codec):
    assert data_of(codec, Said(event="e")) is None
    with pytest.raises(InvalidMessage):
        data_of(codec, Said(event="e", data=Raw(b"\xc1")))


def test_numbers_that_only_json_has():
    packed = msgspec.msgpack.encode(b"[123456789012345678901234567890]")
    message = Said(event="e", data=Raw(packed))
    assert data_of(CODECS["msgpack"], message) == [123456789012345678901234567890]
    half = Said(event="e", data=Raw(b'"half \\ud83d"'))
    assert data_of(CODECS["json"], half) == "half \ud83d"


@on_both_wires
def test_states(wire: Wire):
    codec = CODECS[wire.codec.name]
    encoded = base64.b64encode(b"\xff").decode()
    assert state_of(codec, said(wire, id=1), "application/json") is None
    assert state_of(codec, said(wire, id=1, data={"a": 1}), "application/json") == {"a": 1}
    assert state_of(codec, said(wire, id=1, data="é"), "text/plain; charset=latin-1") == "é"
    binary = said(wire, id=1, data=encoded, encoding="base64")
    assert state_of(codec, binary, "application/json") == b"\xff"
    assert state_of(codec, binary, "image/png") == b"\xff"


def test_a_state_that_claims_to_be_json():
    message = said(MSGPACK, id=1, data=b"{")
    assert state_of(CODECS["msgpack"], message, "application/json") == b"{"
    assert state_of(CODECS["msgpack"], said(MSGPACK, id=1, data=b"\xff"), "image/png") == b"\xff"
