"""What is particular to JSON: its texts, its escapes, and that no frame raises or takes for ever."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.support import CODEC, decoded, json_values, one, refusal
from wsrequest.errors import (
    InvalidField,
    InvalidMessage,
    MessageError,
    MessageTooLarge,
    MissingURL,
    TooDeep,
    TooManyKeys,
)
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.json import is_json
from wsrequest.protocol.messages import (
    Cancel,
    Chunk,
    Control,
    End,
    Ping,
    Pong,
    Request,
    Response,
)

MIB = 2**20


def parses(text: str) -> bool:
    def refuse(name):
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


# --- what is read -------------------------------------------------------------------------------------


def test_data_is_the_text_that_was_sent():
    message = one('{"url":"/", "data":  {"b" : 1.50, "a": 1e400, "b":[ ]} }')
    assert bytes(message.data) == b'{"b" : 1.50, "a": 1e400, "b":[ ]}'


def test_of_duplicate_keys_the_last_counts():
    assert one('{"url":"/a","id":1,"url":"/b","id":2}').url == "/b"
    assert one('{"url":"/a","id":1,"url":"/b","id":2}').id == 2


def test_one_bad_message_of_an_array_costs_the_others_nothing():
    good, bad, surrogate, last = decoded(
        '[{"id":1,"url":"/"}, 7, {"id":2,"url":"/","data":"\\ud800"}, {"id":3,"url":"/"}]'
    )
    assert (good.id, surrogate.id, last.id) == (1, 2, 3)
    assert isinstance(bad, InvalidMessage)
    assert json.loads(bytes(surrogate.data)) == "\ud800"


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " ",
        "null",
        "true",
        "0",
        "-1.5e3",
        '"text"',
        "NaN",
        "Infinity",
        "{",
        "[",
        "{]",
        '{"url"}',
        "{'url': '/'}",
        '{"url":"/",}',
        '{"url":"/"} x',
        '{"url":"/"}{"url":"/"}',
        '{"url":"/","data":NaN}',
        '{"url":"/","data":-Infinity}',
        '{"url":"/","data":01}',
        '{"url":"/","data":"\n"}',
        '{"url":"/","data":"\\x41"}',
        '{"url":"/"}\0',
        "\ufeff{}",
        "[1,",
        "[NaN]",
        '["\\ud800",1e400]',
        '["\\ud800",NaN]',
        '"\\ud800"',
        '{"url":"/","data":"\\ud800","x":NaN}',
        '{"url":"/","data":"\ud800"}',
        '[{"url":"/","data":"\ud800"}]',
        b"\xff",
        b'{"url":"/","data":"\xff"}',
        b'[{"url":"/","data":"\xff"}]',
        b'{"url":"/\xed\xa0\x80"}',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '["\\ud800",' + "[" * 100_000 + "]" * 100_000 + "]",
        '{"data":"\\ud800","x":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda frame: repr(frame[:40]),
)
def test_what_is_no_message_is_answered_once_and_without_an_id(frame):
    error = refusal(frame)
    assert type(error) is InvalidMessage
    assert (error.id, error.status, str(error)) == (None, 400, "Invalid formatted message.")


def test_an_empty_array_asks_for_nothing():
    assert decoded("[]") == []
    assert decoded(" [ ] ") == []


@pytest.mark.parametrize(
    "id",
    [
        *["0", "-1", "1.0", "1.5", "true", "[]", "{}", str(2**53), str(2**63), str(2**64)],
        *["1" * 5000, "1e400", json.dumps("x" * 65), "[" * 500 + "]" * 500],
    ],
    ids=lambda text: text[:20],
)
def test_what_can_not_be_an_id_is_refused_without_one(id):
    for frame in (f'{{"id":{id},"url":"/"}}', f'{{"url":"/","data":"\\ud800","id":{id}}}'):
        error = refusal(frame)
        assert error.status == 400
        assert error.id is None
    assert refusal(f'{{"cancel":{id}}}').status == 400


@pytest.mark.parametrize("value", [str(2**53), "1" * 30, "1.5", '"1"', "null", "[]"])
def test_a_ping_is_a_number_that_every_peer_can_hold(value):
    error = refusal(f'{{"id":3,"ping":{value}}}')
    assert type(error) is InvalidField
    assert (error.field, error.id) == ("ping", 3)


# --- lone surrogates: legal JSON ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["value", "key", "unknown"])
def test_half_an_emoji_in_data_reaches_the_view(where):
    data = {"value": '{"a":"\\ud83d"}', "key": '{"\\udc00":[1]}', "unknown": "5"}[where]
    more = ',"x":"\\ud800"' if where == "unknown" else ""
    message = one(
        f'{{"id":9,"url":"/ü","method":"put","headers":{{"X-A":"b"}},"data":{data}{more}}}'
    )
    assert isinstance(message, Request)
    assert (message.id, message.url, message.method) == (9, "/ü", "PUT")
    assert message.headers == {"x-a": "b"}
    assert json.loads(bytes(message.data)) == json.loads(data)


@pytest.mark.parametrize(
    "fields",
    [
        '"url":"/\\ud800"',
        '"url":"/","token":"\\ud800"',
        '"url":"/","headers":{"x-a":"\\ud800"}',
        '"url":"/","data":["\\ud800",1e400]',
    ],
)
def test_elsewhere_it_is_refused_under_the_messages_id(fields):
    error = refusal(f'{{"id":9,{fields}}}')
    assert type(error) is InvalidMessage
    assert error.id == 9


def test_a_wrong_field_beside_it_is_named():
    error = refusal('{"url":5,"id":9,"data":"\\ud800"}')
    assert (type(error), error.id) == (InvalidField, 9)
    error = refusal('{"url":5,"id":"\\ud800"}')
    assert (type(error), error.id) == (InvalidField, None)
    error = refusal('{"url":5,"id":9,"data":["\\ud800",NaN]}')
    assert (type(error), error.id) == (InvalidField, None)  # not JSON: nothing in it is known


def test_limits_and_rules_hold_for_it_as_for_any_other():
    assert type(refusal('{"id":1,"data":"\\ud800"}')) is MissingURL
    assert type(refusal('{"id":1,"url":"//h","data":"\\ud800"}')) is InvalidField
    error = refusal('{"id":1,"url":"/","data":["\\ud800",' + "[" * 63 + "]" * 63 + "]}")
    assert (type(error), error.id) == (TooDeep, 1)


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["a", "ü", "€", "\U0001f600"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_message_bytes_at_the_limit_and_one_past_it(letter, as_bytes):
    frame = json.dumps({"url": "/", "data": letter * 50}, ensure_ascii=False)
    size = len(frame.encode())
    sent = frame.encode() if as_bytes else frame
    assert isinstance(one(sent, Limits(max_message_bytes=size)), Request)
    error = refusal(sent, Limits(max_message_bytes=size - 1))
    assert type(error) is MessageTooLarge
    assert (error.status, error.limit, error.id) == (413, size - 1, None)
    assert isinstance(one(sent, Limits(max_message_bytes=None)), Request)


def nested(levels: int, text: str = "") -> str:
    """A message that is so deep, itself counted as 1; with a string beside it."""
    inner = levels - 1
    return (
        json.dumps({"id": 1, "url": "/", "x": text})[:-1] + f',"data":{"[" * inner}{"]" * inner}}}'
    )


@pytest.mark.parametrize("limit", [2, 3, 64, 200])
@pytest.mark.parametrize("text", ["", '"[[[[', "\\", '\\"[{', "]]]]]", '}"}\\\\'])
def test_depth_at_the_limit_and_one_past_it(limit, text):
    limits = Limits(max_depth=limit)
    assert isinstance(one(nested(limit, text * 100), limits), Request)
    error = refusal(nested(limit + 1, text * 100), limits)
    assert type(error) is TooDeep
    assert (error.id, error.limit) == (1, limit)
    assert isinstance(one(nested(limit + 1), Limits(max_depth=None)), Request)


@pytest.mark.parametrize("limit", [4, 10_000])
def test_keys_at_the_limit_and_one_past_it(limit):
    def message(keys):
        return {"id": 1, "url": "/", "data": [{"a:b": ":"}, {str(key): 0 for key in range(keys)}]}

    limits = Limits(max_keys=limit)
    assert isinstance(one(json.dumps(message(limit)), limits), Request)
    error = refusal(json.dumps(message(limit + 1)), limits)
    assert type(error) is TooManyKeys
    assert (error.id, error.limit, error.status) == (1, limit, 400)
    assert isinstance(one(json.dumps(message(limit + 1)), Limits(max_keys=None)), Request)


def test_keys_are_counted_in_one_object_and_not_in_strings():
    many = [{"a": ":::", "b": ":"}] * 10
    assert isinstance(one(json.dumps({"url": "/", "data": many}), Limits(max_keys=2)), Request)
    assert type(refusal('{"id":1,"url":"/","data":{"a":1,"a":2,"a":3}}', Limits(max_keys=2))) is (
        TooManyKeys
    )


def test_numbers_out_of_every_range_do_not_hide_a_wide_object():
    data = "[1e400," + "1" * 5000 + "," + "{}," * 100 + "0]"
    message = one(f'{{"id":1,"url":"/","data":{data}}}', Limits(max_keys=1, max_depth=8))
    assert type(message) is TooManyKeys  # the message itself has three
    assert isinstance(one(f'{{"url":"/","data":{data}}}', Limits(max_keys=2)), Request)


@pytest.mark.parametrize("id", ["7", '"seven"'])
def test_past_the_recursion_limit_an_id_that_stands_first_is_found(id):
    frame = f'{{ "id" : {id}, "url":"/","data":{"[" * 100_000}{"]" * 100_000}}}'
    error = refusal(frame)
    assert (type(error), error.id) == (TooDeep, json.loads(id))
    error = refusal(frame, Limits(max_depth=None))
    assert (type(error), error.id) == (InvalidMessage, json.loads(id))


@pytest.mark.parametrize("start", ['"url":"/","id":7', '"id":{"a":1}', '"id":"a,b"', '"id":0'])
def test_past_the_recursion_limit_any_other_id_is_not(start):
    error = refusal(f'{{{start},"data":{"[" * 100_000}{"]" * 100_000}}}')
    assert error.id is None
    assert error.status == 400


def test_a_wrong_field_before_a_bottomless_one():
    error = refusal(f'{{"id":7,"url":5,"data":{"[" * 5000}{"]" * 5000}}}', Limits(max_depth=None))
    assert (type(error), error.id) == (InvalidField, 7)


# --- hostile frames -----------------------------------------------------------------------------------

frames = (
    st.text()
    | st.binary()
    | st.text(alphabet='{}[]":,\\u0dD8e+-.1 \t\n', max_size=40)
    | json_values.map(json.dumps)
    | st.dictionaries(
        st.sampled_from(
            ["id", "url", "method", "data", "headers", "token", "encoding", "cancel", "ping"]
        ),
        json_values,
        max_size=4,
    ).map(json.dumps)
    | st.lists(json_values, max_size=4).map(json.dumps)
)


@given(frames)
def test_no_frame_raises_and_each_has_an_answer(frame):
    messages = decoded(frame)
    is_array = isinstance(frame, str) and parses(frame) and isinstance(json.loads(frame), list)
    assert messages or is_array
    for message in messages:
        assert isinstance(message, Request | Cancel | Ping | Pong | MessageError)
        if isinstance(message, MessageError):
            data = json.loads(
                CODEC.encode(Response(status=400, headers={}, data=message.as_data()))
            )
            assert data["data"]["code"] == message.code


def filled(unit: str, head: str = '{"id":1,"url":"/","data":[', tail: str = "0]}") -> str:
    return head + unit * ((MIB - len(head) - len(tail)) // len(unit)) + tail


WORST = {
    "lists": filled("[],"),
    "objects": filled("{},"),
    "chains": filled("[" * 62 + "]" * 62 + ","),
    "keys": filled('"":0,', '{"id":1,"url":"/","data":{', '"":0}}'),
    "strings": filled('"[",'),
    "escapes": filled(r'"\\\"[",'),
    "surrogates": filled(r'"\ud800",'),
    "floats": filled("1e400,"),
    "digits": filled("1", '{"url":"/","data":' + "[" * 65, "]" * 65 + "}"),
    "brackets": "[" * MIB,
    "quotes": '"' * MIB,
    "backslashes": '"' + "\\" * (MIB - 1),
    "spaces": " " * MIB,
    "spaces in an id": '{"id":' + " " * (MIB - 100) + "[" * 90,
    "deep": '{"id":1,"url":"/","data":' + "[" * (MIB // 2) + "]" * (MIB // 2 - 30) + "}",
    "a url": '{"url":"' + "a" * (MIB - 12) + '"}',
    "headers": '{"url":"/","headers":{' + '"X_1":"v",' * 100_000 + '"a":"b"}}',
}


@pytest.mark.parametrize("name", WORST)
def test_a_whole_mebibyte_of_it_is_read_in_linear_time(name):
    """Anything that grows with the square would take minutes here."""
    started = time.process_time()
    [message] = decoded(WORST[name])
    assert time.process_time() - started < 3
    assert isinstance(message, Request | MessageError)


# --- what is written ----------------------------------------------------------------------------------


def test_fields_that_say_nothing_are_left_out():
    assert CODEC.encode(Response(status=204, headers={})) == b'{"status":204,"headers":{}}'
    assert CODEC.encode(Response(id=None, status=409, headers={}))[:10] == b'{"id":null'
    assert CODEC.encode(Chunk(id=1, chunk="a")) == b'{"id":1,"chunk":"a"}'
    assert CODEC.encode(End(id=1, end=True)) == b'{"id":1,"end":true}'
    assert CODEC.encode(Pong(3)) == b'{"pong":3}'
    assert CODEC.encode(Control("hello", {})) == b'{"control":"hello","data":{}}'


@given(json_values)
def test_a_body_that_is_json_is_spliced_in_as_it_is(value):
    body = json.dumps(value, indent=1).encode()
    encoded = CODEC.encode(Response(id=1, status=200, headers={}, data=msgspec.Raw(body)))
    assert body in encoded
    assert json.loads(encoded)["data"] == value


# --- is_json ------------------------------------------------------------------------------------------


@given(json_values, st.booleans())
def test_json_is_json(value, ensure_ascii):
    assert is_json(json.dumps(value, ensure_ascii=ensure_ascii).encode())


@given(st.text(alphabet='{}[]":,\\ud0Eef+-.1 \t\n\0taré\x7f', max_size=12) | st.text(max_size=12))
def test_what_is_spliced_in_parses(text):
    """One body that is not JSON would make the whole frame unreadable, and other answers with it."""
    body = text.encode("utf-8", "replace")
    if is_json(body):
        assert parses(body.decode())
    elif parses(body.decode()):
        assert "\\u" in text  # half an emoji goes as base64


@pytest.mark.parametrize(
    "body",
    [
        *[b"", b" ", b"NaN", b'{"a":NaN}', b"-Infinity", b"{", b'"\n"', b'"\xff"', b"1 2"],
        *[b'["\xed\xa0\x80"]', b"\xef\xbb\xbf1", b'"\\ud800"'],
        *['"ü"'.encode("latin-1"), '"a"'.encode("utf-16")],
    ],
)
def test_what_is_not_json(body):
    assert not is_json(body)


def test_json_deeper_than_a_reader_goes_is_not_spliced_in():
    assert not is_json(b"[" * 100_000 + b"]" * 100_000)
    assert is_json(b"[" * 64 + b"]" * 64)
