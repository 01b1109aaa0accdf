"""Each test runs over each carrier; a carrier's server is started once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.shutdown.doorkeeper import Doorkeeper, doorkeeper
from tests.support.client import Peer
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.transports.shared import table
from tests.transports.shared.carrier import Carrier, Site
from tests.transports.shared.carriers import CARRIERS
from tests.transports.shared.serving import Serving, environment, make_database

Connect = Callable[..., AbstractAsyncContextManager[Peer]]


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def door_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def surroundings(
    tmp_path_factory: pytest.TempPathFactory, broker: str, door_port: int
) -> dict[str, str]:
    """The environment of every server's process."""
    variables = environment(tmp_path_factory.mktemp("shared"), broker, door_port)
    make_database(variables)
    return variables


#: All but the first say little about a pair of versions that the first does not.
PARAMS = [
    pytest.param(name, marks=[pytest.mark.slow] if number else [])
    for number, name in enumerate(CARRIERS)
]


@pytest.fixture(scope="session", params=PARAMS)
def serving(request: pytest.FixtureRequest, surroundings: dict[str, str]) -> Iterator[Serving]:
    server = Serving(CARRIERS[request.param], surroundings)
    yield server
    server.close()


@pytest.fixture
def carrier(serving: Serving) -> Carrier:
    return serving.carrier


@pytest.fixture
def site(serving: Serving) -> Site:
    return serving.site()


@pytest.fixture
def connect(carrier: Carrier, site: Site) -> Connect:
    """Opens a connection over the carrier: see :meth:`~tests.transports.shared.carrier.Carrier.connect`."""

    def opened(**options: Any) -> AbstractAsyncContextManager[Peer]:
        return carrier.connect(site, **options)

    return opened


@pytest.fixture
async def peer(connect: Connect) -> AsyncIterator[Peer]:
    async with connect() as opened:
        yield opened


@pytest.fixture
async def door(door_port: int) -> AsyncIterator[Doorkeeper]:
    """Where views wait, below ``/door/``."""
    async with doorkeeper(door_port) as keeper:
        yield keeper


#: By carrier and module, whether every test of this run has passed so far.
RESULTS = pytest.StashKey[dict[tuple[str, str], bool]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (carrier := _carrier_of(item)) is not None:
        results, key = item.config.stash[RESULTS], (carrier, item.path.stem)
        results[key] = results.get(key, True) and not report.failed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if "WRITE_SUPPORT_TABLE" in os.environ:
        table.write(session.config.stash[RESULTS])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test that ends a carrier's server comes after the carrier's others, and what sums up comes last."""
    last = [item for item in items if item.get_closest_marker("after_carriers")]
    items[:] = [item for item in items if item not in last] + last
    places = [place for place, item in enumerate(items) if _carrier_of(item) is not None]
    ordered = sorted((items[place] for place in places), key=_order(places, items))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _order(places: list[int], items: list[pytest.Item]) -> Callable[[pytest.Item], Any]:
    first: dict[str | None, int] = {}
    for place in places:
        first.setdefault(_carrier_of(items[place]), place)
    return lambda item: (
        first[_carrier_of(item)],
        item.get_closest_marker("ends_server") is not None,
    )


def _carrier_of(item: pytest.Item) -> str | None:
    """Its name, where it is a test of this suite."""
    callspec = getattr(item, "callspec", None)
    name: str | None = None if callspec is None else callspec.params.get("serving")
    return name
