"""Hello, arrays in both directions, and what a seed connection never sees."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import ConnectionClosed

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import connection
from tests.support.server import ServerThread


async def test_hello(server: ServerThread) -> None:
    async with connect(server.ws) as one, connect(server.ws) as other:
        assert one.hello is not None
        assert other.hello is not None
        assert one.socket.subprotocol == "wsrequest.v1.json"
        assert one.hello["control"] == "hello"
        data = one.hello["data"]
        assert data["heartbeat"] == 20
        assert data["limits"] == {"message_bytes": 2**20, "in_flight": 32}
        assert data["connection"] != other.hello["data"]["connection"]


async def test_a_seed_connection_hears_only_answers(server: ServerThread) -> None:
    async with connect(server.ws, seed=True) as peer:
        assert peer.socket.subprotocol is None
        assert (await peer.plain("/hello/")).keys() == {"status", "headers", "data"}
        await peer.send_text("nonsense")
        assert (await peer.next())["data"]["error"] == "Invalid formatted message."
        await peer.send({"method": "GET"})
        assert (await peer.next())["data"]["error"] == "Missing URL"


async def test_a_seed_connection_is_never_sent_an_array(server: ServerThread) -> None:
    async with connect(server.ws, seed=True) as peer:
        await peer.send(*[{"url": f"/echo/{number}"} for number in range(20)], {"url": "/stream/"})
        rests = [(await peer.next())["data"]["rest"] for _ in range(20)]
        assert rests == [str(number) for number in range(20)]
        while not (await peer.next()).get("end"):
            pass
        assert not any(frame.startswith("[") for frame in peer.frames)


async def test_messages_of_an_array_are_answered_one_by_one(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        await peer.send(
            {"id": 1, "url": "/hello/"},
            {"id": 2, "url": ""},
            "no message",
            {"ping": 3},
            {"id": 4, "url": "/nowhere/"},
            [{"id": 5, "url": "/hello/"}],
        )
        messages = [await peer.next() for _ in range(6)]
        by_id = {message.get("id"): message.get("status") for message in messages}
        assert by_id == {1: 200, 2: 400, 4: 404, None: 400}
        assert {"pong": 3} in messages


@pytest.mark.parametrize("frame", ["[]", " [ ] ", '{"pong": 1}', '{"cancel": 9}', '[{"pong": 2}]'])
async def test_what_needs_no_answer_gets_none(server: ServerThread, frame: str) -> None:
    async with connect(server.ws) as peer:
        await peer.send_text(frame)
        await peer.still_answers()


async def test_a_binary_frame_is_read_as_text(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        await peer.send_text('{"id": 1, "url": "/echo/é"}'.encode())
        assert (await peer.next())["data"]["rest"] == "é"
        await peer.send_text(b'{"id": 1, "url": "\xff"}')
        assert (await peer.next())["data"]["code"] == "invalid_message"
        assert all(isinstance(frame, str) for frame in peer.frames)


async def test_at_the_size_limit_and_one_past_it(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 500}
    async with connect(server.ws) as peer:
        message = json.dumps({"id": 1, "url": "/echo/"})
        await peer.send_text(message.ljust(500))
        assert (await peer.next())["status"] == 200
        await peer.send_text(message.ljust(501))
        refused = await peer.next()
        assert refused["status"] == 413
        assert refused["data"]["limit"] == 500
        await peer.still_answers()


async def test_past_the_servers_own_limit(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        with suppress(ConnectionClosed):  # the close may come while it is being sent
            await peer.send_text("x" * (16 * 2**20 + 1))
        assert await peer.close_code() == 1009
    await server.connections_gone()


async def test_what_waits_goes_into_one_frame(gate: Gate) -> None:
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"ping": 0})
        peer.transport.push(*({"ping": number} for number in range(1, 6)))
        peer.transport.push({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.transport.flow()
        assert await peer.transport.pull() == [{"pong": number} for number in range(6)]


async def test_but_no_frame_grows_large(gate: Gate) -> None:
    async with connection() as peer:
        peer.transport.stall()
        for key in range(1, 9):
            peer.transport.push({"id": key, "url": f"/achunks/{gate.name}/1/30000/"})
        await gate.left.reached(8)
        peer.transport.flow()
        ended = 0
        while ended < 8:
            frame = await peer.transport.pull()
            messages = frame if isinstance(frame, list) else [frame]
            ended += sum("end" in message for message in messages)
            assert len(json.dumps(frame)) < 70_000


async def test_a_seed_connection_in_memory_waits_without_arrays(gate: Gate) -> None:
    async with connection(subprotocols=()) as peer:
        peer.transport.stall()
        peer.transport.push(
            *({"ping": number} for number in range(4)), {"url": f"/agate/{gate.name}/"}
        )
        await gate.entered.reached(1)
        peer.transport.flow()
        assert [await peer.transport.pull() for _ in range(4)] == [{"pong": n} for n in range(4)]
