"""A Valkey and two uvicorn processes that share it, and a database; all of them may be killed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.support.database import database, tables
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

__all__ = ["database", "tables"]

#: Whether the minute-long forms are wanted.
LONG = bool(os.environ.get("FAULTS"))

#: Takes too long for each run of the tests.
collect_ignore = [] if LONG else ["test_between.py"]

_numbers = count()


def pytest_report_header(config: pytest.Config) -> str:
    return f"faults: FAULTS_SEED={seed(config)}"


def seed(config: pytest.Config) -> int:
    """What also gives the order of the tests."""
    return int(config.getoption("randomly_seed"))


@pytest.fixture
def chance(pytestconfig: pytest.Config) -> random.Random:
    """Its seed is printed with a failure, too, as pytest prints what a test has printed."""
    print(f"FAULTS_SEED={seed(pytestconfig)}")
    return random.Random(seed(pytestconfig))


@pytest.fixture
def log() -> str:
    return f"log{next(_numbers)}"


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def new_process(
    valkey: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., ServerProcess]:
    folder = tmp_path_factory.mktemp("faults")

    def new(broker: int | None = None) -> ServerProcess:
        url = f"redis://127.0.0.1:{broker or valkey.port}/0"
        server = ServerProcess(folder, "tests.faults", WSREQUEST_TEST_BROKER=url)
        server.log = folder / f"server{next(_numbers)}.log"
        return server.start()

    return new


@pytest.fixture(scope="module")
def both(new_process: Callable[..., ServerProcess]) -> Iterator[list[ServerProcess]]:
    servers = [new_process(), new_process()]
    yield servers
    for server in servers:
        server.stop()
