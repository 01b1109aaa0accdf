"""The brokers that keep the contract. One more is a function and a line in IMPLEMENTATIONS.

A world is a server (or whatever stands for one), and makes brokers that share it, each as another process has it.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import pytest
from django.db import connections

from tests.push.brokers.ears import PATIENCE
from tests.push.postgres.fixtures import ALIAS
from tests.support.redis_server import RedisServer
from wsrequest.push.brokers.base import Broker, Position
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.brokers.postgres import PostgresBroker
from wsrequest.push.brokers.redis import RedisBroker

_number = count()


class World(ABC):
    """What a test needs to know of an implementation."""

    #: Seconds that a test can let pass.
    moment = 0.3

    @abstractmethod
    def broker(self) -> Broker:
        """As another process has it."""

    def pass_time(self, seconds: float) -> None:  # noqa: B027 (most have nothing to do)
        """Where the clock is the test's own. Elsewhere time passes by itself."""

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """What must hold when `moment` is over: at once where the clock is the test's own."""
        self.pass_time(self.moment)
        deadline = time.monotonic() + PATIENCE
        while not await holds():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


class MemoryWorld(World):
    moment = 60

    def __init__(self) -> None:
        self.now = 1000.0
        self._broker = MemoryBroker(clock=lambda: self.now)

    def broker(self) -> Broker:
        return self._broker

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class RedisWorld(World):
    def __init__(self, server: RedisServer, *, cluster: bool = False) -> None:
        self.server = server
        self._options = {"cluster": cluster, "prefix": f"test-{next(_number)}:"}

    def broker(self) -> Broker:
        return RedisBroker(self.server.url, **self._options)


class OnAnyThread(PostgresBroker):
    """Leaves no connection of Django's open: the threads of a test come and go."""

    def publish(self, *arguments: Any) -> Position:
        with closing(connections[ALIAS]):
            return super().publish(*arguments)

    def signal(self, *arguments: Any) -> None:
        with closing(connections[ALIAS]):
            super().signal(*arguments)

    def members(self, *arguments: Any) -> Mapping[str, bytes]:
        with closing(connections[ALIAS]):
            return super().members(*arguments)


class PostgresWorld(World):
    def __init__(self, alias: str) -> None:
        self._options = {"using": alias, "channel": f"test-{next(_number)}"}

    def broker(self) -> Broker:
        return OnAnyThread(**self._options)


def memory(request: pytest.FixtureRequest) -> Iterator[World]:
    yield MemoryWorld()


def valkey(request: pytest.FixtureRequest) -> Iterator[World]:
    yield RedisWorld(request.getfixturevalue("valkey_server"))


def redis(request: pytest.FixtureRequest) -> Iterator[World]:
    yield RedisWorld(request.getfixturevalue("redis_server"))


def cluster(request: pytest.FixtureRequest) -> Iterator[World]:
    yield RedisWorld(request.getfixturevalue("valkey_cluster")[0], cluster=True)


def postgres(request: pytest.FixtureRequest) -> Iterator[World]:
    yield PostgresWorld(request.getfixturevalue("postgres"))


#: By the name that stands in a test's id.
IMPLEMENTATIONS = {
    "memory": contextmanager(memory),
    "valkey": contextmanager(valkey),
    "redis": contextmanager(redis),
    "cluster": contextmanager(cluster),
    "postgres": contextmanager(postgres),
}
