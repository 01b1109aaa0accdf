"""Two servers and one Valkey: who is in which of them, also when one of them is killed, or the broker is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.support.client import MSGPACK, Message, Peer, connect
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess
from wsrequest import apresence, presence
from wsrequest.errors import BrokerUnavailable

pytestmark = pytest.mark.slow

#: Seconds: a third of it is what the loop of a server may be held up for without anybody noticing.
LEASE = 3.0

REDIS = "wsrequest.push.brokers.redis.RedisBroker"

_numbers = count()

New = Callable[[], ServerProcess]


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def new(valkey: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> New:
    folder = tmp_path_factory.mktemp("processes")

    def process() -> ServerProcess:
        return ServerProcess(
            folder,
            "tests.presence",
            WSREQUEST_TEST_BROKER=valkey.url,
            WSREQUEST_TEST_LEASE=str(LEASE),
        ).start()

    return process


@pytest.fixture(scope="module")
def both(new: New) -> Iterator[list[ServerProcess]]:
    servers = [new(), new()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def room(settings: Settings, valkey: RedisServer) -> str:
    """A room that nobody was in; this process can ask who is."""
    broker = {"BACKEND": REDIS, "OPTIONS": {"url": valkey.url}}
    settings.WSREQUEST = {
        "BROKERS": {"default": broker},
        "TOPICS": {"/rooms/*": {"PRESENCE": True}},
    }
    return f"/rooms/{next(_numbers)}/"


async def subscribe(peer: Peer, url: str) -> set[str]:
    """Who is there."""
    answer = await peer.request(url, id="room", method="SUBSCRIBE", presence=True)
    return {each["connection"] for each in answer["subscription"]["presence"]}


def id_of(peer: Peer) -> str:
    assert peer.hello is not None
    return str(peer.hello["data"]["connection"])


async def told(peer: Peer) -> tuple[str, str]:
    message: Message = await peer.answer("room")
    return message["event"], message["data"]["connection"]


async def test_two_processes_know_the_same(both: list[ServerProcess], room: str) -> None:
    one, two = both
    async with connect(one.ws) as first, connect(two.ws) as second:
        assert await subscribe(first, room) == {id_of(first)}
        assert await subscribe(second, room) == {id_of(first), id_of(second)}
        assert await told(first) == ("join", id_of(second))
        async with connect(two.ws) as third:
            await subscribe(third, room)
            for peer in (first, second):
                assert await told(peer) == ("join", id_of(third))
            there = await apresence(room)
            assert there == await asyncio.to_thread(presence, room)
            assert {each["connection"] for each in there} == {
                id_of(peer) for peer in (first, second, third)
            }
            assert all(each["user"] is each["info"] is None for each in there)
            third.abort()
            for peer in (first, second):
                assert await told(peer) == ("leave", id_of(third))


async def test_in_messagepack(both: list[ServerProcess], room: str) -> None:
    url = room.replace("rooms", "introduced")
    headers = {"x-device": "phone"}
    async with connect(both[0].ws, subprotocols=[MSGPACK]) as packed, connect(both[1].ws) as other:
        await subscribe(packed, url)
        await other.request(url, method="SUBSCRIBE", headers=headers)
        message = await packed.answer("room")
        info = {"name": "", "device": "phone"}
        data = {"connection": id_of(other), "user": None, "info": info}
        assert message == {"id": "room", "event": "join", "data": data}


async def test_a_process_that_is_killed(both: list[ServerProcess], new: New, room: str) -> None:
    mortal = new()
    async with (
        connect(both[0].ws) as first,
        connect(both[1].ws) as second,
        connect(mortal.ws) as peer,
    ):
        await subscribe(first, room)
        await subscribe(peer, room)
        assert await told(first) == ("join", id_of(peer))
        assert await subscribe(second, room) == {id_of(each) for each in (first, second, peer)}
        assert await told(first) == ("join", id_of(second))
        mortal.kill()
        for each in (first, second):
            assert await told(each) == ("leave", id_of(peer))
        await first.still_answers()
        await second.still_answers()
        assert {each["connection"] for each in await apresence(room)} == {
            id_of(first),
            id_of(second),
        }


async def test_a_process_that_stops(both: list[ServerProcess], new: New, room: str) -> None:
    leaving = new()
    async with connect(both[0].ws) as first, connect(leaving.ws) as peer:
        await subscribe(first, room)
        await subscribe(peer, room)
        assert await told(first) == ("join", id_of(peer))
        await asyncio.to_thread(leaving.stop)
        assert [each["connection"] for each in await apresence(room)] == [id_of(first)]
        assert await told(first) == ("leave", id_of(peer))


async def test_nobody_seems_to_leave_while_leases_are_renewed(
    both: list[ServerProcess], valkey: RedisServer, room: str
) -> None:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(each.ws)) for each in both * 2]
        for number, peer in enumerate(peers):
            assert len(await subscribe(peer, room)) == number + 1
            for other in peers[:number]:
                assert await told(other) == ("join", id_of(peer))
        await renewed(valkey, room)
        for peer in peers:
            await peer.still_answers()


async def renewed(valkey: RedisServer, room: str) -> None:
    """Wait until the leases of all who are there would have ended twice, had they not been renewed."""
    (key,) = await asyncio.to_thread(valkey.ask, "KEYS", f"*{room}*:leases")
    enough = time.time() + 3 * LEASE
    while True:
        [(_, until)] = await asyncio.to_thread(valkey.ask, "ZRANGE", key, 0, 0, "WITHSCORES")
        if float(until) / 1000 > enough:
            return
        await asyncio.sleep(LEASE / 10)


async def test_a_broker_that_forgets_everything(
    both: list[ServerProcess], valkey: RedisServer, room: str
) -> None:
    async with connect(both[0].ws) as first, connect(both[1].ws) as second:
        await subscribe(first, room)
        await subscribe(second, room)
        assert await told(first) == ("join", id_of(second))
        valkey.kill()
        await asyncio.to_thread(valkey.start)
        async with asyncio.timeout(20):
            while len(await there(room)) < 2:  # noqa: ASYNC110 (the servers come back by themselves)
                await asyncio.sleep(0.05)
        await renewed(valkey, room)
        async with connect(both[1].ws) as third:
            await subscribe(third, room)
            for peer in (first, second):
                message = await peer.first(lambda each: each.get("event") in ("join", "leave"))
                assert (message["event"], message["data"]["connection"]) == ("join", id_of(third))


async def there(room: str) -> list[dict[str, Any]]:
    try:
        return await apresence(room)
    except BrokerUnavailable:
        return []
