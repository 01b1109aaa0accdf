"""Servers for the whole run, and what a test makes of brokers; all is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from tests.push.brokers.ears import Ear
from tests.push.brokers.worlds import IMPLEMENTATIONS, World
from tests.support.redis_server import REDIS, RedisServer, cluster
from wsrequest.push.brokers.base import Broker, Listener

NewBroker = Callable[[], Broker]
Listen = Callable[..., Awaitable[tuple[Listener, Ear]]]


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(REDIS) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[list[RedisServer]]:
    with cluster() as servers:
        yield servers


@pytest.fixture(params=IMPLEMENTATIONS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with IMPLEMENTATIONS[request.param](request) as world:
        yield world


@pytest.fixture
def new_broker(world: World) -> Iterator[NewBroker]:
    made: list[Broker] = []

    def new() -> Broker:
        made.append(world.broker())
        return made[-1]

    yield new
    for broker in made:
        broker.close()


@pytest.fixture
def broker(new_broker: NewBroker) -> Broker:
    return new_broker()


@pytest.fixture
async def listen(new_broker: NewBroker) -> AsyncIterator[Listen]:
    """Another process's ear, with these topics."""
    made: list[Listener] = []

    async def new(*topics: str, broker: Broker | None = None) -> tuple[Listener, Ear]:
        ear = Ear()
        listener = (broker or new_broker()).listen(asyncio.get_running_loop(), ear)
        made.append(listener)
        for topic in topics:
            await listener.subscribe(topic)
        return listener, ear

    yield new
    for listener in made:
        await listener.close()
