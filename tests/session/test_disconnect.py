"""A peer that goes away takes along what it had started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import Message, connect
from tests.support.memory import MemoryTransport, connection, settle
from tests.support.server import ServerThread
from wsrequest.conf import get_settings
from wsrequest.errors import HandshakeTimedOut
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.protocol.handshake import Handshake
from wsrequest.session.registry import registry
from wsrequest.session.session import Session


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


async def two_ids(transport: MemoryTransport) -> set[int]:
    """Of the next two answers, in one frame or in two."""
    answers: list[Message] = []
    while len(answers) < 2:
        frame = await transport.pull()
        answers += frame if isinstance(frame, list) else [frame]
    return {answer["id"] for answer in answers}


@pytest.mark.parametrize("reason", ["cancel", "timeout", "gone"])
async def test_what_no_thread_has_begun_with_is_not_run_for_nobody(
    new_gate: Callable[[], Gate], reason: str
) -> None:
    """A crowd that asks, gives up and comes again must not leave work behind each time."""
    busy, unwanted = new_gate(), new_gate()
    async with connection(workers=1) as first, connection(pool=first.pool) as second:
        first.transport.push({"id": 1, "url": f"/gate/{busy.name}/"})
        await busy.entered.reached(1)
        timeout = 1 if reason == "timeout" else None
        second.transport.push({"id": 1, "url": f"/gate/{unwanted.name}/", "timeout": timeout})
        if reason == "gone":
            await settle()
            await second.leave()
        else:
            if reason == "cancel":
                second.transport.push({"cancel": 1})
            expected = {"cancel": 499, "timeout": 504}[reason]
            assert (await second.transport.pull())["status"] == expected
        first.transport.push({"id": 2, "url": "/hello/"})
        await settle()
        assert first.pool.waiting == 2
        busy.open()
        assert await two_ids(first.transport) == {1, 2}
        assert not second.session._backlog.running  # its place is free again
    assert unwanted.entered.count == 0


async def test_a_handshake_that_no_thread_has_begun_with_is_not_run_for_nobody(
    new_gate: Callable[[], Gate], settings: Settings
) -> None:
    settings.WSREQUEST = {
        "HANDSHAKE": "tests.identity.hooks.at_gate",
        "HANDSHAKE_TIMEOUT": 0.01,
    }
    busy, unwanted = new_gate(), new_gate()
    async with connection(workers=1) as peer:
        peer.transport.push({"id": 1, "url": f"/gate/{busy.name}/"})
        await busy.entered.reached(1)
        handshake = Handshake(
            path="/ws/",
            headers=((b"host", b"testserver"),),
            query_string=f"gate={unwanted.name}".encode(),
        )
        runner = PoolRunner(peer.pool, asyncio.get_running_loop())
        session = Session(handshake, MemoryTransport(), runner, get_settings())
        with pytest.raises(HandshakeTimedOut):
            await session.open()
        session.leave()
        peer.transport.push({"id": 2, "url": "/hello/"})
        await settle()
        busy.open()
        assert await two_ids(peer.transport) == {1, 2}
    assert unwanted.entered.count == 0


async def test_no_timer_is_left_of_a_request_that_never_began(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "REQUEST_TIMEOUT": 60}
    async with connection() as peer:
        peer.transport.push(
            {"id": 1, "url": f"/agate/{gate.name}/"},
            {"id": 2, "method": "POST", "url": "/hello/", "key": "a"},
        )
        await gate.entered.reached(1)
        (waiting,) = peer.session._backlog.waiting
        assert waiting._timer is not None
        await peer.leave()
        assert waiting._timer is None
