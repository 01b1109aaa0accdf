"""Connections of one user, of one address, and of nobody: each limit at it and one past it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.identity.ways import cookie_of
from tests.support.client import Peer, connect
from tests.support.memory import connection, settle
from tests.support.server import ServerThread
from wsrequest.conf import get_settings
from wsrequest.errors import TooManyConnections
from wsrequest.lifecycle.identity import Who
from wsrequest.session.registry import Registry

FORM = {"content-type": "application/x-www-form-urlencoded"}
ADA = {"method": "POST", "headers": FORM, "data": {"name": "ada", "word": "secret"}}


async def log_in(peer: Peer) -> None:
    assert (await peer.request("/log-in/", **ADA))["data"] == "welcome ada"


async def refused(url: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, **options):
            pass
    response = caught.value.response
    assert int(response.headers["retry-after"]) > 0
    return response.status_code, bytes(response.body).decode()


# --- MAX_CONNECTIONS_PER_USER --------------------------------------------------------------------


async def test_connections_of_one_user(server: ServerThread, settings: Settings) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_USER": 2}
    origin = {"origin": server.http}
    async with connect(server.ws, **origin) as first, connect(server.ws, **origin) as second:
        await log_in(first)
        await log_in(second)
        async with connect(server.ws, **origin) as third, connect(server.ws) as stranger:
            await third.send({"id": 1, "url": "/log-in/", **ADA})
            assert await third.close_code() == 4101
            # The others stay, and so does who is nobody.
            for peer in (first, second, stranger):
                await peer.still_answers()
        await server.acall(server.connection_count_below(3))
        await first.request("/log-out/")
        async with connect(server.ws, **origin) as fourth:
            await log_in(fourth)
            await fourth.still_answers()


async def test_known_at_the_handshake_it_is_refused_before_the_upgrade(
    server: ServerThread, settings: Settings
) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_USER": 2}
    async with connect(server.ws, origin=server.http) as first:
        await log_in(first)
        cookie = cookie_of(first)
        async with connect(server.ws, headers=cookie) as second:
            await second.still_answers()
            status, text = await refused(server.ws, headers=cookie)
            assert (status, "as many connections" in text) == (503, True)
        await server.acall(server.connection_count_below(2))
        async with connect(server.ws, headers=cookie) as again:
            await again.still_answers()


async def test_a_refused_handshake_leaves_nothing_behind(
    server: ServerThread, settings: Settings
) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_USER": 1, "MAX_CONNECTIONS": 2}
    async with connect(server.ws, origin=server.http) as first:
        await log_in(first)
        for _ in range(5):
            assert (await refused(server.ws, headers=cookie_of(first)))[0] == 503
        async with connect(server.ws) as second:
            await second.still_answers()


async def test_whoever_leaves_makes_room(server: ServerThread, settings: Settings) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_USER": 1}
    for _ in range(3):
        async with connect(server.ws, origin=server.http) as peer:
            await log_in(peer)
            await peer.still_answers()
        await server.connections_gone()


# --- MAX_CONNECTIONS_PER_ADDRESS -----------------------------------------------------------------


async def test_connections_of_one_address(server: ServerThread, settings: Settings) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_ADDRESS": 2}
    async with connect(server.ws):
        async with connect(server.ws, seed=True):
            status, text = await refused(server.ws)
            assert (status, "as many connections" in text) == (503, True)
        await server.acall(server.connection_count_below(2))
        async with connect(server.ws) as again:
            await again.still_answers()


async def test_other_addresses_have_a_limit_of_their_own(settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_ADDRESS": 1}
    async with (
        connection(client=("192.0.2.1", 1)),
        connection(client=("192.0.2.2", 1)),
        connection(client=("2001:db8::1", 1)),
    ):
        with pytest.raises(TooManyConnections):
            async with connection(client=("192.0.2.2", 2)):
                pass


@pytest.mark.parametrize("client", [None, ("", 0)])
async def test_a_transport_that_knows_no_address(settings: Settings, client: Any) -> None:
    """A Unix socket, say: there is nothing to count by."""
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_ADDRESS": 1}
    async with connection(client=client), connection(client=client):
        pass


# --- the registry itself -------------------------------------------------------------------------


class Member:
    def __init__(self, address: str | None = None) -> None:
        self.id = str(id(self))
        self.address = address
        self.identity: str | None = None

    def close(self, code: int) -> None:
        raise AssertionError

    def tell(self, event: str, data: bytes) -> None:
        raise AssertionError

    def go_away(self, delay: float) -> None:
        raise AssertionError

    def cut_short(self) -> None:
        raise AssertionError


def test_a_registry_forgets_whoever_leaves(settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_USER": 1, "MAX_CONNECTIONS_PER_ADDRESS": 1}
    limits, one = get_settings(), Registry()
    for _ in range(3):
        first, second = Member("a"), Member("b")
        one.admit(first, limits)
        one.admit(second, limits)
        assert one.identify(first, "7", limits)
        assert one.identify(first, "7", limits)
        assert not one.identify(second, "7", limits)
        assert one.identify(second, "8", limits)
        assert one.identify(first, None, limits)
        assert one.identify(second, "7", limits)
        with pytest.raises(TooManyConnections):
            one.admit(Member("a"), limits)
        for member in (first, second, second):
            one.leave(member)
    assert one.members == set()


@pytest.mark.parametrize("name", ["PER_USER", "PER_ADDRESS"])
def test_without_a_limit_there_is_none(settings: Settings, name: str) -> None:
    settings.WSREQUEST = {f"MAX_CONNECTIONS_{name}": None}
    limits, one = get_settings(), Registry()
    for number in range(1500):
        member = Member("a" if name == "PER_ADDRESS" else str(number))
        one.admit(member, limits)
        assert one.identify(member, "7" if name == "PER_USER" else str(number), limits)


# --- IDLE_ANONYMOUS_TIMEOUT ----------------------------------------------------------------------


async def test_nobody_is_closed_after_a_while(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"IDLE_ANONYMOUS_TIMEOUT": 0.1}
    async with connect(server.ws) as peer, connect(server.ws, seed=True) as seed:
        assert await peer.close_code() == 4011
        assert await seed.close_code() == 4011


async def test_by_the_clock(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WSREQUEST = {"IDLE_ANONYMOUS_TIMEOUT": 30, "PING_INTERVAL": None}
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    async with connection() as peer:
        ahead = 29
        peer.transport.push({"ping": 1})  # what it says does not make it somebody
        assert await peer.transport.pull() == {"pong": 1}
        await settle()
        assert not peer.task.done()
        ahead = 30.5
        await peer.task
        assert peer.transport.closed_with == 4011


async def test_a_user_is_not_closed_and_the_time_begins_with_the_logout(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WSREQUEST = {"IDLE_ANONYMOUS_TIMEOUT": 30, "PING_INTERVAL": None}
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    async with connection() as peer:
        session = peer.session
        session.learn(0, Who("7", by_session=True), 200)
        assert session.identity == "7"
        ahead = 1000
        await settle()
        assert not peer.task.done()
        session.learn(1, Who(None, by_session=True), 200)
        assert session.identity is None
        ahead = 1029
        await settle()
        assert not peer.task.done()
        ahead = 1030.5
        await peer.task
        assert peer.transport.closed_with == 4011


async def test_without_a_timeout_nobody_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    async with connection(subprotocols=()) as peer:
        ahead = 10**9
        await settle()
        assert not peer.task.done()
