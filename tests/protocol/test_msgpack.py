"""MessagePack: the same messages as JSON, and what JSON has not."""

from __future__ import annotations

import datetime as dt
import gc
import json
import math
from itertools import islice

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.msgpack import Ext
from msgspec.msgpack import encode as packed

from tests.protocol.support import JSON, LIMITS, MSGPACK, common_values
from wsrequest.errors import InvalidField, InvalidMessage, MessageError, TooDeep, TooManyKeys
from wsrequest.protocol.body import payload
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.messages import (
    Auth,
    BytesRequest,
    Cancel,
    Chunk,
    Ping,
    Pong,
    Request,
    Response,
)

CODEC = MSGPACK.codec
SIZE = 2**17


def read(frame: str | bytes, limits: Limits = LIMITS):
    return list(CODEC.decode(frame, limits))


def refused(frame: str | bytes, limits: Limits = LIMITS) -> MessageError:
    [error] = read(frame, limits)
    assert isinstance(error, MessageError), error
    return error


# --- the same as JSON ---------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=8)
content_types = st.sampled_from(
    [
        *[
            "application/json",
            "text/plain",
            "text/plain; charset=latin-1",
            "a/b+json;charset=ascii",
        ],
        *["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "klingon"],
        *["text/plain; charset=klingon", "multipart/form-data; boundary=@", ""],
    ]
)
forms = st.dictionaries(
    texts,
    texts
    | st.lists(texts | st.floats(allow_nan=False, allow_infinity=False), max_size=2)
    | st.fixed_dictionaries(
        {"filename": texts, "content": st.sampled_from(["YQ==", "YQ", "ü"])},
        optional={"content_type": texts},
    ),
    max_size=3,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "id": common_values | st.integers(1, 9),
        "url": st.sampled_from(["/", "/a?b", "//c", "", "/\n", "d"]) | common_values,
        "method": st.sampled_from(["GET", "post", "HEAD", "SUBSCRIBE", "a b", ""]) | common_values,
        "data": common_values | forms | texts,
        "headers": common_values
        | content_types.map(lambda content_type: {"Content-Type": content_type})
        | st.dictionaries(texts, texts, max_size=3),
        "encoding": st.sampled_from(["base64", "text"]) | common_values,
        "token": common_values,
        "timeout": common_values,
        "key": common_values,
        "auth": common_values,
        "cancel": common_values,
        "ping": common_values,
        "other": common_values,
    },
)


def facts(message):
    """All that is known of a decoded message, and of what it is over HTTP."""
    if isinstance(message, Request):
        fields = msgspec.structs.asdict(message)
        if message.data is not msgspec.UNSET:
            fields["data"] = bytes(message.data)
        try:
            return fields, payload(message)
        except InvalidField as error:
            return fields, error.as_data(), error.id
    if isinstance(message, MessageError):
        return type(message), message.as_data(), message.id
    return message


@given(
    message=messages | messages.map(lambda message: {"id": 1, "url": "/", **message}),
    limits=st.sampled_from([LIMITS, Limits(max_depth=3, max_keys=4), Limits(None, None, None)]),
)
@example({"url": "/", "data": {"a": [1e16, 1.5, -0.0, 1e300, 2**64 - 1, True, None]}}, LIMITS)
def test_a_message_is_the_same_in_either_codec(message, limits):
    [in_json] = JSON.codec.decode(msgspec.json.encode(message), limits)
    [in_msgpack] = CODEC.decode(packed(message), limits)
    assert facts(in_msgpack) == facts(in_json)


@given(st.lists(common_values | messages, max_size=4))
def test_so_are_the_messages_of_an_array(several):
    in_json = JSON.codec.decode(msgspec.json.encode(several), LIMITS)
    assert list(map(facts, read(packed(several)))) == list(map(facts, in_json))


@given(
    body=common_values,
    headers=st.dictionaries(texts, texts, max_size=3),
    cookies=st.dictionaries(texts, st.dictionaries(texts, texts | st.integers(0, 99))),
    id=st.integers(1, 2**53 - 1) | texts,
)
def test_a_response_is_the_same_in_either_codec(body, headers, cookies, id):
    def written(wire):
        spliced = wire.codec.splice(msgspec.json.encode(body))
        response = Response(id=id, status=200, headers=headers, data=spliced, cookies=cookies)
        return wire.unpack(wire.codec.frame([wire.codec.encode(response)]))

    assert written(MSGPACK) == written(JSON)


