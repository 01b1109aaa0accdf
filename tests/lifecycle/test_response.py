"""HttpResponse -> wire: what stands there gives a client the very bytes that the view wrote."""

from __future__ import annotations

import base64
import contextvars
import json
import threading
from dataclasses import replace

import msgspec
import pytest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tests.lifecycle.support import Recorder, call, message, run
from tests.protocol.support import JSON, MSGPACK, on_both_wires
from wsrequest.conf import OMIT_RESPONSE_HEADERS
from wsrequest.lifecycle import call as call_module
from wsrequest.lifecycle import response as response_module
from wsrequest.lifecycle.response import Reply, body_data, has_body, head_of, text_data
from wsrequest.protocol.body import is_json_type
from wsrequest.protocol.messages import Response
from wsrequest.protocol.msgpack import MsgpackCodec

OMITTED = frozenset(OMIT_RESPONSE_HEADERS)


def reply_to(method, response, wire=JSON) -> Reply:
    return response_module.reply_to(method, response, OMITTED, wire.codec)


def on_the_wire(reply: Reply, wire=JSON) -> dict:
    return wire.unpack(
        wire.codec.encode(
            Response(
                id=1,
                status=reply.status,
                headers=reply.headers,
                data=reply.data,
                encoding=reply.encoding,
                cookies=reply.cookies,
            )
        )
    )


def as_a_client_rebuilds_it(reply: Reply, wire) -> bytes:
    message = on_the_wire(reply, wire)
    if message.get("encoding") == "base64":
        return base64.b64decode(message["data"], validate=True)
    if isinstance(message["data"], bytes):
        return message["data"]
    if isinstance(reply.data, Raw):
        return bytes(reply.data) if wire is JSON else json.dumps(message["data"]).encode()
    content_type = message["headers"].get("content-type", "")
    charset = content_type.partition("charset=")[2] or "utf-8"
    return message["data"].encode(charset)


content_types = st.sampled_from(
    [
        *["text/html", "text/plain; charset=utf-8", "text/plain; charset=latin-1", "", "x"],
        *["text/plain; charset=utf-16", "text/plain; charset=utf-8-sig", "application/json"],
        *["text/plain; charset=shift_jis", "text/plain; charset=klingon", "image/png"],
        *["application/json; charset=latin-1", "application/problem+json", "text/x; charset=utf-7"],
        *["text/plain; charset=rot13", "text/plain; charset=idna", "text/plain; charset=a\tb"],
        *["application/json; charset=utf-16", "text/plain; charset=undefined"],
    ]
)


@given(
    st.binary(max_size=30)
    | st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace"))
    | st.text(max_size=20).map(lambda text: text.encode("utf-16", "surrogatepass")),
    content_types,
)
@example(b"", "application/json")
@example(b"+2AA-", "text/plain; charset=utf-7")
@example(b"NaN", "application/json")
@example(b'{"a": 1.50, "a": [ ]}', "application/json")
@example(b'"\\ud800"', "application/json")
@example(b"\xef\xbb\xbfa", "text/plain; charset=utf-8")
@on_both_wires
def test_a_client_can_rebuild_the_identical_bytes(wire, body, content_type):
    reply = reply_to("GET", HttpResponse(body, content_type=content_type or "x"), wire)
    rebuilt = as_a_client_rebuilds_it(reply, wire)
    if wire is MSGPACK and isinstance(reply.data, Raw):  # the identical value
        assert json.loads(rebuilt) == json.loads(body)
    else:
        assert rebuilt == body
    if is_json_type(content_type):
        assert isinstance(reply.data, Raw | bytes) or reply.encoding == "base64"
    assert reply.encoding is UNSET or wire is JSON


@given(st.binary(max_size=20), content_types)
@on_both_wires
def test_chunks_too(wire, chunk, content_type):
    data, encoding = text_data(chunk, content_type, wire.codec)
    headers = {"content-type": content_type}
    assert as_a_client_rebuilds_it(Reply(200, headers, data, encoding), wire) == chunk


