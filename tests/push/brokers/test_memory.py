"""What is MemoryBroker's own: it forgets, and it does not wait for a loop that stands still."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.push.brokers.ears import Ear
from wsrequest.push.brokers import memory
from wsrequest.push.brokers.base import Position, Retention
from wsrequest.push.brokers.memory import MemoryBroker

TOPIC = "/orders/42/"
KEPT = Retention(size=10, ttl=60)


def other_loop(broker: MemoryBroker) -> tuple[asyncio.AbstractEventLoop, Ear]:
    """A loop that listens, and does not run."""
    ear, loop = Ear(), asyncio.new_event_loop()
    listener = broker.listen(loop, ear)
    broker.subscribe(listener, TOPIC)
    return loop, ear


async def test_who_listens_beside_a_loop_that_is_closed():
    broker = MemoryBroker()
    ears = []
    for _ in range(3):
        closed, _ = other_loop(broker)
        ear = Ear()
        await broker.listen(asyncio.get_running_loop(), ear).subscribe(TOPIC)
        ears.append(ear)
        closed.close()
    position = broker.publish(TOPIC, b"1", KEPT)
    broker.signal(None, b"2")
    for ear in ears:
        assert await ear.heard(TOPIC, 1) == [(position, b"1")]
        await ear.until(lambda ear=ear: ear.signals)
    assert len(broker._listeners) == 3


@pytest.mark.parametrize("payload", [b"x" * 1000, b""])
async def test_a_loop_that_does_not_come_to_listen(payload: bytes, monkeypatch: pytest.MonkeyPatch):
    """What waits for it has a bound, past which it is told that it has missed something."""
    monkeypatch.setattr(memory, "MOST_HEARD", 10_000)
    broker, ear = MemoryBroker(), Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(TOPIC)
    count = 1000
    for _ in range(count):
        broker.publish(TOPIC, payload, KEPT)
    assert len(listener._heard) < count / 2
    await ear.until(lambda: ear.told)
    assert ear.told == ["interrupted", "resumed"]
    offsets = [position.offset for position, _ in ear.of(TOPIC)]
    assert offsets == list(range(1, len(offsets) + 1))
    position = broker.publish(TOPIC, b"last", KEPT)
    assert position.offset == count + 1
    await ear.until(lambda: ear.of(TOPIC)[-1] == (position, b"last"))
    assert ear.told == ["interrupted", "resumed"]
    await listener.close()


async def test_topics_are_forgotten():
    """Which nobody hears, and of which nothing is kept."""
    now = 0.0
    broker = MemoryBroker(clock=lambda: now)
    listener = broker.listen(asyncio.get_running_loop(), Ear())
    heard = await listener.subscribe("/heard/")
    for number in range(100):
        broker.publish(f"/{number}/", b"", KEPT)
    now = 61.0
    for _ in range(100):
        broker.publish(TOPIC, b"", KEPT)
    assert set(broker._topics) == {"/heard/", TOPIC}
    assert (await listener.history("/heard/", heard, 1)).whole
    await listener.unsubscribe("/heard/")
    for _ in range(2):
        broker.publish(TOPIC, b"", KEPT)
    assert set(broker._topics) == {TOPIC}
    assert not (await listener.history("/heard/", heard, 1)).whole
    await listener.close()


async def test_several_processes_are_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "wsrequest.push")
    MemoryBroker().listen(asyncio.get_running_loop(), Ear())
    assert caplog.text == ""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    broker = MemoryBroker()
    for _ in range(2):
        broker.listen(asyncio.get_running_loop(), Ear())
    [record] = caplog.records
    assert "there are several (WEB_CONCURRENCY=4): see BROKERS" in record.getMessage()
    assert record.levelname == "WARNING"


def test_an_offset_that_was_never_there():
    broker = MemoryBroker()
    position = broker.publish(TOPIC, b"", KEPT)
    assert broker.history(TOPIC, Position(position.epoch, 2), 1).whole is False
