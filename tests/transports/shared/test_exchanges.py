"""Requests and streams: many at once, cancelled, and to a client that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.shutdown.doorkeeper import Doorkeeper
from tests.support.client import MSGPACK, Peer
from tests.transports.shared.carrier import Carrier
from tests.transports.shared.conftest import Connect

PATIENCE = 60
KIB = 1024


async def chunks_of(peer: Peer, id: int) -> list[Any]:
    """The head of a stream, what came of it, and how it ended."""
    parts = [await peer.answer(id)]
    while "end" not in parts[-1]:
        parts.append(await peer.answer(id))
    return parts


async def tally(peer: Peer, name: str) -> dict[str, int]:
    answer = await peer.request(f"/tally/{name}/", id=f"tally {name}")
    return answer["data"]


async def until(peer: Peer, name: str, **wanted: int) -> None:
    """Wait until so many have come, or have left."""
    await tallied(peer, name, lambda counts: wanted.items() <= counts.items())


async def tallied(peer: Peer, name: str, wanted: Callable[[dict[str, int]], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not wanted(await tally(peer, name)):  # noqa: ASYNC110 (it is in another process)
            await asyncio.sleep(0.05)


async def test_requests_overtake_each_other(peer: Peer, door: Doorkeeper) -> None:
    await peer.send({"id": 1, "url": "/door/wait/first/"})
    await peer.send({"id": 2, "url": "/door/await/second/"})
    await door.here("first", "second")
    assert (await peer.request("/hello/", id=3))["data"] == "hello"
    door.open()
    assert (await peer.answer(2))["data"] == "waited second"
    assert (await peer.answer(1))["data"] == "waited first"


async def test_requests_without_an_id_do_not(
    peer: Peer, door: Doorkeeper, carrier: Carrier
) -> None:
    await peer.send({"url": "/door/wait/slow/"})
    await peer.send({"url": "/hello/"})
    await door.here("slow")
    if not carrier.has("seed"):
        assert (await peer.next())["data"] == "hello"
    door.open()
    assert (await peer.next())["data"] == "waited slow"
    if carrier.has("seed"):
        assert (await peer.next())["data"] == "hello"


async def test_many_connections_at_once(connect: Connect) -> None:
    async def one(number: int) -> list[Any]:
        async with connect() as peer:
            for key in range(1, 11):
                await peer.send({"id": key, "url": f"/echo/{number}/{key}"})
            answers = [await peer.answer(key) for key in reversed(range(1, 11))]
            return [answer["data"]["rest"] for answer in answers]

    said = await asyncio.gather(*map(one, range(10)))
    assert said == [[f"{number}/{key}" for key in reversed(range(1, 11))] for number in range(10)]


async def test_a_request_is_cancelled(peer: Peer) -> None:
    await peer.send({"id": 1, "url": "/agate/cancelled/"})
    await until(peer, "cancelled", entered=1)
    await peer.send({"cancel": 1})
    answer = await peer.answer(1)
    assert (answer["status"], answer["data"]["code"]) == (499, "cancelled")
    await until(peer, "cancelled", left=1)


async def test_a_stream_comes_piece_by_piece(peer: Peer, door: Doorkeeper) -> None:
    await peer.send({"id": 1, "url": "/door/stream/pieces/"})
    head = await peer.answer(1)
    assert (head["status"], head["more"]) == (200, True)
    assert await peer.answer(1) == {"id": 1, "chunk": "first"}
    await door.here("pieces")
    door.open()
    assert await peer.answer(1) == {"id": 1, "chunk": "second"}
    assert await peer.answer(1) == {"id": 1, "end": True}


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_a_stream_is_cancelled(peer: Peer, view: str) -> None:
    name = f"cancelled-{view}"
    await peer.send({"id": 1, "url": f"/{view}/{name}/1000000000/{KIB}/"})
    await peer.first(lambda message: "chunk" in message)
    await peer.send({"cancel": 1})
    last = (await chunks_of(peer, 1))[-1]
    assert (last["status"], last["data"]["code"]) == (499, "cancelled")
    await until(peer, name, left=1)


async def test_a_stream_ends_when_the_client_goes(connect: Connect, peer: Peer) -> None:
    async with connect() as leaving:
        await leaving.send({"id": 1, "url": f"/achunks/deserted/1000000000/{KIB}/"})
        await leaving.first(lambda message: "chunk" in message)
        leaving.abort()
        await until(peer, "deserted", left=1)


async def test_a_stream_waits_for_a_slow_reader(
    connect: Connect, peer: Peer, carrier: Carrier
) -> None:
    pieces = 800  # of 64 KiB: more than the buffers between hold, where Linux has given them all that it may
    async with connect() as slow:
        await slow.send({"id": 1, "url": f"/achunks/slow/{pieces}/{64 * KIB}/"})
        asked, before = 0, -1
        async with asyncio.timeout(PATIENCE):
            while asked < pieces and (asked != before or not asked):
                before = asked
                await asyncio.sleep(0.3)
                asked = (await tally(peer, "slow"))["entered"]
        assert (asked < pieces) is carrier.has("back-pressure")
        if asked < pieces:
            for _ in range(asked):
                await slow.first(lambda message: "chunk" in message)
            await tallied(peer, "slow", lambda counts: counts["entered"] > asked)
        slow.abort()
        await until(peer, "slow", left=1)


async def test_a_large_answer(peer: Peer, carrier: Carrier) -> None:
    await peer.send({"id": 1, "url": "/large/binary/"})
    if carrier.has("large"):
        assert len((await peer.answer(1))["data"]) > 2 * 2**20
    else:
        assert await peer.close_code() == (4105 if carrier.has("codes") else 1005)


async def test_messagepack(connect: Connect, carrier: Carrier) -> None:
    if carrier.has("binary"):
        async with connect(subprotocol=MSGPACK) as peer:
            assert (await peer.request("/hello/", id=1))["data"] == "hello"
            assert all(isinstance(frame, bytes) for frame in peer.frames)
    else:
        async with connect(subprotocol=MSGPACK) as peer:
            assert peer.socket.subprotocol != MSGPACK


async def test_several_messages_in_a_frame(connect: Connect, carrier: Carrier) -> None:
    """A client that negotiates a subprotocol is greeted, may be told what it has not asked for, and takes arrays."""
    async with connect() as peer:
        assert (peer.hello is not None) is carrier.has("subprotocols")
        await peer.send({"id": 1, "url": "/echo/a"}, {"id": 2, "url": "/echo/b"})
        assert [(await peer.answer(key))["data"]["rest"] for key in (1, 2)] == ["a", "b"]
        told = await peer.request("/tell/", id=3)
        assert told["data"] == {"told": carrier.has("subprotocols")}
        if told["data"]["told"]:
            notice = await peer.first(lambda message: message.get("event") == "told")
            assert notice["data"] == {"by": "a view"}


async def test_a_seed_connection(connect: Connect, carrier: Carrier) -> None:
    """As in 2014: no subprotocol, no ids, one message in each frame."""
    async with connect(seed=True) as peer:
        greeted = carrier.has("subprotocols") and not carrier.has("seed")
        assert (peer.hello is not None) is greeted
        assert (await peer.plain("/hello/"))["data"] == "hello"
        assert (await peer.plain("/nowhere/"))["status"] == 404
        answer = await peer.plain("/log/seed/", method="POST", data="x")
        assert answer["data"] == {"entries": ["x"]}