# --- bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@given(body=st.binary(max_size=300))
def test_bytes_are_the_body(method, body):
    message = MSGPACK.request(method=method, id=5, token="t", data=body)
    assert type(message) is BytesRequest
    assert (message.id, message.token, message.method) == (5, "t", method)
    assert payload(message) == ("", body, "application/octet-stream")


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "image/png", ""]
)
def test_under_any_content_type(content_type):
    message = MSGPACK.request(
        method="PUT", headers={"Content-Type": content_type}, data=b"\xff", timeout=5, key="k"
    )
    assert payload(message) == ("", b"\xff", content_type)
    assert (message.timeout, message.key) == (5, "k")


@pytest.mark.parametrize("encoding", ["base64", "text"])
def test_an_encoding_is_for_strings(encoding):
    message = MSGPACK.request(id=5, method="PUT", encoding=encoding, data=b"YQ==")
    with pytest.raises(InvalidField, match=f"with encoding '{encoding}' it is a string") as refusal:
        payload(message)
    assert (refusal.value.field, refusal.value.id) == ("data", 5)


@pytest.mark.parametrize("data", [{"a": b"\xff\x00"}, [b"\xff\x00"], {"a": [{"b": b"\xff\x00"}]}])
def test_bytes_within_data_are_base64(data):
    message = MSGPACK.request(method="PUT", data=data)
    expected = json.dumps(data, default=lambda _: "/wA=", separators=(",", ":"))
    assert payload(message).body == expected.encode()


@given(st.binary(max_size=50))
def test_a_files_content_may_be_bytes(content):
    message = MSGPACK.request(
        method="POST",
        headers={"content-type": "multipart/form-data; boundary=x-y-z"},
        data={"file": {"filename": "f", "content": content}},
    )
    assert payload(message).body == (
        b'--x-y-z\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%b\r\n--x-y-z--\r\n" % content
    )


@pytest.mark.parametrize("field", ["url", "method", "token", "headers", "id", "key"])
def test_elsewhere_bytes_are_refused(field):
    error = refused(packed({"id": 7, "url": "/", field: b"/"}))
    assert (type(error), error.field) == (InvalidField, field)
    assert error.id == (7 if field != "id" else None)


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x00" * 300])
def test_bytes_are_sent_as_they_are(body):
    data, encoding = CODEC.binary(body)
    response = Response(id=1, status=200, headers={}, data=data, encoding=encoding)
    assert MSGPACK.unpack(CODEC.encode(response)) == {
        "id": 1,
        "status": 200,
        "headers": {},
        "data": body,
    }
    assert MSGPACK.unpack(CODEC.encode(Chunk(chunk=data))) == {"chunk": body}


# --- what JSON can't say ------------------------------------------------------------------------------

PLACES = [lambda value: value, lambda value: [[1], value], lambda value: {"a": {"b": value}}]
NOT_JSON = [
    *[(number, "NaN and Infinity are not JSON") for number in (math.nan, math.inf, -math.inf)],
    (Ext(5, b"a"), "JSON has no extension types"),
    (Ext(-1, bytes(4)), "JSON has no extension types"),
    (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "JSON has no extension types"),
    *[({key: 1}, "the keys of a map are strings") for key in (1, None, 1.5, True, b"a", (1, 2))],
]


@pytest.mark.parametrize(("value", "problem"), NOT_JSON)
@pytest.mark.parametrize("place", PLACES)
def test_in_data_it_is_refused(value, problem, place):
    error = refused(packed({"id": 7, "url": "/", "data": place(value)}))
    assert (type(error), error.id, error.field) == (InvalidField, 7, "data")
    assert str(error) == f"Invalid data: {problem}"


@pytest.mark.parametrize(("value", "problem"), NOT_JSON)
def test_in_a_field_that_nobody_reads_it_is_ignored(value, problem):
    for data in ({}, {"data": [1.5]}, {"data": b"a"}):
        [message] = read(packed({"url": "/", "x": value, "y": "long" * 20, **data}))
        assert isinstance(message, Request)


def test_a_key_that_is_no_string_makes_no_message():
    error = refused(packed({1: 2, "id": 7, "url": "/"}))
    assert (type(error), error.id) == (InvalidMessage, None)


def test_a_header_whose_name_is_no_string():
    error = refused(packed({"id": 7, "url": "/", "headers": {1: "a"}}))
    assert (type(error), error.id, error.field) == (InvalidField, 7, "headers")


