"""Who is on a topic, over processes: everybody knows the same, whatever happens between them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from msgspec import Raw

from tests.presence.processes import TOPIC, Broker, Process, Watcher, users
from tests.support.fixtures import Advance, advance
from tests.support.memory import settle
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.members import connection_in
from wsrequest.push.presence import LEASE, is_all_said
from wsrequest.push.publication import Joined, encoded

__all__ = ["advance"]

connection_less = Raw(b'{"user":null}')

#: Seconds in which each process has had its round.
ROUND = LEASE / 3 + 1

NewProcess = Callable[[], Coroutine[Any, Any, Process]]


@pytest.fixture
async def broker(advance: Advance) -> Broker:
    return Broker()


@pytest.fixture
async def new(broker: Broker) -> AsyncIterator[NewProcess]:
    made: list[Process] = []

    async def process() -> Process:
        made.append(Process(broker))
        return await made[-1].join()

    yield process
    for each in made:
        each.die()
    await settle()


async def test_the_list_and_then_who_comes_and_goes(new: NewProcess, broker: Broker) -> None:
    one, other = await new(), await new()
    one.enter("a")
    await settle()
    watcher = await other.watch()
    assert set(watcher.there) == {"a"}
    other.enter("b")
    assert watcher.told == ["+b"]  # its own process need not ask anybody
    one.enter("c")
    one.leave("a")
    await settle()
    assert watcher.told == ["+b", "+c", "-a"]
    assert broker.names == {"b", "c"}


async def test_who_comes_and_goes_at_once_is_told_in_order(new: NewProcess, broker: Broker) -> None:
    one, other = await new(), await new()
    here, there = await one.watch(), await other.watch()
    for _ in range(3):
        one.enter("a")
        one.leave("a")
    one.enter("a")
    await settle()
    assert here.told == ["+a", "-a"] * 3 + ["+a"]
    assert there.told == ["+a"]
    one.leave("a")
    one.enter("a")
    one.leave("a")
    await settle()
    assert there.told == ["+a", "-a"]
    assert broker.names == set()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_happens_while_the_list_is_read(new: NewProcess, when: str) -> None:
    one, other = await new(), await new()
    one.enter("stays")
    one.enter("goes")
    await settle()
    gate = asyncio.Event()
    setattr(other.ear, when, gate)
    watching = asyncio.create_task(other.watch())
    await settle()
    one.leave("goes")
    one.enter("comes")
    other.enter("own")
    one.enter("passes")
    await settle()
    one.leave("passes")
    await settle()
    assert not watching.done()
    gate.set()
    watcher = await watching
    assert set(watcher.there) == {"stays", "comes", "own"}
    assert watcher.told == []


async def test_a_list_that_nobody_waits_for_any_more(new: NewProcess) -> None:
    one, other = await new(), await new()
    gate = other.ear.after = asyncio.Event()
    first = asyncio.create_task(other.watch())
    await settle()
    first.cancel()
    await settle()
    one.enter("a")
    await settle()  # the word finds nobody who wants to know
    second = asyncio.create_task(other.watch())
    await settle()
    gate.set()
    assert set((await second).there) == {"a"}


async def test_one_list_is_read_for_all(new: NewProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await new()
    one.enter("a")
    await settle()
    reads, members = 0, one.ear.members

    async def counted(topic: str) -> Any:
        nonlocal reads
        reads += 1
        return await members(topic)

    monkeypatch.setattr(one.ear, "members", counted)
    watchers = await asyncio.gather(*(one.watch() for _ in range(5)))
    watchers.append(await one.watch())
    assert reads == 1
    assert all(set(watcher.there) == {"a"} for watcher in watchers)


async def test_several_subscriptions_of_one_connection(new: NewProcess, broker: Broker) -> None:
    one, other = await new(), await new()
    watcher = await other.watch()
    one.enter("a", by="first")
    one.enter("a", by="second")
    await settle()
    one.leave("a", by="first")
    one.leave("a", by="never")
    await settle()
    assert watcher.told == ["+a"]
    one.leave("a", by="second")
    await settle()
    assert watcher.told == ["+a", "-a"]
    assert broker.names == set()


async def test_the_latest_subscription_says_who_it_is(new: NewProcess) -> None:
    one, other = await new(), await new()
    watcher = await other.watch()
    one.enter("a", "1", by="first")
    one.enter("a", "2", by="second")
    await settle()
    assert users(watcher) == {"a": "2"}
    one.enter("a", "3", by="first")
    await settle()
    assert users(watcher) == {"a": "3"}
    one.leave("a", by="first")
    await settle()
    assert users(watcher) == {"a": "2"}


async def test_another_user_is_one_who_leaves_and_one_who_comes(new: NewProcess) -> None:
    one, other = await new(), await new()
    here, there = await one.watch(), await other.watch()
    one.enter("a", "1")
    await settle()
    one.enter("a", "2")
    await settle()
    assert here.told == there.told == ["+a", "-a", "+a"]
    assert users(here) == users(there) == {"a": "2"}


async def test_renewing_is_not_noticed(new: NewProcess, broker: Broker, advance: Advance) -> None:
    one, other = await new(), await new()
    one.enter("a")
    other.enter("b")
    watcher = await other.watch()
    await settle()
    told = list(watcher.told)
    for _ in range(120):
        advance(LEASE / 6)
        await settle()
        assert broker.names == {"a", "b"}
    assert watcher.told == told


async def test_who_says_nothing_any_more_has_left(
    new: NewProcess, broker: Broker, advance: Advance
) -> None:
    one, other, third = await new(), await new(), await new()
    one.enter("a")
    other.enter("b")
    third.enter("c")
    watchers = [await other.watch(), await third.watch()]
    await settle()
    one.die()
    advance(LEASE / 2)
    await settle()
    assert all("a" in watcher.there for watcher in watchers)
    advance(LEASE / 2)
    await settle()
    advance(ROUND)
    await settle()
    for watcher in watchers:
        assert [each for each in watcher.told if "a" in each][-1:] == ["-a"]
        assert watcher.told.count("-a") == 1
        assert set(watcher.there) == {"b", "c"}
    assert broker.names == {"b", "c"}


async def test_a_process_that_was_held_up_is_there_again(
    new: NewProcess, broker: Broker, advance: Advance
) -> None:
    one, other = await new(), await new()
    one.enter("a")
    other.enter("b")
    watcher = await other.watch()
    await settle()
    one.ear.away = True  # it does not even notice
    for _ in range(4):
        advance(ROUND)
        await settle()
    assert watcher.told == ["-a"]
    one.ear.away = False
    advance(ROUND)
    await settle()
    assert watcher.told == ["-a", "+a"]
    assert broker.names == {"a", "b"}


async def test_who_is_said_to_have_left_says_that_he_has_not(
    new: NewProcess, broker: Broker
) -> None:
    one, other = await new(), await new()
    one.enter("a")
    watcher = await other.watch()
    await settle()
    broker.forget_members()
    other.feed.presence.lease = 0
    member = watcher.there["a"]
    broker.enter(TOPIC, "a", member, 0)
    await other.roster._expire()
    assert watcher.told == ["-a"]
    await settle()
    assert watcher.told == ["-a", "+a"]
    assert broker.names == {"a"}


async def test_a_broker_that_comes_back_empty(
    new: NewProcess, broker: Broker, advance: Advance
) -> None:
    one, other = await new(), await new()
    one.enter("a")
    other.enter("b")
    here, there = await one.watch(), await other.watch()
    await settle()
    told = [list(here.told), list(there.told)]
    one.go()
    other.go()
    await settle()
    broker.forget_members()
    one.come_back()
    await settle()
    advance(ROUND / 3)
    other.come_back()
    await settle()
    assert broker.names == {"a", "b"}
    for _ in range(6):
        advance(ROUND)
        await settle()
    assert [here.told, there.told] == told
    assert set(here.there) == set(there.there) == {"a", "b"}


async def test_what_was_not_heard_shows_in_the_list(new: NewProcess, advance: Advance) -> None:
    one, other = await new(), await new()
    one.enter("goes")
    one.enter("stays")
    one.enter("changes", "1")
    other.enter("own")
    await settle()
    watcher = await other.watch()
    other.go()
    one.leave("goes")
    one.enter("comes")
    one.enter("changes", "2")
    await settle()
    assert watcher.told == []
    other.come_back()
    await settle()
    assert watcher.told == []  # others may have to come back first
    advance(ROUND)
    await settle()
    assert sorted(watcher.told) == ["+changes", "+comes", "-changes", "-goes"]
    assert users(watcher) == {"stays": None, "comes": None, "changes": "2", "own": None}


async def test_what_was_not_heard_shows_without_an_interruption(
    new: NewProcess, advance: Advance
) -> None:
    one, other = await new(), await new()
    one.enter("a")
    other.enter("b")
    await settle()
    watcher = await other.watch()
    other.ear.topics.clear()  # a word is lost, and nobody notices
    one.leave("a")
    await settle()
    assert watcher.told == []
    for _ in range(3):
        advance(ROUND)
        await settle()
    assert watcher.told == ["-a"]


async def test_what_could_not_be_said_is_said_later(
    new: NewProcess, broker: Broker, advance: Advance
) -> None:
    one, other = await new(), await new()
    one.enter("goes")
    await settle()
    watcher = await other.watch()
    one.ear.away = True
    one.leave("goes")
    one.enter("comes")
    one.enter("passes")
    await settle()
    one.leave("passes")
    await settle()
    assert watcher.told == []
    one.ear.away = False
    advance(ROUND)
    await settle()
    assert sorted(watcher.told) == ["+comes", "-goes"]
    assert broker.names == {"comes"}


async def test_who_wants_to_know_while_the_broker_is_away(new: NewProcess) -> None:
    one = await new()
    one.ear.away = True
    with pytest.raises(BrokerUnavailable):
        await one.watch()
    one.ear.away = False
    assert (await one.watch()).there == {}


async def test_a_change_while_the_lists_are_compared(new: NewProcess, advance: Advance) -> None:
    one, other = await new(), await new()
    one.enter("a")
    other.enter("own")
    await settle()
    watcher = await other.watch()
    other.go()
    other.come_back()
    await settle()
    gate = other.ear.after = asyncio.Event()
    advance(ROUND)
    await settle()
    one.leave("a")
    one.enter("b")
    other.enter("c")
    other.leave("own")
    await settle()
    before = list(watcher.told)
    gate.set()
    await settle()
    assert watcher.told == before
    assert set(watcher.there) == {"b", "c"}


async def test_what_a_process_says_itself_is_no_news(new: NewProcess) -> None:
    one = await new()
    watcher = await one.watch()
    one.ear.on_its_way = []
    one.enter("a")
    await settle()
    one.leave("a")
    await settle()
    assert len(one.ear.on_its_way) == 2
    one.ear.arrive()
    await settle()
    assert watcher.told == ["+a", "-a"]


async def test_a_list_that_still_has_who_is_leaving(new: NewProcess, broker: Broker) -> None:
    one = await new()
    one.enter("a")
    one.enter("b")
    watcher = await one.watch()
    await settle()
    gate = one.ear.leaving = asyncio.Event()
    one.leave("a")
    await settle()
    assert broker.names == {"a", "b"}
    await one.roster._compare()
    gate.set()
    await settle()
    assert watcher.told == ["-a"]
    assert broker.names == {"b"}


async def test_a_list_that_lacks_who_is_here(new: NewProcess, broker: Broker) -> None:
    one = await new()
    one.enter("a")
    one.enter("b", "1")
    watcher = await one.watch()
    await settle()
    one.ear.away = True
    one.enter("b", "2")
    await settle()
    assert watcher.told == ["-b", "+b"]
    one.ear.away = False
    broker.leave(TOPIC, "a")
    other = await new()
    assert users(await other.watch()) == {"b": "1"}
    await one.roster._compare()
    assert watcher.told == ["-b", "+b"]
    assert users(watcher) == {"a": None, "b": "2"}


class Game:
    """Members that come, change and go in three processes, networks that fail, and readers in between; each watcher
    checks by itself that what it is told makes sense."""

    def __init__(self, processes: list[Process], advance: Advance, seed: int) -> None:
        self._dice = random.Random(seed)
        self._processes = processes
        self._advance = advance
        self.there: dict[str, str | None] = {}
        self.watchers: list[Watcher] = []

    async def begin(self) -> None:
        for number, process in enumerate(self._processes):
            process.enter(f"root {number}")
            self.there[f"root {number}"] = None
            self.watchers.append(await process.watch())

    async def move(self) -> None:
        number = self._dice.randrange(len(self._processes))
        process, name = self._processes[number], f"{number}-{self._dice.randrange(4)}"
        moves = [self._enter, self._leave, self._lose, self._find, self._wait, self._watch]
        (move,) = self._dice.choices(moves, weights=[45, 35, 5, 7, 4, 4])
        await move(process, name)
        await self._steps(6)

    async def end(self) -> None:
        for process in self._processes:
            process.come_back()
        for _ in range(8):
            self._advance(ROUND)
            await settle()

    async def _steps(self, most: int) -> None:
        for _ in range(self._dice.randrange(most)):
            await asyncio.sleep(0)

    async def _enter(self, process: Process, name: str) -> None:
        self.there[name] = str(self._dice.randrange(2))
        process.enter(name, self.there[name])

    async def _leave(self, process: Process, name: str) -> None:
        self.there.pop(name, None)
        process.leave(name)

    async def _lose(self, process: Process, name: str) -> None:
        if not process.ear.away:
            process.go()

    async def _find(self, process: Process, name: str) -> None:
        if process.ear.away:
            process.come_back()

    async def _wait(self, process: Process, name: str) -> None:
        self._advance(self._dice.uniform(0, ROUND))

    async def _watch(self, process: Process, name: str) -> None:
        if not process.ear.away:
            watching = asyncio.create_task(process.watch())
            await self._steps(4)
            self.watchers.append(await watching)


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_everybody_knows_the_same(
    new: NewProcess, broker: Broker, advance: Advance, seed: int
) -> None:
    game = Game([await new() for _ in range(3)], advance, seed)
    await game.begin()
    for _ in range(120):
        await game.move()
    await game.end()
    assert broker.names == set(game.there)
    for watcher in game.watchers:
        assert users(watcher) == game.there


async def test_nothing_is_kept_of_what_is_over(new: NewProcess, broker: Broker) -> None:
    one, other = await new(), await new()
    watcher = await one.watch()
    roster = one.roster
    one.enter("a")
    await settle()
    assert is_all_said()
    one.leave("a")
    assert not is_all_said()
    roster.depart(watcher)
    await settle()
    assert is_all_said()
    assert one.feed.presence._rosters == other.feed.presence._rosters == {}
    assert roster._timer is None
    kept = [roster._said, roster._unsure, roster._saying, roster._own]
    assert not any(kept)
    assert broker._members == {}


async def test_a_member_that_nobody_can_read(
    new: NewProcess, caplog: pytest.LogCaptureFixture
) -> None:
    one = await new()
    watcher = await one.watch()
    await one.ear.signal(TOPIC, encoded(Joined(connection_less)))
    await settle()
    assert watcher.told == []
    assert "can't be read" in caplog.text
    with pytest.raises(ValueError, match="connection"):
        connection_in(connection_less)


async def test_many_come_at_once(new: NewProcess, broker: Broker) -> None:
    one, other = await new(), await new()
    watcher = await other.watch()
    for number in range(1000):
        one.enter(f"member {number}")
    while not is_all_said():
        await settle()
    await settle()
    assert len(watcher.there) == len(broker.names) == 1000
