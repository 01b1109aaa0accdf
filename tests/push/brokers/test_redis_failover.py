"""A replica takes over that has not heard of the last events: an offset never stands for two of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.proxy import Proxy
from tests.push.brokers.conftest import Listen
from tests.push.brokers.worlds import RedisWorld
from tests.support.redis_server import REDIS, VALKEY, RedisServer
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Position, Retention
from wsrequest.push.brokers.redis import RedisBroker

pytestmark = pytest.mark.slow

TOPIC = "/orders/42/"
KEPT = Retention(size=100, ttl=300)


@pytest.fixture(params=[VALKEY, REDIS], ids=["valkey", "redis"])
def servers(request: pytest.FixtureRequest) -> Iterator[list[RedisServer]]:
    """The master, and its replica."""
    options = {"repl_diskless_sync_delay": 0}
    with (
        RedisServer(request.param, **options) as first,
        RedisServer(request.param, **options) as second,
    ):
        second.follow(first)
        yield [first, second]


@pytest.fixture
def world(servers: list[RedisServer]) -> RedisWorld:
    return RedisWorld(servers[0])


@pytest.fixture
async def address(servers: list[RedisServer]) -> AsyncIterator[Proxy]:
    """The one that stands in the project's settings, and leads to the master."""
    async with Proxy(servers[0].port).running() as proxy:
        yield proxy


@pytest.fixture
async def broker(address: Proxy) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(f"redis://127.0.0.1:{address.port}/0")
    yield broker
    broker.close()


def lead_to(server: RedisServer, address: Proxy) -> None:
    address.target = server.port
    address.cut()


async def published(broker: RedisBroker, *payloads: bytes) -> list[Position]:
    return [await broker.apublish(TOPIC, payload, KEPT) for payload in payloads]


async def again(broker: RedisBroker, payload: bytes) -> Position:
    """Where a connection was cut, it may take another try."""
    for _ in range(10):
        try:
            return await broker.apublish(TOPIC, payload, KEPT)
        except BrokerUnavailable:
            pass
    raise AssertionError("it is reached no more")


async def test_who_listens_is_told(
    servers: list[RedisServer], address: Proxy, broker: RedisBroker, listen: Listen
) -> None:
    master, replica = servers
    listener, ear = await listen(TOPIC, broker=broker)
    await published(broker, b"1", b"2")
    await asyncio.to_thread(replica.catch_up, master)
    await asyncio.to_thread(replica.take_over)
    *_, before = await published(broker, b"3", b"4")
    await ear.heard(TOPIC, 4)
    lead_to(replica, address)
    await ear.until(lambda: ear.told == ["interrupted", "resumed"])
    page = await listener.history(TOPIC, before, 10)
    assert (list(page.entries), page.whole) == ([], False)
    after = await again(broker, b"5")
    assert after == (page.newest.epoch, 1)
    assert after.epoch != before.epoch
    assert (await ear.heard(TOPIC, 5))[-1] == (after, b"5")


async def test_who_comes_back_is_told_though_the_first_one_leads_again(
    servers: list[RedisServer], address: Proxy, broker: RedisBroker, listen: Listen
) -> None:
    """Nobody asked for the topic while the second one led, and the first one's process is the same as ever."""
    first, second = servers
    await published(broker, b"1", b"2")
    await asyncio.to_thread(second.catch_up, first)
    await asyncio.to_thread(second.take_over)
    *_, before = await published(broker, b"3", b"4")
    lead_to(second, address)
    await asyncio.to_thread(first.follow, second)
    await asyncio.to_thread(first.take_over)
    lead_to(first, address)
    for payload in (b"not 3", b"not 4", b"5"):
        last = await again(broker, payload)
    listener, _ = await listen(broker=broker)
    assert not (await listener.history(TOPIC, before, 10)).whole
    assert last.epoch != before.epoch


async def test_a_replica_that_comes_and_goes_changes_nothing(
    servers: list[RedisServer], broker: RedisBroker, listen: Listen
) -> None:
    first, second = servers
    listener, ear = await listen(TOPIC, broker=broker)
    [before] = await published(broker, b"1")
    await asyncio.to_thread(second.take_over)
    await asyncio.to_thread(second.follow, first)
    await published(broker, b"2")
    page = await listener.history(TOPIC, before, 10)
    assert [entry.payload for entry in page.entries] == [b"2"]
    assert ear.told == []