@pytest.mark.parametrize("frame", ["", "a", "\x90", '{"url":"/"}'])
def test_a_text_frame_is_refused(frame):
    error = refused(frame)
    assert (type(error), error.id) == (InvalidMessage, None)


@pytest.mark.parametrize(
    "body", [b"[18446744073709551616]", b"-9223372036854775809", b"1e400", b'"\\udc00"']
)
def test_a_body_with_what_messagepack_can_not_say_is_bytes(body):
    assert CODEC.splice(body) is None


# --- bytes that are no message ------------------------------------------------------------------------

GOOD = packed({"id": 7, "url": "/"})


@pytest.mark.parametrize(
    "frame",
    [
        *[b"", b"\xc1", b"\xc0", GOOD[:-1], GOOD + b"\xc0", GOOD + GOOD, b"\x84" + GOOD[1:]],
        *[b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff"],
        *[b"\x91" * 100_000, b"\x91" * 100_000 + b"\xc0", b"\x81\x81" * 100_000, b"\x92" + GOOD],
        *[b"\x91\xc1", b"\xdc\x00\x01", b"\xd5\xff\x00\x00", b"\xc7\xff", packed("text")],
    ],
    ids=lambda frame: repr(frame[:20]),
)
def test_what_is_no_message_is_answered_once_and_without_an_id(frame):
    error = refused(frame)
    assert error.id is None
    assert error.status == 400


def test_sizes_that_a_frame_only_claims_to_have_cost_nothing():
    for claim in (b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"):
        frame = b"\x82\xa3url\xa1/\xa4data" + (claim + b"\xff\xff\xff\xff") * 60
        assert type(refused(frame)) is InvalidMessage


@pytest.mark.parametrize("place", [b"\xa1x", b"\xa4data", b"\xa5token"])
@pytest.mark.parametrize("value", [b"\xa1\xff", b"\x81\xa1a\xa3\xed\xa0\x80", b"\xd9\x01\xc0"])
def test_a_string_that_is_not_utf_8_is_answered_under_its_messages_id(place, value):
    error = refused(b"\x83\xa2id\x07\xa3url\xa1/" + place + value)
    assert error.id == 7
    assert type(error) is InvalidMessage or error.field == "token"


def test_an_id_that_is_not_utf_8_is_none():
    error = refused(b"\x82\xa2id\xa1\xff\xa3url\xa1/")
    assert (type(error), error.id) == (InvalidMessage, None)


def test_a_map_as_a_key():
    error = refused(b"\x83\xa2id\x07\xa3url\xa1/\xa4data\x81\x80\x01")
    assert (error.id, error.status) == (7, 400)


def test_of_duplicate_keys_the_last_counts():
    frame = b"\x84\xa3url\xa2/a\xa2id\x01\xa3url\xa2/b\xa2id\x02"
    [message] = read(frame)
    assert (message.url, message.id) == ("/b", 2)
    [message] = read(b"\x83\xa3url\xa1/\xa4data\x01\xa4data\x82\xa1a\x01\xa1a\x02")
    assert bytes(message.data) == b'{"a":2}'


@pytest.mark.parametrize("data", [b"\xc4\x01a", b"\x01"])
def test_whichever_of_two_data_comes_last(data):
    first = b"\x01" if data != b"\x01" else b"\xc4\x01a"
    [message] = read(b"\x83\xa3url\xa1/\xa4data" + first + b"\xa4data" + data)
    assert payload(message).body == (b"a" if data != b"\x01" else b"1")


DEEP = b"\xa4data" + b"\x91" * 100_000 + b"\xc0"


@pytest.mark.parametrize(
    "id", [1, 127, 128, 2**16, 2**32, 2**53 - 1, "", "a", "x" * 31, "x" * 32, "\U0001f600" * 64]
)
@pytest.mark.parametrize("head", [b"\x83", b"\xde\x00\x03", b"\xdf\x00\x00\x00\x03"])
def test_past_the_recursion_limit_an_id_that_stands_first_is_found(id, head):
    frame = head + b"\xa2id" + packed(id) + b"\xa3url\xa1/" + DEEP
    error = refused(frame)
    assert (type(error), error.id) == (TooDeep, id)
    error = refused(frame, Limits(max_depth=None))
    assert (type(error), error.id) == (InvalidMessage, id)


@pytest.mark.parametrize(
    "start",
    [
        b"\x83\xa3url\xa1/\xa2id\x07",
        b"\x83\xa2id\x00\xa3url\xa1/",
        b"\x83\xa2id" + packed("x" * 65) + b"\xa3url\xa1/",
        b"\x83\xa2id\xa1\xff\xa3url\xa1/",
        b"\x83\xa2id\xd9\xff",
        b"\x83\xa2id\x81\xa1a\x01\xa3url\xa1/",
        b"\x83\xa2id\xff\xa3url\xa1/",
    ],
)
def test_past_the_recursion_limit_any_other_id_is_not(start):
    error = refused(start + DEEP)
    assert error.id is None
    assert error.status == 400


def test_a_wrong_field_before_a_bottomless_one():
    error = refused(b"\x83\xa2id\x07\xa3url\x05" + DEEP)
    assert (type(error), error.id) == (InvalidField, 7)


@given(
    st.binary(max_size=60)
    | st.binary(max_size=40).map(lambda tail: b"\x82\xa3url\xa1/\xa4data" + tail)
    | st.tuples(
        (messages | st.lists(messages)).map(packed), st.integers(0), st.binary(max_size=3)
    ).map(
        lambda parts: (
            parts[0][: parts[1] % len(parts[0])]
            + parts[2]
            + parts[0][parts[1] % len(parts[0]) + 1 :]
        )
    )
)
def test_no_frame_raises_and_each_has_an_answer(frame):
    answers = read(frame)
    assert answers or frame[:1] in (b"\x90", b"\xdc", b"\xdd")
    for message in answers:
        assert isinstance(message, Request | Cancel | Auth | Ping | Pong | MessageError)
        if isinstance(message, MessageError):
            CODEC.encode(Response(status=400, headers={}, data=message.as_data()))
        elif isinstance(message, Request):
            facts(message)


def filled(unit: bytes, head: bytes = b"\x83\xa2id\x01\xa3url\xa1/\xa4data") -> bytes:
    count = (SIZE - len(head) - 5) // len(unit)
    return head + b"\xdd" + count.to_bytes(4, "big") + unit * count


def many_keys(count: int) -> bytes:
    return (
        b"\xdf"
        + count.to_bytes(4, "big")
        + b"".join(packed(str(i)) + b"\xc0" for i in range(count))
    )


WORST = {
    "arrays": filled(b"\x90"),
    "maps": filled(b"\x80"),
    "chains": filled(b"\x91" * 60 + b"\xc0"),
    "small maps": filled(b"\x81\xa1a\x01"),
    "numbers": filled(b"\x01"),
    "floats": filled(b"\xca\x01\x02\x03\x04"),
    "strings": filled(b"\xa1a"),
    "bytes": filled(b"\xc4\x00"),
    "escapes": filled(b"\xa1\x01"),
    "extensions": filled(b"\xd4\x05a"),
    "timestamps": filled(b"\xd6\xff\x00\x00\x00\x00"),
    "keys": b"\x83\xa2id\x01\xa3url\xa1/\xa4data" + many_keys(15_000),
    "headers": b"\x82\xa3url\xa1/\xa7headers" + many_keys(15_000),
    "unknown": filled(b"\x90", b"\x82\xa3url\xa1/\xa1x"),
    "one body": b"\x82\xa3url\xa1/\xa4data\xc6"
    + (SIZE - 20).to_bytes(4, "big")
    + b"\x91" * (SIZE - 20),
    "deep": b"\x82\xa3url\xa1/\xa4data" + b"\x91" * (SIZE - 20) + b"\xc0",
    "messages": filled(b"\xc0", b""),
    "empty messages": filled(b"\x80", b""),
}


@pytest.mark.parametrize("name", WORST)
def test_a_large_frame_of_it_is_read_in_linear_time(name):
    """Anything that grows with the square would take so many minutes here that the run is ended."""
    frame = WORST[name]
    assert SIZE * 0.7 < len(frame) <= SIZE
    messages = list(islice(CODEC.decode(frame, LIMITS), 1000))  # the others are not made yet
    assert len(messages) == (1000 if "messages" in name else 1)
    for message in messages:
        assert isinstance(message, Request | MessageError)


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("name", ["numbers", "timestamps", "deep"])
def test_the_garbage_collector_is_left_as_it_was(was_on, name):
    try:
        (gc.enable if was_on else gc.disable)()
        list(CODEC.decode(WORST[name], LIMITS))
        assert gc.isenabled() is was_on
    finally:
        gc.enable()


def test_too_many_keys_by_far():
    error = refused(WORST["keys"])
    assert (type(error), error.id) == (TooManyKeys, 1)
