"""Connections take turns in beginning asynchronous requests."""

from __future__ import annotations

import asyncio
from functools import partial

from wsrequest.lifecycle.threads import Lane
from wsrequest.lifecycle.turns import AT_ONCE, Turns


async def rounds(count: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lane_alone_begins_at_once() -> None:
    turns, lane, begun = Turns(asyncio.get_running_loop()), Lane(), []
    for number in range(10):
        turns.begin(lane, partial(begun.append, number))
    assert begun == list(range(10))


async def test_requests_without_a_lane_begin_at_once() -> None:
    turns, begun = Turns(asyncio.get_running_loop()), []
    turns.begin(Lane(), partial(begun.append, "another's"))
    for number in range(10):
        turns.begin(None, partial(begun.append, number))
        turns.ended(None)
    assert begun == ["another's", *range(10)]


async def test_beside_another_a_lane_begins_one_in_a_round() -> None:
    turns, many, few, begun = Turns(asyncio.get_running_loop()), Lane(), Lane(), []
    turns.begin(few, partial(begun.append, "few"))
    for number in range(6):
        turns.begin(many, partial(begun.append, number))
    assert begun == ["few", *range(AT_ONCE)]
    seen = []
    for _ in range(6 - AT_ONCE):
        await rounds(1)
        seen.append(len(begun))
    assert seen == list(range(AT_ONCE + 2, 8))
    assert begun == ["few", *range(6)]


async def test_who_has_few_does_not_wait() -> None:
    turns, many, few, begun = Turns(asyncio.get_running_loop()), Lane(), Lane(), []
    turns.begin(few, partial(begun.append, "first"))
    for number in range(50):
        turns.begin(many, partial(begun.append, number))
    turns.begin(few, partial(begun.append, "second"))
    assert begun == ["first", *range(AT_ONCE), "second"]


async def test_two_that_wait_begin_in_the_same_round() -> None:
    turns, one, other, begun = Turns(asyncio.get_running_loop()), Lane(), Lane(), []
    turns.begin(other, partial(begun.append, "other"))
    for lane, name in ((one, "a"), (other, "b")):
        for number in range(AT_ONCE + 2):
            turns.begin(lane, partial(begun.append, f"{name}{number}"))
    del begun[:]
    await rounds(1)
    assert len(begun) == 2
    assert {name[0] for name in begun} == {"a", "b"}


async def test_what_has_ended_counts_no_more() -> None:
    turns, one, other, begun = Turns(asyncio.get_running_loop()), Lane(), Lane(), []
    turns.begin(other, partial(begun.append, "other"))
    turns.ended(other)
    for number in range(10):
        turns.begin(one, partial(begun.append, number))
    assert begun == ["other", *range(10)]
    for _ in range(10):
        turns.ended(one)
    assert not turns._requests
    assert not turns._waiting


async def test_one_that_waits_keeps_its_place_when_others_have_gone() -> None:
    turns, one, other, begun = Turns(asyncio.get_running_loop()), Lane(), Lane(), []
    turns.begin(other, partial(begun.append, "other"))
    for number in range(AT_ONCE + 2):
        turns.begin(one, partial(begun.append, number))
    turns.ended(other)
    turns.begin(one, partial(begun.append, "last"))
    await rounds(4)
    assert begun == ["other", *range(AT_ONCE + 2), "last"]
