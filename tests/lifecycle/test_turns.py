"""Connections take turns in beginning asynchronous requests."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from wsrequest.lifecycle.threads import Lane
from wsrequest.lifecycle.turns import AT_ONCE, PRESENT, Turns


class Clock:
    """The loop, with a time that stands still."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 1000.0
        self.call_soon = loop.call_soon

    def time(self) -> float:
        return self.now


class Begun:
    """What has begun, by turns."""

    def __init__(self) -> None:
        self.clock = Clock(asyncio.get_running_loop())
        self.turns = Turns(self.clock)  # type: ignore[arg-type]
        self.names: list[Any] = []

    def ask(self, lane: Lane | None, *names: Any) -> None:
        for name in names:
            self.turns.asks(lane)
            self.turns.begin(lane, partial(self.names.append, name))


@pytest.fixture
async def begun() -> Begun:
    return Begun()


async def a_round() -> None:
    await asyncio.sleep(0)


MANY = range(10)
AT_FIRST = list(MANY)[:AT_ONCE]


async def test_a_lane_alone_begins_at_once(begun: Begun) -> None:
    begun.ask(Lane(), *MANY)
    assert begun.names == list(MANY)


async def test_requests_without_a_lane_begin_at_once(begun: Begun) -> None:
    begun.ask(Lane(), "another's")
    begun.ask(None, *MANY)
    begun.turns.ended(None)
    assert begun.names == ["another's", *MANY]


async def test_beside_another_a_lane_begins_one_in_a_round(begun: Begun) -> None:
    begun.turns.asks(Lane())  # for what a thread does
    begun.ask(Lane(), *MANY)
    assert begun.names == AT_FIRST
    for number in MANY[AT_ONCE:]:
        await a_round()
        assert begun.names == list(MANY)[: number + 1]


async def test_who_has_few_does_not_wait(begun: Begun) -> None:
    few = Lane()
    begun.ask(few, "first")
    begun.ask(Lane(), *MANY)
    begun.ask(few, "second")
    assert begun.names == ["first", *AT_FIRST, "second"]


async def test_two_that_wait_begin_in_the_same_round(begun: Begun) -> None:
    begun.turns.asks(Lane())
    begun.ask(Lane(), *MANY)
    begun.ask(Lane(), *"abcdef")
    del begun.names[:]
    await a_round()
    assert begun.names == [AT_ONCE, "abcdef"[AT_ONCE]]


async def test_who_asked_long_ago_counts_no_more(begun: Begun) -> None:
    begun.ask(Lane(), "other")
    one = Lane()
    begun.turns.asks(one)
    begun.clock.now += PRESENT + 1
    begun.ask(one, *MANY)
    assert begun.names == ["other", *MANY]


async def test_those_of_a_lane_keep_their_order(begun: Begun) -> None:
    begun.turns.asks(Lane())
    one = Lane()
    begun.ask(one, *MANY)
    begun.clock.now += PRESENT + 1
    begun.ask(one, "last")
    for _ in MANY:
        await a_round()
    assert begun.names == [*MANY, "last"]


async def test_nothing_is_kept_of_what_has_ended(begun: Begun) -> None:
    begun.turns.asks(Lane())
    one = Lane()
    begun.ask(one, *MANY)
    for _ in MANY:
        await a_round()
    for _ in MANY:
        begun.turns.ended(one)
    assert not begun.turns._requests
    assert not begun.turns._waiting
