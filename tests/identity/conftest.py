"""Two servers: the test project in this process, where a test can look inside, and the packages in one of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

from tests.support.database import database, tables
from tests.support.fixtures import gate, new_gate, server
from tests.support.server import ServerProcess

__all__ = ["database", "gate", "new_gate", "server", "tables"]

Configure = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def packages_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With the users "ada" and "bob", whose password is "secret"."""
    running = ServerProcess(
        tmp_path_factory.mktemp("packages"),
        "tests.identity.project",
        # drf-jwt 1.19 asks for the time in a way that Python 3.12 warns of.
        ("ignore:datetime.datetime.utc:DeprecationWarning",),
    )
    running.start()
    httpx.post(f"{running.http}/people/", trust_env=False).raise_for_status()
    yield running
    running.stop()


@pytest.fixture
def configure(packages_process: ServerProcess) -> Configure:
    """Gives WSREQUEST of the server with the packages, for connections that are opened afterwards."""

    async def configure(**settings: object) -> None:
        async with httpx.AsyncClient(
            base_url=packages_process.http, trust_env=False, verify=False
        ) as client:
            (await client.post("/control/", json=settings)).raise_for_status()

    return configure


@pytest.fixture
async def packages(packages_process: ServerProcess, configure: Configure) -> ServerProcess:
    """The server with the packages, with the defaults of WSREQUEST."""
    await configure()
    return packages_process
