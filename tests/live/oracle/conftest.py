"""A seed, which is printed, and a database for each run."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from itertools import count

import pytest

from tests.push.postgres.fixtures import postgres_server
from tests.push.postgres.server import PostgresServer
from tests.support.redis_server import RedisServer

__all__ = ["postgres_server"]

SEED = int(os.environ.get("ORACLE_SEED") or random.randrange(2**32))

_numbers = count()


def pytest_report_header() -> str:
    return f"oracle: ORACLE_SEED={SEED}"


@pytest.fixture
def seed() -> int:
    """Printed with a failure, too, as pytest prints what a test has printed."""
    print(f"ORACLE_SEED={SEED}")
    return SEED


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def broker(valkey: RedisServer) -> dict[str, str]:
    return {"WSREQUEST_TEST_BROKER": valkey.url}


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> dict[str, str]:
    name = f"oracle{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    where = postgres_server.parameters
    settings = {
        "NAME": name,
        "USER": where["user"],
        "HOST": where["host"],
        "PORT": str(where["port"]),
    }
    return {"WSREQUEST_TEST_POSTGRES": json.dumps(settings)}
