"""Where several connections ask for something, each has few young asynchronous requests at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from wsrequest.lifecycle.threads import Lane
from wsrequest.lifecycle.turns import AT_ONCE, PRESENT, YOUNG, Turn, Turns


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when, self.call, self.cancelled = when, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The loop, with a time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> Timer:
        self.timers.append(Timer(self.now + delay, lambda: call(*args)))
        return self.timers[-1]

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        while due := [each for each in self.timers if each.when <= self.now]:
            self.timers = [each for each in self.timers if each not in due]
            for timer in due:
                if not timer.cancelled:
                    timer.call()


class Begun:
    """What has begun, by turns."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock)  # type: ignore[arg-type]
        self.names: list[Any] = []
        self.running: dict[Any, Turn | None] = {}

    def ask(self, lane: Lane | None, *names: Any) -> None:
        for name in names:
            self.turns.asks(lane)
            self.turns.begin(lane, lambda turn, name=name: self._start(name, turn))

    def end(self, name: Any) -> None:
        self.turns.ended(self.running.pop(name))

    def _start(self, name: Any, turn: Turn | None) -> None:
        self.names.append(name)
        self.running[name] = turn


@pytest.fixture
def begun() -> Begun:
    return Begun()


MANY = range(10)
AT_FIRST = list(MANY)[:AT_ONCE]


def test_a_lane_alone_begins_at_once(begun: Begun) -> None:
    begun.ask(Lane(), *MANY)
    assert begun.names == list(MANY)
    for name in MANY:
        begun.end(name)
    assert begun.clock.timers == []


def test_requests_without_a_lane_begin_at_once(begun: Begun) -> None:
    begun.ask(Lane(), "another's")
    begun.ask(None, *MANY)
    begun.end(0)
    assert begun.names == ["another's", *MANY]


def test_beside_another_the_next_begins_when_one_has_ended(begun: Begun) -> None:
    begun.turns.asks(Lane())  # for what a thread does
    begun.ask(Lane(), *MANY)
    assert begun.names == AT_FIRST
    for name in MANY:
        begun.end(name)
        assert begun.names == list(MANY)[: AT_ONCE + name + 1]


def test_or_when_one_is_young_no_more(begun: Begun) -> None:
    begun.turns.asks(Lane())
    begun.ask(Lane(), *MANY)
    begun.clock.go_on(YOUNG * 0.9)
    assert begun.names == AT_FIRST
    begun.clock.go_on(YOUNG * 0.2)
    assert begun.names == list(MANY)[: 2 * AT_ONCE]
    begun.end(0)  # not young any more: in nobody's way
    assert begun.names == list(MANY)[: 2 * AT_ONCE]


def test_who_has_few_does_not_wait(begun: Begun) -> None:
    few = Lane()
    begun.ask(few, "first")
    begun.ask(Lane(), *MANY)
    begun.ask(few, "second")
    assert begun.names == ["first", *AT_FIRST, "second"]


def test_who_asked_long_ago_counts_no_more(begun: Begun) -> None:
    begun.ask(Lane(), "other")
    one = Lane()
    begun.turns.asks(one)
    begun.clock.go_on(PRESENT + 1)
    begun.ask(one, *MANY)
    assert begun.names == ["other", *MANY]


def test_those_of_a_lane_keep_their_order(begun: Begun) -> None:
    begun.turns.asks(Lane())
    one = Lane()
    begun.ask(one, *MANY)
    begun.clock.now += PRESENT + 1  # alone by now, but others of its own wait
    begun.ask(one, "last")
    for name in MANY:
        begun.end(name)
    assert begun.names == [*MANY, "last"]


def test_who_is_alone_again_waits_no_more(begun: Begun) -> None:
    begun.turns.asks(Lane())
    one = Lane()
    begun.ask(one, *MANY)
    begun.clock.now += PRESENT + 1
    begun.end(0)
    assert begun.names == list(MANY)
    begun.ask(one, "next")
    assert begun.names == [*MANY, "next"]
    for name in (*MANY[1:], "next"):
        begun.end(name)
    assert not begun.turns._young
    assert not begun.turns._waiting


def test_nothing_is_kept_of_what_has_ended(begun: Begun) -> None:
    begun.turns.asks(Lane())
    begun.ask(Lane(), *MANY)
    for name in MANY:
        begun.end(name)
    assert not begun.turns._young
    assert not begun.turns._waiting
    assert all(timer.cancelled for timer in begun.clock.timers)


async def test_on_a_real_loop(begun: Begun) -> None:
    turns, names, lane = Turns(asyncio.get_running_loop()), [], Lane()
    turns.asks(Lane())
    done = asyncio.Event()
    for name in MANY:
        turns.asks(lane)
        turns.begin(lane, lambda turn, name=name: names.append(name) or name < 9 or done.set())
    assert names == AT_FIRST
    await asyncio.wait_for(done.wait(), 20)
    assert names == list(MANY)
