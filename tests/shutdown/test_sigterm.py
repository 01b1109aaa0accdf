"""SIGTERM to a real server: the clients are told, what is under way ends, and only then the server does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.shutdown.doorkeeper import Doorkeeper
from tests.shutdown.heard import is_goaway, said, texts
from tests.shutdown.servers import KINDS, PATIENCE, Server, server
from tests.support.client import Peer, connect

REQUESTS = [
    {"id": 1, "url": "/wait/sync/"},
    {"id": 2, "url": "/await/async/"},
    {"id": 3, "url": "/stream/stream/"},
]


async def begin_everything(peer: Peer, door: Doorkeeper) -> None:
    """Requests of every kind, of which none has ended."""
    await peer.send(*REQUESTS)
    await peer.first(lambda message: message.get("chunk") == "first")
    await door.here("sync", "async", "stream")


async def test_what_is_under_way_ends_first() -> None:
    """Each server's usual way is in ``tests/transports/shared``; this one is hypercorn without a worker."""
    async with (
        server("hypercorn-alone", GRACE_TIME=PATIENCE) as (it, door),
        AsyncExitStack() as stack,
    ):
        idle, busy = [await stack.enter_async_context(connect(it.ws)) for _ in range(2)]
        idle_seed, busy_seed = [
            await stack.enter_async_context(connect(it.ws, seed=True)) for _ in range(2)
        ]
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        await begin_everything(busy, door)
        await busy_seed.send({"url": "/wait/seed/"})
        over_http = asyncio.create_task(client.get(f"{it.http}/await/http/"))
        await door.here("seed", "http")

        it.terminate()

        # Who has nothing under way may go at once; only who negotiated is told when to come back.
        assert await idle.close_code() == 4200
        assert await idle_seed.close_code() == 4200
        goaway = said(idle)[-1]
        assert is_goaway(goaway)
        assert 0 <= goaway["data"]["delay"] <= 4 / 200
        assert idle_seed.frames == []

        # Whoever has may not begin anything new.
        assert is_goaway(await busy.first(is_goaway))
        refused = await busy.request("/wait/never/", id=4)
        assert (refused["status"], refused["data"]["code"]) == (503, "going_away")
        assert int(refused["headers"]["retry-after"]) >= 0
        await busy_seed.send({"url": "/wait/never/"})
        await busy_seed.send({"ping": 1})
        await busy_seed.first(lambda message: message == {"pong": 1})  # so it was read
        assert await refusal(it) == 503

        door.open()
        assert (await over_http).text == "waited http"
        assert await busy.close_code() == 4200
        assert await busy_seed.close_code() == 4200
        assert await it.ended() == it.kind.exit_code

    answers = {key: [m for m in texts(said(busy)) if m.get("id") == key] for key in (1, 2, 3, 4)}
    assert answers == {
        1: [{"id": 1, "status": 200, "data": "waited sync"}],
        2: [{"id": 2, "status": 200, "data": "waited async"}],
        3: [
            {"id": 3, "status": 200, "more": True},
            {"id": 3, "chunk": "first"},
            {"id": 3, "chunk": "second"},
            {"id": 3, "end": True},
        ],
        4: texts([refused]),
    }
    first, second = [message for message in said(busy_seed) if message != {"pong": 1}]
    assert (first["status"], first["data"]) == (200, "waited seed")
    assert (second["status"], second["data"]["code"]) == (503, "going_away")


async def refusal(it: Server) -> int:
    """The status with which a further connection is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(it.ws):
            pass
    assert caught.value.response.headers["retry-after"] == "1"
    return caught.value.response.status_code


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "daphne", "granian"])
async def test_what_takes_too_long_is_answered_503(name: str) -> None:
    async with server(name, GRACE_TIME=0.3) as (it, door), connect(it.ws) as peer:
        await begin_everything(peer, door)
        it.terminate()
        assert await peer.close_code() == 4200
        door.open()  # a thread can't be stopped, and the process waits for it a while
        assert await it.ended() == it.kind.exit_code

    last = {key: [m for m in said(peer) if m.get("id") == key][-1] for key in (1, 2, 3)}
    assert [last[key]["status"] for key in (1, 2, 3)] == [503, 503, 503]
    assert {last[key]["data"]["code"] for key in (1, 2, 3)} == {"shut_down"}
    assert last[3]["end"] is True
    assert sum("status" in message for message in said(peer) if message.get("id") in (1, 2)) == 2


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].hears_twice])
async def test_a_second_signal_ends_it_at_once(name: str) -> None:
    async with server(name, GRACE_TIME=10 * PATIENCE) as (it, door), connect(it.ws) as peer:
        await begin_everything(peer, door)
        it.terminate()
        await peer.first(is_goaway)
        it.terminate()
        assert await peer.close_code() in (4200, it.kind.cut)  # whoever is faster
        door.open()
        assert await it.ended() == it.kind.exit_code


async def test_many_clients_are_not_to_come_back_together() -> None:
    count = 200
    async with server("uvicorn") as (it, _), AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(it.ws)) for _ in range(count)]
        it.terminate()
        codes = await asyncio.gather(*(peer.close_code() for peer in peers))
        assert await it.ended() == it.kind.exit_code
    assert set(codes) == {4200}
    delays = sorted(said(peer)[-1]["data"]["delay"] for peer in peers)
    assert 0 <= delays[0] < 0.2  # of one second: 200 clients, 200 a second
    assert 0.8 < delays[-1] <= 1
    assert len(set(delays)) > count / 2


async def test_ctrl_c_waits_for_nobody() -> None:
    async with server("uvicorn", GRACE_TIME=10 * PATIENCE) as (it, door), connect(it.ws) as peer:
        await begin_everything(peer, door)
        it.interrupt()
        with pytest.raises(ConnectionClosed):
            await peer.first(is_goaway)
        assert peer.socket.close_code == it.kind.cut
        door.open()
        await it.ended()
