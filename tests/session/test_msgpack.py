"""MessagePack over a real server: how it is chosen, and that bytes go and come as bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.client import MSGPACK, SUBPROTOCOL, connect
from tests.support.server import ServerThread

IMAGE = bytes(range(256)) * 2**13  # of /large/binary/


def msgpack(server: ServerThread) -> Any:
    return connect(server.ws, subprotocols=[MSGPACK], origin=server.http)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([MSGPACK], MSGPACK),
        ([MSGPACK, SUBPROTOCOL], MSGPACK),
        ([SUBPROTOCOL, MSGPACK], SUBPROTOCOL),
        (["wsrequest.v9.json", MSGPACK], MSGPACK),
    ],
)
async def test_the_clients_order_decides(
    server: ServerThread, offered: list[str], chosen: str
) -> None:
    async with connect(server.ws, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == chosen
        assert peer.hello is not None
        assert peer.hello["control"] == "hello"
        assert (await peer.request("/hello/"))["data"] == "hello"
        assert {type(frame) for frame in peer.frames} == {bytes if chosen == MSGPACK else str}


async def test_answers_share_a_frame(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        await peer.send(*[{"id": n, "url": f"/echo/{n}"} for n in range(1, 31)], {"cancel": 99})
        for number in range(1, 31):
            assert (await peer.answer(number))["data"]["rest"] == str(number)
        assert all(isinstance(frame, bytes) for frame in peer.frames)


@pytest.mark.parametrize("view", ["echo", "aecho"])
async def test_bytes_are_the_body(server: ServerThread, view: str) -> None:
    async with msgpack(server) as peer:
        headers = {"content-type": "image/png"}
        body = IMAGE[:100_000]
        answer = await peer.request(f"/{view}/", method="PUT", data=body, headers=headers)
        seen = answer["data"]
        assert (seen["body"]["bytes"], seen["content"][0]) == (len(body), "image/png")
        assert seen["body"]["sha256"] == hashlib.sha256(body).hexdigest()


async def test_bytes_come_back_as_bytes(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        answer = await peer.request("/large/binary/")
        assert answer["data"] == IMAGE
        assert "encoding" not in answer


async def test_so_do_those_of_a_stream(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        head = await peer.request("/stream/split/")
        assert head["more"] is True
        assert await peer.next() == {"id": 1, "chunk": b"\xc3"}
        assert await peer.next() == {"id": 1, "chunk": b"\xa9 \xff"}
        assert await peer.next() == {"id": 1, "end": True}


@pytest.mark.parametrize("view", ["odd", "aodd"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("spaced", {"a": [1, 2]}),
        ("null", None),
        ("big-int", b"[123456789012345678901234567890]"),
        ("surrogate", b'["\\ud800"]'),
        ("nan", b'{"a": NaN}'),
        ("plain-latin-1", "größe"),
        ("plain-wrong", b"gr\xf6\xdfe"),
    ],
)
async def test_what_a_view_answers(server: ServerThread, view: str, name: str, data: Any) -> None:
    async with msgpack(server) as peer:
        answer = await peer.request(f"/{view}/{name}/")
        assert answer["data"] == data
        assert "encoding" not in answer


async def test_a_large_json_body(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        assert (await peer.request("/large/json/"))["data"] == {"text": "é" * 2**20}


async def test_a_text_frame_is_refused_and_the_connection_goes_on(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        await peer.send_text('{"id": 1, "url": "/hello/"}')
        answer = await peer.next()
        assert (answer["status"], answer["data"]["code"]) == (400, "invalid_message")
        assert "id" not in answer
        await peer.still_answers()


async def test_over_a_limit(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        await peer.send({"id": 1, "url": "/echo/", "method": "PUT", "data": bytes(2**20)})
        answer = await peer.next()
        assert (answer["status"], answer["data"]["code"]) == (413, "message_too_large")
        await peer.still_answers()


async def test_errors_and_cancels(server: ServerThread) -> None:
    async with msgpack(server) as peer:
        assert (await peer.request("/fail/404/"))["status"] == 404
        assert (await peer.request(""))["data"]["code"] == "missing_url"
        await peer.send({"id": 5, "url": "/agate/never/"}, {"id": 5, "url": "/hello/"})
        duplicate = await peer.first(lambda message: message["status"] == 409)
        assert duplicate["data"]["id"] == 5
        await peer.send({"cancel": 5})
        assert (await peer.answer(5))["status"] == 499
