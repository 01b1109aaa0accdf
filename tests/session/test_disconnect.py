"""A peer that goes away takes along what it had started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import connection
from tests.support.server import ServerThread
from wsrequest.registry import registry


@pytest.mark.parametrize("politely", [True, False])
async def test_async_views_are_cancelled(server: ServerThread, gate: Gate, politely: bool) -> None:
    async with connect(server.ws) as peer:
        for key in range(1, 6):
            await peer.send({"id": key, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(5)
        if politely:
            await peer.socket.close()
        else:
            peer.abort()
        await gate.cancelled.reached(5)
    await server.connections_gone()


async def test_sync_views_run_to_their_end(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.abort()
    await server.connections_gone()
    assert gate.left.count == 0
    gate.open()
    await gate.left.reached(1)


async def test_waiting_requests_are_dropped(
    new_gate: Callable[[], Gate], settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    running, waiting = new_gate(), new_gate()
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/gate/{running.name}/"})
        peer.transport.push({"id": 2, "url": f"/gate/{waiting.name}/"})
        peer.transport.push({"url": f"/gate/{waiting.name}/"})
        await running.entered.reached(1)
        await peer.leave()
        running.open()
        await running.left.reached(1)
    assert waiting.entered.count == 0


@pytest.mark.parametrize(("view", "closed"), [("gated-stream", False), ("agated-stream", True)])
async def test_streams_are_closed(
    server: ServerThread, gate: Gate, view: str, closed: bool
) -> None:
    async with connect(server.ws) as peer:
        await peer.request(f"/{view}/{gate.name}/")
        await gate.entered.reached(1)
        peer.abort()
        if not closed:  # its thread is in the generator: there is no stopping it
            gate.open()
        await gate.cancelled.reached(1)
    await server.connections_gone()


async def test_nothing_is_left_of_many_connections(
    server: ServerThread, new_gate: Callable[[], Gate]
) -> None:
    sync, asynchronous, stream = new_gate(), new_gate(), new_gate()
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(server.ws)) for _ in range(15)]
        for peer in peers:
            await peer.send({"id": 1, "url": f"/agate/{asynchronous.name}/"}, {"url": "/count/"})
            await peer.send({"id": 3, "url": f"/agated-stream/{stream.name}/"})
        for peer in peers[:3]:  # and some workers stay free for the hooks around the others
            await peer.send({"id": 2, "url": f"/gate/{sync.name}/"})
        await sync.entered.reached(3)
        await asynchronous.entered.reached(15)
        await stream.entered.reached(15)
        for peer in peers:
            peer.abort()
        sync.open()
        await asynchronous.cancelled.reached(15)
        await stream.cancelled.reached(15)
    await server.connections_gone()
    assert not registry.members
    async with connect(server.ws) as peer:
        assert (await peer.request("/hello/"))["status"] == 200


async def test_a_peer_that_leaves_at_once(server: ServerThread) -> None:
    for _ in range(5):
        async with connect(server.ws, seed=True) as peer:
            peer.abort()
    await server.connections_gone()
