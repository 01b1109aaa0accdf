"""Fixtures that the suites with a running server import by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from django.urls import get_resolver

from tests.project.gates import Gate, gates
from tests.support.server import ServerThread

_number = count()

Advance = Callable[[float], None]


@pytest.fixture
async def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Put the loop's clock forward."""
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0

    def forward(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    return forward


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    """With the settings of the test project; a connection reads WSREQUEST when it is opened."""
    get_resolver().url_patterns  # noqa: B018 (imported here: the first HTTP request would do it on the loop)
    running = ServerThread().start()
    yield running
    running.stop()


@pytest.fixture
def new_gate() -> Iterator[Callable[[], Gate]]:
    """Makes gates; they are open at the end, whatever happened."""
    made: list[Gate] = []

    def new() -> Gate:
        name = f"gate-{next(_number)}"
        gate = gates[name]
        gate.name = name
        made.append(gate)
        return gate

    yield new
    for gate in made:
        gate.open()
        del gates[gate.name]


@pytest.fixture
def gate(new_gate: Callable[[], Gate]) -> Gate:
    return new_gate()
