"""Fixtures that several folders share; their conftest.py import them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.utils import translation

from tests.lifecycle.views import Stage
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.threads import WorkerPool

MakeRunner = Callable[..., PoolRunner]


@pytest.fixture
def urls(settings) -> None:
    settings.ROOT_URLCONF = "tests.lifecycle.urls"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A fresh stage; at the end everyone on it may leave."""
    Stage.current = stage = Stage()
    stage.async_entered = asyncio.Event()
    yield stage
    stage.may_leave.set()
    stage.barrier.abort()


@pytest.fixture
def make_runner() -> Iterator[MakeRunner]:
    """Runners with pools of their own, of the size asked for."""
    pools: list[WorkerPool] = []

    def make(size: int = 2) -> PoolRunner:
        pools.append(WorkerPool(size, on_exit=connections.close_all))
        return PoolRunner(pools[-1], asyncio.get_running_loop())

    yield make
    for pool in pools:
        pool.close(20)


@pytest.fixture
async def runner(make_runner: MakeRunner) -> PoolRunner:
    return make_runner()


@pytest.fixture(autouse=True, scope="session")
def catalogues() -> Iterator[None]:
    """Read catalogues and time zones before any view does: an asynchronous view would do it on the loop."""
    for language in ("de", "fr", "en-us"):
        with translation.override(language):
            translation.gettext("Yes")
    zones = [ZoneInfo(name) for name in ("UTC", "Europe/Paris", "Europe/Berlin")]
    yield
    zones.clear()
