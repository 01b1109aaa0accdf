"""Telling what is live, where that can't be told: the broker is away, or the event loop about to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from wsrequest.errors import BrokerUnavailable
from wsrequest.livequery.queries import Queries
from wsrequest.livequery.report import part_in
from wsrequest.push.publication import LiveAsked
from wsrequest.session.reporting import MOST, Reporter


class Hub:
    """A hub whose broker ``does`` this with what is said."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does
        self.said: list[tuple[str, bytes]] = []

    async def signal(self, topic: str, payload: bytes) -> None:
        self.said.append((topic, payload))
        await self._does()


async def said() -> None:
    """It is carried at once."""


async def away() -> None:
    raise BrokerUnavailable


def reporter(hub: Hub) -> Reporter:
    async def on_thread(function: Any, *args: Any) -> Any:
        return function(*args)

    loop = asyncio.get_running_loop()
    return Reporter(loop, Queries(loop, asyncio.Semaphore(1), on_thread), hub)  # type: ignore[arg-type]


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


async def test_nothing_to_be_told_is_told() -> None:
    hub = Hub(said)
    reporter(hub).answer(LiveAsked("@there", 5))
    await asyncio.gather(*others())
    ((topic, payload),) = hub.said
    told = part_in(payload)
    assert (topic, told.parts, told.total, told.audiences) == ("@there", 1, 0, [])


async def test_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(away)
    reporter(hub).answer(LiveAsked("@there", 5))
    await asyncio.gather(*others())
    assert len(hub.said) == 1
    assert not caplog.records


async def test_so_many_wait_and_no_more_and_none_at_the_end() -> None:
    hub = Hub(asyncio.Event().wait)
    telling = reporter(hub)
    for _ in range(MOST + 3):
        telling.answer(LiveAsked("@there", 5))
    assert len(others()) == MOST
    async with asyncio.timeout(20):
        await telling.close()
    assert not others()
