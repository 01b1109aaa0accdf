"""A topic of one event loop: what its feed does between two turns of the loop."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.memory import PATIENCE
from wsrequest.push.brokers.base import Position, Retention
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.feed import Feed
from wsrequest.push.news import News
from wsrequest.push.publication import Publication, encoded

PAYLOAD = encoded(Publication("said", b"1"))  # type: ignore[arg-type]
KEPT = Retention(100, 100)


class Ear:
    """A subscriber that keeps the offsets of what it hears; ``then`` is called when it is told that all is found."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.losses: list[str] = []
        self.changed = asyncio.Event()
        self.then: Any = None

    def deliver(self, news: News) -> None:
        self.offsets.append(news.offset)
        self.changed.set()

    def lost(self, why: str, newest: int | None) -> None:
        self.losses.append(why)

    def found(self) -> None:
        if self.then is not None:
            then, self.then = self.then, None
            then()

    def touched(self) -> None:
        raise AssertionError

    async def heard(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.offsets) < number:
                self.changed.clear()
                await self.changed.wait()


async def test_a_gap_that_shows_just_as_another_has_been_closed() -> None:
    broker, loop = MemoryBroker(), asyncio.get_running_loop()
    feed = Feed(broker, loop, lambda word: None, lambda: None)
    topic, ear = await feed.join("/a/"), Ear()
    topic.subscribers[ear] = None
    epoch = topic.position.epoch

    def another() -> None:
        # Called in the last step of the reading: its task ends, and only in the next turn is it known to have ended.
        loop.call_soon(feed.deliver, "/a/", Position(epoch, 4), PAYLOAD)

    ear.then = another
    feed.listener.topics.clear()  # what the broker says now is missed
    for _ in range(2):
        broker.publish("/a/", PAYLOAD, KEPT)
    feed.deliver("/a/", Position(epoch, 2), PAYLOAD)
    await ear.heard(2)
    for _ in range(2):
        broker.publish("/a/", PAYLOAD, KEPT)
    await ear.heard(4)
    assert (ear.offsets, ear.losses) == ([1, 2, 3, 4], [])
    await feed.close()