@on_both_wires
def test_json_is_spliced_in(wire):
    reply = reply_to("GET", JsonResponse({"a": "ü"}), wire)
    assert wire is MSGPACK or bytes(reply.data) == b'{"a": "\\u00fc"}'
    assert on_the_wire(reply, wire) == {
        "id": 1,
        "status": 200,
        "headers": {"content-type": "application/json"},
        "data": {"a": "ü"},
    }


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"NaN", "application/json"),
        (b"[Infinity]", "application/json"),
        (b"{", "application/json"),
        (b'"\xff"', "application/json"),
        (b'"\xfc"', "application/json; charset=latin-1"),
        (b'"a"', "application/json; charset=latin-1"),
        ('"a"'.encode("utf-16"), "application/json; charset=utf-16"),
        (b"[" * 100_000 + b"]" * 100_000, "application/json"),
        (b"\xff\xfe", "text/html; charset=utf-8"),
        (b"a", "text/plain; charset=klingon"),
        (b"\x89PNG", "image/png"),
    ],
)
def test_what_would_not_come_back_as_it_was_is_bytes(body, content_type):
    assert body_data(body, content_type, JSON.codec) == (base64.b64encode(body).decode(), "base64")
    assert body_data(body, content_type, MSGPACK.codec) == (body, UNSET)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"", "text/html", ""),
        (b'{"a": 1}', "text/html", '{"a": 1}'),
        ("ü".encode(), "", "ü"),
        (b"\xfc", "text/plain; charset=latin-1", "ü"),
        (b"\xff\xfeA\x00", "text/plain; charset=utf-16", "A"),
        (b"a", "image/svg+xml", "a"),
    ],
)
@on_both_wires
def test_text_is_decoded_by_its_own_charset(wire, body, content_type, text):
    assert body_data(body, content_type, wire.codec) == (text, UNSET)


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("HEAD", 200, False),
        ("HEAD", 404, False),
        ("GET", 100, False),
        ("GET", 199, False),
        ("GET", 204, False),
        ("POST", 204, False),
        ("GET", 304, False),
        ("GET", 200, True),
        ("GET", 205, True),
        ("GET", 303, True),
        ("GET", 500, True),
        (None, 200, True),
    ],
)
def test_where_http_has_no_body_there_is_no_data(method, status, expected):
    response = HttpResponse(b"written anyway", status=status)
    assert has_body(method, response) is expected
    assert ("data" in on_the_wire(reply_to(method, response))) is expected


def test_null_is_a_body():
    assert on_the_wire(reply_to("GET", JsonResponse(None, safe=False)))["data"] is None


def test_headers_are_lower_case_and_the_omitted_ones_are_left_out():
    response = HttpResponse(
        headers={
            "ETag": '"x"',
            "X-Frame-Options": "DENY",
            "Content-Length": "0",
            "Location": "/a",
            "X-Own": "ü",
        }
    )
    assert head_of(response, OMITTED).headers == {
        "content-type": "text/html; charset=utf-8",
        "etag": '"x"',
        "location": "/a",
        "x-own": "ü",
    }
    assert "x-frame-options" in head_of(response, frozenset()).headers


@pytest.mark.parametrize(
    "name",
    "Vary ETag Last-Modified Content-Language Content-Disposition Location Allow WWW-Authenticate"
    " Retry-After Content-Type Cache-Control Expires Link".split(),
)
def test_what_means_something_to_a_client_stays(name):
    assert name.lower() in head_of(HttpResponse(headers={name: "x"}), OMITTED).headers


def test_cookies_go_beside_the_headers():
    response = HttpResponse("a")
    response.set_cookie("a", "b", max_age=5, httponly=True)
    response.set_cookie("c", "d")
    reply = reply_to("GET", response)
    assert reply.set_cookies == response.cookies
    message = on_the_wire(reply)
    assert set(message["cookies"]) == {"a", "c"}
    assert "value" not in message["cookies"]["a"]
    assert message["cookies"]["c"] == {"path": "/", "value": "d"}
    assert "set-cookie" not in message["headers"]


def test_without_cookies_nothing_is_said_of_them():
    reply = reply_to("GET", HttpResponse())
    assert (reply.cookies, reply.set_cookies) == (UNSET, None)


def test_the_head_of_a_stream_leaves_its_body_alone():
    def parts():
        raise AssertionError("read")
        yield b""

    reply = head_of(StreamingHttpResponse(parts(), status=206), OMITTED)
    assert (reply.status, reply.data) == (206, UNSET)


class Watched(MsgpackCodec, decoder=msgspec.msgpack.Decoder):
    """Remembers the threads on which JSON was written anew."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def splice(self, body: bytes) -> Raw | None:
        self.threads.append(threading.get_ident())
        return super().splice(body)


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize(("past_the_limit", "on_the_loop"), [(0, True), (1, False)])
async def test_a_large_body_of_an_async_view_is_written_anew_in_a_thread(
    runner, monkeypatch, past_the_limit, on_the_loop
):
    size = len(bytes((await run(runner, "/arequest/")).reply.data))
    monkeypatch.setattr(call_module, "LABORIOUS", size - past_the_limit)
    codec, recorder = Watched(), Recorder()
    runner.start(
        replace(call(message("/arequest/")), codec=codec), contextvars.copy_context(), recorder
    )
    reply = (await recorder.wait()).reply
    assert msgspec.msgpack.decode(bytes(reply.data))["method"] == "GET"
    assert [thread == threading.get_ident() for thread in codec.threads] == [on_the_loop]
