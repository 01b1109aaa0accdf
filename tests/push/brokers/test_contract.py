"""What wsrequest.push.brokers.base promises, of every implementation."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.push.brokers.conftest import Listen, NewBroker
from tests.push.brokers.ears import PATIENCE, Ear
from tests.push.brokers.worlds import World
from wsrequest.push.brokers.base import Broker, Entry, Position, Retention

TOPIC = "/orders/42/"
KEPT = Retention(size=100, ttl=300)

#: Nothing may be made of what is in them.
PAYLOADS = [
    b"",
    b"\x00",
    b"\xff\xfe\n\r\n",
    b"a:b::",
    b"7:",
    "ä€🐙".encode(),
    bytes(range(256)),
    b"x" * 2**20,
]
TOPICS = [
    "",
    "/a b/",
    "/ä/€/🐙/",
    "{",
    "}",
    "{}",
    "}{",
    "/{a}/{b}/",
    "*",
    "/a\nb/",
    ":1:2",
    "%7B",
    "'\"\\",
]


async def published(broker: Broker, *payloads: bytes, topic: str = TOPIC, kept: Retention = KEPT):
    return [await asyncio.to_thread(broker.publish, topic, payload, kept) for payload in payloads]


# --- publishing --------------------------------------------------------------------------------


async def test_offsets_count_from_1_without_a_gap(broker: Broker):
    positions = await published(broker, *[b"x"] * 5)
    assert [position.offset for position in positions] == [1, 2, 3, 4, 5]
    assert len({position.epoch for position in positions}) == 1
    assert all(isinstance(position, Position) and position.epoch for position in positions)


async def test_topics_count_by_themselves(broker: Broker, new_broker: NewBroker):
    other = new_broker()
    [one] = await published(broker, b"1", topic="/a/")
    [two] = await published(broker, b"2", topic="/b/")
    [three] = await published(other, b"3", topic="/a/")
    assert (one.offset, two.offset, three.offset) == (1, 1, 2)
    assert one.epoch == three.epoch


async def test_an_epoch_can_stand_on_a_command_line(broker: Broker):
    for number in range(40):
        [position] = await published(broker, b"x", topic=f"/{number}/")
        assert position.epoch.isalnum()


async def test_publishing_from_a_loop(broker: Broker, listen: Listen):
    _, ear = await listen(TOPIC)
    first = await broker.apublish(TOPIC, b"1", KEPT)
    second = await broker.apublish(TOPIC, b"2", KEPT)
    assert second == (first.epoch, 2)
    assert await ear.heard(TOPIC, 2) == [(first, b"1"), (second, b"2")]


async def test_publishing_needs_no_loop_and_makes_none(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    made: list[object] = []
    new_event_loop = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made.append(1) or new_event_loop())
    monkeypatch.setattr(asyncio.Runner, "__init__", lambda *_, **__: made.append(1))

    def publish() -> tuple[Position, bool]:
        position = broker.publish(TOPIC, b"x", KEPT)
        broker.signal(TOPIC, b"x")
        broker.members(TOPIC)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return position, False
        return position, True

    with ThreadPoolExecutor(1) as plain_thread:
        waiting = plain_thread.submit(publish)
        position, has_a_loop = await asyncio.wrap_future(waiting)
    assert position.offset == 1
    assert not has_a_loop
    assert made == []


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
async def test_payloads_are_bytes(broker: Broker, listen: Listen, payload: bytes):
    listener, ear = await listen(TOPIC)
    [position] = await published(broker, payload)
    await listener.signal(TOPIC, payload)
    assert await ear.heard(TOPIC, 1) == [(position, payload)]
    await ear.until(lambda: ear.signals)
    assert ear.signals == [(TOPIC, payload)]
    page = await listener.history(TOPIC, Position(position.epoch, 0), 10)
    assert list(page.entries) == [Entry(1, payload)]


async def test_topics_are_any_text(broker: Broker, listen: Listen):
    listener, ear = await listen(*TOPICS)
    for number, topic in enumerate(TOPICS):
        await published(broker, b"%d" % number, topic=topic)
    await ear.until(lambda: len(ear.events) >= len(TOPICS))
    # One order for each topic, none for all of them.
    heard = sorted(
        (int(payload), topic, position.offset) for topic, position, payload in ear.events
    )
    assert heard == [(number, topic, 1) for number, topic in enumerate(TOPICS)]
    for topic in TOPICS:
        assert await listener.enter(topic, topic, topic.encode(), 60)
        assert await listener.members(topic) == {topic: topic.encode()}
        assert await listener.leave(topic, topic)


# --- hearing -----------------------------------------------------------------------------------


async def test_the_position_of_a_topic_that_is_new(listen: Listen, broker: Broker):
    listener, ear = await listen()
    position = await listener.subscribe(TOPIC)
    assert position.offset == 0
    [first] = await published(broker, b"1")
    assert first == (position.epoch, 1)
    assert await ear.heard(TOPIC, 1) == [(first, b"1")]


async def test_the_position_is_behind_what_was_published(listen: Listen, broker: Broker):
    *_, last = await published(broker, b"1", b"2", b"3")
    listener, ear = await listen()
    assert await listener.subscribe(TOPIC) == last
    [fourth] = await published(broker, b"4")
    await ear.until(lambda: (fourth, b"4") in ear.of(TOPIC))


async def test_what_is_not_subscribed_is_not_heard(listen: Listen, broker: Broker):
    listener, ear = await listen("/a/", "/b/")
    await listener.unsubscribe("/a/")
    await published(broker, b"1", topic="/a/")
    await published(broker, b"2", topic="/c/")
    await published(broker, b"3", topic="/b/")
    await ear.heard("/b/", 1)
    assert ear.payloads("/a/") == ear.payloads("/c/") == []


async def test_a_topic_is_subscribed_again(listen: Listen, broker: Broker):
    listener, ear = await listen(TOPIC)
    for round_ in range(10):
        await listener.unsubscribe(TOPIC)
        await published(broker, b"missed")
        position = await listener.subscribe(TOPIC)
        assert position.offset == 2 * round_ + 1
        [heard] = await published(broker, b"heard")
        await ear.until(lambda heard=heard: (heard, b"heard") in ear.of(TOPIC))
        assert [each for each in ear.of(TOPIC) if each[0] > position] == [(heard, b"heard")]


async def test_leaving_what_was_not_subscribed(listen: Listen):
    listener, _ = await listen()
    await listener.unsubscribe(TOPIC)


async def test_one_order_for_all(new_broker: NewBroker, listen: Listen):
    """Two listeners, eight threads that publish by two brokers."""
    each = 50
    (_, one), (_, other) = await listen(TOPIC), await listen(TOPIC)
    brokers = [new_broker(), new_broker()]
    kept = Retention(size=8 * each, ttl=300)
    positions: list[list[Position]] = [[] for _ in range(8)]

    def publish(number: int) -> None:
        for count in range(each):
            payload = b"%d %d" % (number, count)
            positions[number].append(brokers[number % 2].publish(TOPIC, payload, kept))

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    heard = await one.heard(TOPIC, 8 * each)
    assert heard == await other.heard(TOPIC, 8 * each)
    assert [position.offset for position, _ in heard] == list(range(1, 8 * each + 1))
    by_offset = dict(heard)
    for number in range(8):
        assert [by_offset[position] for position in positions[number]] == [
            b"%d %d" % (number, count) for count in range(each)
        ]


async def test_nothing_after_the_position_is_missed(new_broker: NewBroker, listen: Listen):
    """Whatever is published while a topic is subscribed."""
    broker = new_broker()
    stop = threading.Event()
    last = Position("", 0)

    def publish() -> None:
        nonlocal last
        while not stop.is_set():
            last = broker.publish(TOPIC, b"", KEPT)

    listener, ear = await listen()
    thread = threading.Thread(target=publish)
    thread.start()
    chance = random.Random(7)
    subscribed: list[tuple[Position, int, int]] = []
    try:
        for _ in range(20):
            begun = len(ear.events)
            position = await listener.subscribe(TOPIC)
            more = chance.randrange(1, 10)
            await ear.until(
                lambda begun=begun, position=position, more=more: any(
                    heard.offset >= position.offset + more for _, heard, _ in ear.events[begun:]
                )
            )
            subscribed.append((position, begun, len(ear.events)))
            await listener.unsubscribe(TOPIC)
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)
    for position, begun, ended in subscribed:
        offsets = [heard.offset for _, heard, _ in ear.events[begun:ended]]
        after = [offset for offset in offsets if offset > position.offset]
        assert after == list(range(position.offset + 1, position.offset + 1 + len(after)))
        assert offsets == sorted(offsets)
        assert {heard.epoch for _, heard, _ in ear.events[begun:ended]} == {position.epoch}


async def test_many_topics_at_once(broker: Broker, listen: Listen):
    topics = [f"/orders/{number}/" for number in range(300)]
    listener, ear = await listen()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for topic in topics:
            group.create_task(listener.subscribe(topic))
    await asyncio.to_thread(
        lambda: [broker.publish(topic, topic.encode(), KEPT) for topic in topics]
    )
    await ear.until(lambda: len(ear.events) == len(topics))
    assert sorted(payload.decode() for _, _, payload in ear.events) == sorted(topics)


async def test_who_gives_up_subscribing(broker: Broker, listen: Listen):
    listener, ear = await listen("/other/")
    waiting = asyncio.create_task(listener.subscribe(TOPIC))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await listener.unsubscribe(TOPIC)
    position = await listener.subscribe(TOPIC)
    [event] = await published(broker, b"1")
    assert event == (position.epoch, position.offset + 1)
    assert (event, b"1") in await ear.heard(TOPIC, 1)
    assert ear.told == []


async def test_two_loops_of_one_process(broker: Broker, listen: Listen):
    _, ear = await listen(TOPIC, broker=broker)
    ready, done = threading.Event(), threading.Event()

    async def listen_elsewhere() -> list[tuple[Position, bytes]]:
        other_ear = Ear()
        listener = broker.listen(asyncio.get_running_loop(), other_ear)
        try:
            await listener.subscribe(TOPIC)
            ready.set()
            await other_ear.heard(TOPIC, 2)
            await broker.apublish(TOPIC, b"3", KEPT)
            return await other_ear.heard(TOPIC, 3)
        finally:
            await listener.close()
            ready.set()

    elsewhere = asyncio.create_task(asyncio.to_thread(asyncio.run, listen_elsewhere()))
    await asyncio.to_thread(ready.wait)
    await published(broker, b"1", b"2")
    assert await elsewhere == await ear.heard(TOPIC, 3)
    assert ear.payloads(TOPIC) == [b"1", b"2", b"3"]
    done.set()


async def test_nothing_is_heard_after_closing(broker: Broker, listen: Listen):
    listener, ear = await listen(TOPIC)
    _, other = await listen(TOPIC)
    await listener.close()
    await listener.close()
    await published(broker, b"1")
    broker_signal = asyncio.to_thread(broker.signal, None, b"2")
    await broker_signal
    await other.until(lambda: other.signals and other.events)
    assert ear.events == ear.signals == ear.told == []


async def test_a_broker_is_closed_and_used_again(broker: Broker, listen: Listen):
    _, ear = await listen(TOPIC)
    await published(broker, b"1")
    broker.close()
    broker.close()
    await broker.apublish(TOPIC, b"2", KEPT)
    await published(broker, b"3")
    assert [position.offset for position, _ in await ear.heard(TOPIC, 3)] == [1, 2, 3]


# --- passing words -----------------------------------------------------------------------------


async def test_a_word_to_a_topic(broker: Broker, listen: Listen):
    (one, ear), (_, other), (_, stranger) = (
        await listen(TOPIC),
        await listen(TOPIC),
        await listen("/a/"),
    )
    await one.signal(TOPIC, b"1")
    await asyncio.to_thread(broker.signal, TOPIC, b"2")
    await broker.asignal(TOPIC, b"3")
    await broker.asignal("/a/", b"4")
    for each in (ear, other):
        await each.until(lambda each=each: len(each.signals) == 3)
        assert sorted(each.signals) == [(TOPIC, b"1"), (TOPIC, b"2"), (TOPIC, b"3")]
    await stranger.until(lambda: stranger.signals)
    assert stranger.signals == [("/a/", b"4")]


async def test_a_word_to_all(broker: Broker, listen: Listen):
    (one, ear), (_, deaf) = await listen(TOPIC), await listen("/a/")
    await one.signal(None, b"1")
    await asyncio.to_thread(broker.signal, None, b"2")
    await broker.asignal(None, b"3")
    for each in (ear, deaf):
        await each.until(lambda each=each: len(each.signals) == 3)
        assert sorted(each.signals, key=str) == [(None, b"1"), (None, b"2"), (None, b"3")]


async def test_a_word_takes_no_offset(broker: Broker, listen: Listen):
    listener, ear = await listen(TOPIC)
    [first] = await published(broker, b"1")
    await broker.asignal(TOPIC, b"passing")
    [second] = await published(broker, b"2")
    assert second.offset == 2
    assert await ear.heard(TOPIC, 2) == [(first, b"1"), (second, b"2")]
    page = await listener.history(TOPIC, Position(first.epoch, 0), 10)
    assert [entry.payload for entry in page.entries] == [b"1", b"2"]


# --- history -----------------------------------------------------------------------------------


async def test_history_comes_in_pages(broker: Broker, listen: Listen):
    listener, _ = await listen()
    *_, last = await published(broker, *[b"%d" % number for number in range(1, 8)])
    after, found = Position(last.epoch, 1), []
    while True:
        page = await listener.history(TOPIC, after, 3)
        assert page.whole
        assert page.newest == last
        found += page.entries
        if not page.entries or page.entries[-1].offset == last.offset:
            break
        after = Position(last.epoch, page.entries[-1].offset)
    assert found == [Entry(number, b"%d" % number) for number in range(2, 8)]


async def test_history_after_the_newest(broker: Broker, listen: Listen):
    listener, _ = await listen()
    *_, last = await published(broker, b"1", b"2")
    page = await listener.history(TOPIC, last, 10)
    assert (list(page.entries), page.newest, page.whole) == ([], last, True)


@pytest.mark.parametrize("offset", [-1, 3, 2**53])
async def test_history_after_what_never_was(broker: Broker, listen: Listen, offset: int):
    listener, _ = await listen()
    *_, last = await published(broker, b"1", b"2")
    page = await listener.history(TOPIC, Position(last.epoch, offset), 10)
    assert (list(page.entries), page.newest, page.whole) == ([], last, False)


@pytest.mark.parametrize("offset", [0, 1, 2])
async def test_history_of_another_epoch(broker: Broker, listen: Listen, offset: int):
    listener, _ = await listen()
    *_, last = await published(broker, b"1", b"2")
    page = await listener.history(TOPIC, Position("another", offset), 10)
    assert (list(page.entries), page.newest, page.whole) == ([], last, False)


async def test_history_of_a_topic_without_events(listen: Listen):
    listener, _ = await listen()
    page = await listener.history(TOPIC, Position("another", 0), 10)
    assert not page.whole
    assert page.newest.offset == 0
    assert await listener.subscribe(TOPIC) == page.newest
    page = await listener.history(TOPIC, page.newest, 10)
    assert (list(page.entries), page.whole) == ([], True)


async def test_nobody_need_listen(broker: Broker, listen: Listen):
    [first, *_] = await published(broker, b"1", b"2", b"3")
    listener, _ = await listen()
    page = await listener.history(TOPIC, first, 10)
    assert list(page.entries) == [Entry(2, b"2"), Entry(3, b"3")]
    assert page.whole


async def test_so_many_events_are_kept(broker: Broker, listen: Listen):
    listener, _ = await listen()
    *_, last = await published(broker, *[b"x"] * 6, kept=Retention(size=3, ttl=300))
    for offset, whole, count in [(2, False, 0), (3, True, 3), (4, True, 2), (6, True, 0)]:
        page = await listener.history(TOPIC, Position(last.epoch, offset), 10)
        assert (page.whole, len(page.entries)) == (whole, count)


async def test_fewer_are_kept_from_now_on(broker: Broker, listen: Listen):
    listener, _ = await listen()
    await published(broker, *[b"x"] * 5)
    [last] = await published(broker, b"x", kept=Retention(size=2, ttl=300))
    assert not (await listener.history(TOPIC, Position(last.epoch, 3), 10)).whole
    assert (await listener.history(TOPIC, Position(last.epoch, 4), 10)).whole


async def test_nothing_is_kept(broker: Broker, listen: Listen):
    nothing = Retention(size=0, ttl=300)
    listener, ear = await listen(TOPIC)
    await published(broker, b"kept")
    *_, last = await published(broker, b"1", b"2", kept=nothing)
    assert last.offset == 3
    assert [position.offset for position, _ in await ear.heard(TOPIC, 3)] == [1, 2, 3]
    for offset, whole in [(0, False), (1, False), (2, False), (3, True)]:
        page = await listener.history(TOPIC, Position(last.epoch, offset), 10)
        assert (list(page.entries), page.newest, page.whole) == ([], last, whole)


async def test_history_ends_with_its_time(world: World, broker: Broker, listen: Listen):
    kept = Retention(size=10, ttl=world.moment)
    listener, _ = await listen(TOPIC)
    *_, last = await published(broker, b"1", b"2", kept=kept)

    async def is_forgotten() -> bool:
        page = await listener.history(TOPIC, Position(last.epoch, 0), 10)
        assert page.whole or not page.entries
        return not page.whole

    await world.until(is_forgotten)
    page = await listener.history(TOPIC, last, 10)
    assert page.whole
    assert page.newest == last  # who has heard all has missed nothing
    [third] = await published(broker, b"3", kept=kept)
    assert third == (last.epoch, 3)


async def test_the_time_begins_with_the_last_event(world: World, broker: Broker, listen: Listen):
    listener, _ = await listen(TOPIC)
    await published(broker, b"1", kept=Retention(size=10, ttl=world.moment))
    [last] = await published(broker, b"2")
    world.pass_time(world.moment)
    page = await listener.history(TOPIC, Position(last.epoch, 0), 10)
    assert [entry.payload for entry in page.entries] == [b"1", b"2"]


# --- presence ----------------------------------------------------------------------------------


async def test_members_enter_and_leave(broker: Broker, listen: Listen):
    (one, _), (other, _) = await listen(), await listen()
    assert await one.enter(TOPIC, "a", b"A", 60)
    assert await other.enter(TOPIC, "b", b"\xff\x00", 60)
    assert await one.members(TOPIC) == await other.members(TOPIC) == {"a": b"A", "b": b"\xff\x00"}
    assert await asyncio.to_thread(broker.members, TOPIC) == {"a": b"A", "b": b"\xff\x00"}
    assert await one.members("/other/") == {}
    assert not await other.enter(TOPIC, "a", b"new", 60)
    assert (await one.members(TOPIC))["a"] == b"new"
    assert await other.leave(TOPIC, "a")
    assert not await one.leave(TOPIC, "a")
    assert await one.members(TOPIC) == {"b": b"\xff\x00"}


async def test_leases_end(world: World, broker: Broker, listen: Listen):
    listener, _ = await listen()
    await listener.enter(TOPIC, "short", b"1", world.moment)
    await listener.enter(TOPIC, "long", b"2", 1000 * world.moment)

    async def is_over() -> bool:
        return "short" not in await listener.members(TOPIC)

    await world.until(is_over)
    assert await listener.members(TOPIC) == {"long": b"2"}
    assert await asyncio.to_thread(broker.members, TOPIC) == {"long": b"2"}
    assert await listener.expire(TOPIC) == {"short": b"1"}
    assert await listener.expire(TOPIC) == {}
    assert await listener.enter(TOPIC, "short", b"3", world.moment)


async def test_who_is_removed_is_told_once(world: World, listen: Listen):
    listeners = [(await listen())[0] for _ in range(3)]
    names = {f"member {number}" for number in range(50)}
    for name in names:
        await listeners[0].enter(TOPIC, name, name.encode(), world.moment)

    async def are_over() -> bool:
        return not await listeners[0].members(TOPIC)

    await world.until(are_over)
    found = await asyncio.gather(*(listener.expire(TOPIC) for listener in listeners))
    assert sum(map(len, found)) == len(names)
    assert {name for each in found for name in each} == names


async def test_leases_are_renewed(world: World, listen: Listen):
    (one, _), (other, _) = await listen(), await listen()
    await one.enter(TOPIC, "a", b"A", world.moment)
    await one.enter(TOPIC, "b", b"B", world.moment)
    assert list(await other.renew(TOPIC, ["a", "gone"], 1000 * world.moment)) == ["gone"]
    assert list(await other.renew(TOPIC, [], world.moment)) == []

    async def is_over() -> bool:
        return "b" not in await one.members(TOPIC)

    await world.until(is_over)
    assert await one.members(TOPIC) == {"a": b"A"}
    assert await other.expire(TOPIC) == {"b": b"B"}
    assert list(await other.renew(TOPIC, ["a", "b"], 1000 * world.moment)) == ["b"]


async def test_who_comes_back_in_time_has_not_left(world: World, listen: Listen):
    """Its lease had ended, and nobody was told: so it is no new member."""
    listener, _ = await listen()
    await listener.enter(TOPIC, "a", b"A", world.moment)

    async def is_over() -> bool:
        return not await listener.members(TOPIC)

    await world.until(is_over)
    assert not await listener.enter(TOPIC, "a", b"new", 1000 * world.moment)
    assert await listener.expire(TOPIC) == {}
    assert await listener.members(TOPIC) == {"a": b"new"}


async def test_a_crowd(world: World, listen: Listen):
    listener, _ = await listen()
    names = [f"member {number}" for number in range(300)]
    async with asyncio.timeout(PATIENCE):
        for start in range(0, len(names), 100):
            await asyncio.gather(
                *(
                    listener.enter(TOPIC, name, b"x", 1000 * world.moment)
                    for name in names[start : start + 100]
                )
            )
        assert await listener.members(TOPIC) == dict.fromkeys(names, b"x")
        unknown = [f"unknown {number}" for number in range(300)]
        asked = [name for pair in zip(names, unknown, strict=True) for name in pair]
        assert list(await listener.renew(TOPIC, asked, world.moment)) == unknown

        async def are_over() -> bool:
            return not await listener.members(TOPIC)

        await world.until(are_over)
        assert await listener.expire(TOPIC) == dict.fromkeys(names, b"x")
