"""SIGTERM: the clients are told, what is under way ends, and only then the server does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.shutdown.doorkeeper import Doorkeeper
from tests.shutdown.heard import is_goaway, said, texts
from tests.support.client import Peer
from tests.transports.shared.carrier import Carrier, Site
from tests.transports.shared.conftest import Connect
from tests.transports.shared.serving import Serving

REQUESTS = [
    {"id": 1, "url": "/door/wait/sync/"},
    {"id": 2, "url": "/door/await/async/"},
    {"id": 3, "url": "/door/stream/stream/"},
]


async def begin_everything(peer: Peer, door: Doorkeeper) -> None:
    """Requests of every kind, of which none has ended."""
    for request in REQUESTS:
        await peer.send(request)
    await peer.first(lambda message: message.get("chunk") == "first")
    await door.here("sync", "async", "stream")


@pytest.mark.ends_server
async def test_what_is_under_way_ends_first(
    connect: Connect, carrier: Carrier, serving: Serving, site: Site, door: Doorkeeper
) -> None:
    going = 4200 if carrier.has("codes") else 1005
    negotiated = carrier.has("subprotocols")
    async with AsyncExitStack() as stack:
        idle, busy = [await stack.enter_async_context(connect()) for _ in range(2)]
        idle_seed, busy_seed = [
            await stack.enter_async_context(connect(seed=True)) for _ in range(2)
        ]
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, verify=False))
        await begin_everything(busy, door)
        await busy_seed.send({"url": "/door/wait/seed/"})
        await door.here("seed")
        if carrier.has("http"):
            over_http = asyncio.create_task(client.get(f"{site.http}/door/await/http/"))
            await door.here("http")

        serving.terminate()

        # Who has nothing under way may go at once; only who negotiated is told when to come back.
        assert await idle.close_code() == going
        assert await idle_seed.close_code() == going
        assert any(map(is_goaway, said(idle))) is negotiated
        if carrier.has("seed"):
            assert idle_seed.frames == []
        else:
            assert any(map(is_goaway, said(idle_seed)))

        # Whoever has may not begin anything new.
        if negotiated:
            delay = (await busy.first(is_goaway))["data"]["delay"]
            assert (
                0 <= delay <= 1
            )  # by the number of connections, some of which may be about to end
        refused = await refusals(busy, busy_seed) if carrier.hears_to_the_end else []
        if carrier.listens:
            assert await carrier.refusal(site) == refusal_of(carrier)

        door.open()
        if carrier.has("http"):
            assert (await over_http).text == "waited http"
        assert await busy.close_code() == going
        assert await busy_seed.close_code() == going
        assert await asyncio.to_thread(serving.ended) == carrier.exit_code

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
        4: texts(refused),
    }
    heard = [message for message in said(busy_seed) if message != {"pong": 1}]
    if not carrier.has("seed"):  # it is told more, and each answer comes when it can
        answered = [message for message in heard if "status" in message]
        heard = sorted(answered, key=lambda answer: answer["status"])
    first, *others = heard
    assert (first["status"], first["data"]) == (200, "waited seed")
    assert [(other["status"], other["data"]["code"]) for other in others] == [
        (503, "going_away") for _ in refused
    ]


async def refusals(busy: Peer, busy_seed: Peer) -> list[Any]:
    """What is said to who begins something new on either connection; of the seed connection, only that it was read."""
    refused = await busy.request("/door/wait/never/", id=4)
    assert (refused["status"], refused["data"]["code"]) == (503, "going_away")
    assert int(refused["headers"]["retry-after"]) >= 0
    await busy_seed.send({"url": "/door/wait/never/"})
    await busy_seed.send({"ping": 1})
    await busy_seed.first(lambda message: message == {"pong": 1})
    return [refused]


def refusal_of(carrier: Carrier) -> tuple[int | None, int | None]:
    if carrier.has("status"):
        return 503, None
    return None, 4200 if carrier.has("codes") else 1005
