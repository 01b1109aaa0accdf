"""A negotiated client that says nothing for two intervals is closed with 4201."""

from __future__ import annotations

from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.fixtures import Advance
from tests.support.memory import connection, settle
from tests.support.server import ServerThread


async def test_over_a_real_server(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"PING_INTERVAL": 0.2}
    async with connect(server.ws) as peer:
        assert peer.hello is not None
        assert peer.hello["data"]["heartbeat"] == 0.2
        assert await peer.close_code() == 4201
    await server.connections_gone()


async def test_silence_for_two_intervals(advance: Advance) -> None:
    async with connection() as peer:
        advance(39)
        await settle()
        assert not peer.task.done()
        advance(2)
        await peer.task
        assert peer.transport.closed_with == 4201


async def test_any_message_is_a_sign_of_life(advance: Advance) -> None:
    async with connection() as peer:
        for message in ({"ping": 1}, {"url": "/hello/"}, {"cancel": 1}, [], "nonsense"):
            advance(39)
            peer.transport.push(message)
            await settle()
            assert not peer.task.done()
        advance(41)
        await peer.task
        assert peer.transport.closed_with == 4201


async def test_a_request_in_flight_is_none(advance: Advance, gate: Gate) -> None:
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        advance(41)
        await peer.task
        assert peer.transport.closed_with == 4201
        await gate.cancelled.reached(1)


async def test_not_while_it_is_we_who_do_not_listen(
    advance: Advance, gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connection() as peer:
        for key in (1, 2, 3):
            peer.transport.push({"id": key, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        await settle()
        for _ in range(5):
            advance(41)
            await settle()
        assert not peer.task.done()
        gate.open()
        await gate.left.reached(3)


async def test_a_peer_that_takes_no_frame_counts_as_silent(
    advance: Advance, settings: Settings
) -> None:
    """It is full of answers that nobody reads: what it does not listen to is no excuse."""
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": "/odd/octets/"})
        while not peer.session.outbox.full:
            await settle()
        peer.transport.push({"ping": 1})  # and it waits for room
        await settle()
        advance(39)
        await settle()
        assert not peer.task.done()
        for _ in range(2):
            advance(41)
            await settle()
        assert peer.task.done()
        assert peer.transport.closed_with == 4201


async def test_a_peer_that_takes_its_frames_slowly_is_not(
    advance: Advance, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        for number in range(1, 4):
            peer.transport.stall()
            peer.transport.push({"id": number, "url": "/odd/octets/"})
            while not peer.session.outbox.full:
                await settle()
            peer.transport.push({"ping": number})
            await settle()
            advance(30)
            await settle()
            peer.transport.flow()
            await peer.transport.pull()
            await settle()
        assert not peer.task.done()


async def test_nobody_asks_a_seed_client(advance: Advance) -> None:
    async with connection(subprotocols=()) as peer:
        advance(100_000)
        await settle()
        assert not peer.task.done()


async def test_it_can_be_turned_off(advance: Advance, settings: Settings) -> None:
    settings.WSREQUEST = {"PING_INTERVAL": None}
    async with connection() as peer:
        advance(100_000)
        await settle()
        assert not peer.task.done()


async def test_a_close_that_the_peer_does_not_take_ends_all_the_same(advance: Advance) -> None:
    async with connection() as peer:
        peer.transport.stall_closing()
        advance(41)
        await settle()
        assert not peer.task.done()
        advance(6)
        await peer.task
