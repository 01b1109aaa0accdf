"""Streams: their shape, what cuts them short, and that a slow reader stops the generator."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import Message, Peer, connect
from tests.support.memory import connection, settle
from tests.support.server import ServerThread

VIEWS = ["stream", "astream", "mixed-stream", "amixed-stream"]


async def read_stream(peer: Peer, url: str, id: int | str = 1) -> list[Message]:
    messages = [await peer.request(url, id=id)]
    while not messages[-1].get("end"):
        messages.append(await peer.answer(id))
    return messages


@pytest.mark.parametrize("view", VIEWS)
async def test_head_chunks_end(server: ServerThread, view: str) -> None:
    async with connect(server.ws) as peer:
        head, *chunks, end = await read_stream(peer, f"/{view}/")
        assert head["more"] is True
        assert head["status"] == 200
        assert "data" not in head
        assert "content-length" not in head["headers"]
        assert "".join(chunk["chunk"] for chunk in chunks) == "one two drei\u00df \u2028"
        assert all(chunk.keys() == {"id", "chunk"} for chunk in chunks)
        assert end == {"id": 1, "end": True}


async def test_bytes_that_are_no_text_are_base64(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        _, first, second, _ = await read_stream(peer, "/stream/split/")
        assert first == {"id": 1, "chunk": "ww==", "encoding": "base64"}
        assert base64.b64decode(second["chunk"]) == b"\xa9 \xff"


async def test_large_parts_are_cut(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        _, *chunks, _ = await read_stream(peer, "/stream/large/")
        assert max(len(chunk["chunk"]) for chunk in chunks) == 65_536
        assert sum(len(chunk["chunk"]) for chunk in chunks) == 500_000


async def test_without_an_id(server: ServerThread) -> None:
    """As in 2014: whatever follows comes after the stream's end, and no frame is an array."""
    async with connect(server.ws, seed=True) as peer:
        await peer.send({"url": "/stream/"})
        await peer.send({"url": "/hello/"})
        messages = [await peer.next()]
        while "data" not in messages[-1]:
            messages.append(await peer.next())
        assert messages[0]["more"] is True
        assert messages[-2] == {"end": True}
        assert messages[-1]["data"] == "hello"
        assert not any("id" in message for message in messages)
        assert not any(frame.startswith("[") for frame in peer.frames)


@pytest.mark.parametrize("view", ["broken-stream", "abroken-stream"])
async def test_an_exception_ends_the_stream_and_tells_nothing(
    server: ServerThread, view: str
) -> None:
    async with connect(server.ws) as peer:
        _, chunk, end = await read_stream(peer, f"/{view}/")
        assert chunk["chunk"] == "so far so good"
        assert end["end"] is True
        assert end["status"] == 500
        assert "secret" not in str(end)
        assert (await peer.request("/hello/"))["status"] == 200


async def test_streams_run_side_by_side(server: ServerThread, new_gate: Callable[[], Gate]) -> None:
    one, other = new_gate(), new_gate()
    async with connect(server.ws) as peer:
        for key, gate in (("one", one), ("other", other)):
            await peer.request(f"/gated-stream/{gate.name}/", id=key)
            assert (await peer.answer(key))["chunk"] == "first"
        other.open()
        assert (await peer.answer("other"))["chunk"] == "second"
        assert (await peer.answer("other"))["end"] is True
        one.open()
        assert (await peer.answer("one"))["chunk"] == "second"


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_a_stream_waits_for_room_in_the_outbox(
    new_gate: Callable[[], Gate], settings: Settings, view: str
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 100_000}
    gate, other = new_gate(), new_gate()
    async with connection() as peer, connection(pool=peer.pool) as neighbour:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/60/10000/"})
        await gate.entered.reached(10)
        await settle()
        peer.transport.push({"id": 2, "url": f"/gate/{other.name}/"})
        # Another connection's requests go through loop and pool; so the stream had its turns, too.
        for key in (1, 2, 3):
            neighbour.transport.push({"id": key, "url": "/hello/"})
            assert (await neighbour.transport.pull())["status"] == 200
        await settle()
        assert 10 <= gate.entered.count <= 12
        assert peer.session.outbox.size < 130_000
        assert other.entered.count == 0  # nor does a request begin
        other.open()
        peer.transport.flow()
        chunks = 0
        while chunks < 60:
            frame = await peer.transport.pull()
            messages = frame if isinstance(frame, list) else [frame]
            chunks += sum("chunk" in message for message in messages)
            assert peer.session.outbox.size < 130_000
        await gate.left.reached(1)
        await other.left.reached(1)


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_a_stream_that_waits_for_room_is_stopped_by_a_disconnect(
    gate: Gate, settings: Settings, view: str
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/60/10000/"})
        await gate.entered.reached(1)
        await settle()
        peer.transport.leave()
        peer.transport.flow()
        await peer.task
        await gate.left.reached(1)
        assert gate.entered.count < 60


async def test_an_endless_stream_that_never_awaits_ends_with_its_peer(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 5000}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": f"/endless/{gate.name}/"})
        await gate.entered.reached(5)
        peer.transport.leave()
        peer.transport.flow()
        await peer.task
        await gate.left.reached(1)


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_a_stream_that_never_awaits_ends_where_nothing_can_be_sent(
    gate: Gate, view: str
) -> None:
    """Also before the loop comes to read that the peer is gone."""
    async with connection() as peer:
        peer.transport.error = ConnectionResetError()
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/200000/1000/"})
        await gate.left.reached(1)
        assert gate.entered.count < 20000


async def test_nothing_of_a_stream_comes_after_its_cancelled_end(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 5000}
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/endless/{gate.name}/"})
        await gate.entered.reached(20)
        peer.transport.push({"cancel": 1}, {"id": 1, "url": "/hello/"})
        messages = []
        while not messages or "data" not in messages[-1] or "end" in messages[-1]:
            frame = await peer.transport.pull()
            messages += frame if isinstance(frame, list) else [frame]
        assert messages[-1]["data"] == "hello"
        assert messages[-2]["end"] is True
        assert messages[-2]["status"] == 499
        await gate.left.reached(1)


async def test_nothing_is_read_while_the_outbox_is_full(gate: Gate, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"url": "/odd/octets/"}, {"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        while not peer.session.outbox.full:
            await settle()
        for number in range(5):
            peer.transport.push({"ping": number})
        await settle()
        assert peer.transport.unread == 4  # one more was being waited for
        peer.transport.flow()
        pongs = []
        while len(pongs) < 5:
            frame = await peer.transport.pull()
            messages = frame if isinstance(frame, list) else [frame]
            pongs += [message["pong"] for message in messages if "pong" in message]
        assert pongs == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_a_client_that_does_not_read_stops_the_generator(
    server: ServerThread, gate: Gate, view: str
) -> None:
    """Over a real socket: what is made is what kernel and outbox hold, and not the 640 MB that there would be."""
    async with connect(server.ws, max_queue=1) as idle, connect(server.ws) as busy:
        await idle.send({"id": 1, "url": f"/{view}/{gate.name}/10000/64000/"})
        await gate.entered.reached(20)
        before = -1
        while before != gate.entered.count:
            before = gate.entered.count
            for _ in range(20):
                await busy.request("/hello/")
        assert gate.entered.count < 500
        idle.abort()
        await gate.left.reached(1)
    await server.connections_gone()
