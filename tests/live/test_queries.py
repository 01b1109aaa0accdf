"""Queries without connections around them: every step is a test's to take, and no thread has a part."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from random import Random
from typing import Any

import pytest
from msgspec import Raw
from pytest_django.fixtures import Settings

from wsrequest.conf import get_settings
from wsrequest.errors import TooManyLiveAudiences
from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.touched import Varies
from wsrequest.livequery.answer import Answer
from wsrequest.livequery.interest import interest
from wsrequest.livequery.queries import Queries
from wsrequest.protocol.json import JSONCodec

EVERYONE, PERSONAL = Varies(), Varies(identity=True)
CODEC = JSONCodec()


class World:
    """A project: rows that anybody may see, or each user his own; and how often it was asked."""

    def __init__(self) -> None:
        self.queries = Queries(asyncio.get_running_loop(), asyncio.Semaphore(2), self.at_once)
        self.rows: dict[str, str] = {"shared": "0"}
        self.personal = False
        self.status = 200
        self.asked: list[str] = []
        #: While it is set, GETs wait after they have read.
        self.gate: asyncio.Event | None = None

    @staticmethod
    async def at_once(function: Any, *args: Any) -> Any:
        return function(*args)

    def read(self, user: str) -> tuple[dict[str, Any], Varies, str]:
        if self.personal:
            return {f"row of {user}": None}, PERSONAL, self.rows.get(user, "")
        return {"shared": None}, EVERYONE, self.rows["shared"]

    def write(self, row: str, value: str) -> None:
        self.rows[row] = value
        self.queries.changed({"shared" if row == "shared" else f"row of {row}": None})


class Look:
    """As :class:`wsrequest.livequery.look.Look`."""

    def __init__(self, bearing: Hashable, mark: int) -> None:
        self.bearing = bearing
        self.mark = mark
        self.reads = self
        self.tables: dict[str, Any] = {}
        self.call = self
        self.codec = CODEC

    def audience(self, varies: Varies) -> Hashable:
        return varies, self.bearing if varies.identity else None


class Subscriber:
    """A watcher, and the client behind it."""

    min_interval: float | None = 1e-6
    name = "/rows/"

    def __init__(self, world: World, user: str) -> None:
        self.world = world
        self.user = user
        self.state: Answer | None = None
        self.status: int | None = None
        self.held: list[str] = []

    async def come(self) -> None:
        look = self.look(self.world.queries.begin(), rerun=False)
        reply = await self.ask(look)
        assert reply.varies is not None
        try:
            answer = Answer(reply, CODEC)
            self.state = self.world.queries.enter(self, look, reply.varies, answer)  # type: ignore[arg-type]
            self.held.append(self.value)
        finally:
            self.world.queries.end(look)  # type: ignore[arg-type]

    def go(self) -> None:
        self.world.queries.leave(self)  # type: ignore[arg-type]

    @property
    def value(self) -> str:
        assert self.state is not None
        return bytes(self.state.data).decode()  # type: ignore[arg-type]

    # The watcher.

    def bearing(self) -> Hashable:
        return self.user

    def look(self, mark: int, *, rerun: bool) -> Look:
        return Look(self.user, mark)

    async def ask(self, look: Any) -> Reply:
        world = self.world
        world.asked.append(str(look.bearing))
        look.tables, varies, value = world.read(look.bearing)
        status = world.status
        if world.gate is not None:
            await world.gate.wait()
        return Reply(status, {}, Raw(value.encode()), varies=varies)

    def judge(self, reply: Reply) -> bool:
        if 200 <= reply.status < 300:
            return True
        self.status = reply.status
        self.go()
        return False

    def show(self, answer: Answer) -> None:
        self.state = answer
        self.held.append(self.value)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (timers of the loop; no event says so)
            await asyncio.sleep(0)


async def rest(world: World) -> None:
    """Until nothing is to be run."""
    await until(lambda: not any(query.dirty or query.task for query in world.queries.all()))


@pytest.fixture(autouse=True)
def settings_of_its_own(settings: Settings) -> None:
    settings.WSREQUEST = {"LIVE_MIN_INTERVAL": 1e-6}


@pytest.fixture
async def world() -> Any:
    world = World()
    yield world
    for query in world.queries.all():
        for watcher in tuple(query.members):
            world.queries.leave(watcher)
    assert len(world.queries) == 0
    assert not world.queries._heard
    assert not world.queries._index._whole
    assert not world.queries._index._rows
    assert (interest.looks, interest.tables) == (0, {})


async def come(world: World, *users: str) -> list[Subscriber]:
    subscribers = [Subscriber(world, user) for user in users]
    for subscriber in subscribers:
        await subscriber.come()
    world.asked.clear()
    return subscribers


async def test_one_run_for_everybody(world: World) -> None:
    subscribers = await come(world, "ann", "bob", "cat")
    world.write("shared", "1")
    await rest(world)
    assert len(world.asked) == 1
    assert {each.value for each in subscribers} == {"1"}
    assert (world.queries.reruns, world.queries.saved) == (1, 2)


async def test_one_run_for_each_where_each_sees_his_own(world: World) -> None:
    world.personal = True
    ann, bob = await come(world, "ann", "bob")
    world.write("ann", "1")
    await rest(world)
    assert world.asked == ["ann"]
    assert (ann.value, bob.value) == ("1", "")


async def test_what_was_not_read_costs_nothing(world: World) -> None:
    await come(world, "ann")
    world.write("somebody", "1")
    assert not any(query.dirty for query in world.queries.all())
    assert world.asked == []


async def test_changes_while_it_runs_make_one_run_more(world: World) -> None:
    (ann,) = await come(world, "ann")
    world.gate = asyncio.Event()
    world.write("shared", "1")
    await until(lambda: world.asked)
    for value in "234":
        world.write("shared", value)
    world.gate.set()
    await rest(world)
    assert len(world.asked) == 2
    assert ann.held == ["0", "1", "4"]


async def test_a_change_while_the_snapshot_is_taken(world: World) -> None:
    ann = Subscriber(world, "ann")
    world.gate = asyncio.Event()
    coming = asyncio.create_task(ann.come())
    await until(lambda: world.asked)
    world.write("shared", "1")
    world.gate.set()
    await coming
    await rest(world)
    assert ann.held == ["0", "1"]


async def test_more_changes_than_are_kept_while_the_snapshot_is_taken(world: World) -> None:
    ann = Subscriber(world, "ann")
    world.gate = asyncio.Event()
    coming = asyncio.create_task(ann.come())
    await until(lambda: world.asked)
    world.write("shared", "1")
    for _ in range(1024):
        world.write("somebody", "1")
    world.gate.set()
    await coming
    await rest(world)
    assert ann.held == ["0", "1"]


async def test_an_answer_that_begins_to_vary_is_shown_to_nobody_else(world: World) -> None:
    ann, bob = await come(world, "ann", "bob")
    world.personal = True
    world.rows |= {"ann": "1", "bob": "2"}
    world.write("shared", "9")
    await rest(world)
    assert sorted(world.asked) == ["ann", "bob"]
    assert (ann.held, bob.held) == (["0", "1"], ["0", "2"])
    assert len(world.queries) == 2


async def test_answers_that_vary_no_more_are_shared_again(world: World) -> None:
    world.personal = True
    ann, bob = await come(world, "ann", "bob")
    world.personal = False
    world.write("ann", "1")
    world.write("bob", "1")
    await rest(world)
    assert (ann.value, bob.value) == ("0", "0")
    assert len(world.queries) == 1
    world.asked.clear()
    world.write("shared", "1")
    await rest(world)
    assert len(world.asked) == 1
    assert (ann.value, bob.value) == ("1", "1")


async def test_who_is_somebody_else_by_now_is_asked_for_by_himself(world: World) -> None:
    world.personal = True
    ann, other = await come(world, "ann", "ann")
    world.gate = asyncio.Event()
    world.write("ann", "1")
    await until(lambda: world.asked)
    other.user = "bob"  # a cookie of the connection has changed
    world.gate.set()
    await rest(world)
    assert (ann.value, other.value) == ("1", "")
    ann.user = "cat"
    world.write("ann", "2")
    await rest(world)
    assert ann.value == ""
    assert "2" not in ann.held + other.held


async def test_who_comes_later_is_shown_nothing_older(world: World) -> None:
    (ann,) = await come(world, "ann")
    gate = world.gate = asyncio.Event()
    world.write("shared", "1")
    await until(lambda: world.asked)
    world.write("shared", "2")
    world.gate = None
    (bob,) = await come(world, "bob")
    assert bob.held == ["2"]
    gate.set()
    await rest(world)
    assert bob.value == ann.value == "2"
    assert "1" not in bob.held


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_ends_it(world: World, status: int) -> None:
    ann, bob = await come(world, "ann", "bob")
    world.status = status
    world.write("shared", "1")
    await until(lambda: not len(world.queries))
    assert (ann.status, bob.status) == (status, status)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failure_is_borne_for_a_while(
    world: World, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsrequest.livequery.query.RETRY", 1e-6)
    monkeypatch.setattr("wsrequest.livequery.queries.RETRY", 1e-6)
    (ann,) = await come(world, "ann")
    world.status = status
    world.write("shared", "1")
    await until(lambda: len(world.asked) == 3)
    assert ann.status is None
    world.status = 200
    await rest(world)
    assert ann.held == ["0", "1"]


async def test_a_failure_that_lasts_ends_it(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsrequest.livequery.query.RETRY", 1e-6)
    settings.WSREQUEST = {"REAUTHORIZE_INTERVAL": 0.02, "LIVE_MIN_INTERVAL": 1e-6}
    (ann,) = await come(world, "ann")
    world.status = 503
    await until(lambda: ann.status == 503)
    assert len(world.queries) == 0


async def test_it_is_asked_again_from_time_to_time(world: World, settings: Settings) -> None:
    settings.WSREQUEST = {"REAUTHORIZE_INTERVAL": 0.01}
    (ann,) = await come(world, "ann")
    world.rows["shared"] = "1"  # by nobody who says so
    await until(lambda: ann.value == "1")


async def test_all_may_have_changed(world: World) -> None:
    ann = (await come(world, "ann"))[0]
    world.rows["shared"] = "1"
    world.queries.all_changed()
    await rest(world)
    assert ann.value == "1"


async def test_one_is_due_by_its_url(world: World) -> None:
    ann, bob = await come(world, "ann", "bob")
    world.rows["shared"] = "1"
    world.queries.due(ann)  # type: ignore[arg-type]
    await rest(world)
    assert bob.value == "1"
    ann.go()
    world.queries.due(ann)  # type: ignore[arg-type]
    assert not any(query.dirty for query in world.queries.all())


async def test_all_have_gone_while_it_runs(world: World) -> None:
    ann, bob = await come(world, "ann", "bob")
    world.gate = asyncio.Event()
    world.write("shared", "1")
    await until(lambda: world.asked)
    ann.go()
    bob.go()
    assert len(world.queries) == 0
    world.gate.set()
    await until(lambda: not world.queries._heard)
    assert (ann.held, bob.held) == (["0"], ["0"])


async def test_whoever_comes_while_the_last_one_goes(world: World) -> None:
    (ann,) = await come(world, "ann")
    world.gate = asyncio.Event()
    world.write("shared", "1")
    await until(lambda: world.asked)
    ann.go()
    gate, world.gate = world.gate, None
    (bob,) = await come(world, "bob")
    gate.set()
    world.write("shared", "2")
    await rest(world)
    assert bob.value == "2"
    assert ann.held == ["0"]


async def test_something_goes_wrong_in_between(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = await come(world, "ann")
    ask, failed = ann.ask, []

    async def fail(look: Any) -> Reply:
        failed.append(look)
        if len(failed) == 1:
            raise ZeroDivisionError
        return await ask(look)

    monkeypatch.setattr(ann, "ask", fail)
    world.write("shared", "1")
    await rest(world)
    assert ann.value == "1"
    assert "What '/rows/' answers could not be found out" in caplog.text


async def test_as_many_audiences_as_there_may_be(world: World, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_LIVE_AUDIENCES": 2}
    world.personal = True
    await come(world, "ann", "bob", "bob")
    with pytest.raises(TooManyLiveAudiences):
        await come(world, "cat")
    assert len(world.queries) == get_settings().max_live_audiences


async def test_the_loop_ends(world: World) -> None:
    ann, _ = await come(world, "ann", "bob")
    world.gate = asyncio.Event()
    world.write("shared", "1")
    await until(lambda: world.asked)
    world.queries.close()
    await until(lambda: not world.queries._heard)
    assert len(world.queries) == 0
    assert ann.held == ["0"]


class Anything:
    """Does whatever a number says."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.present: list[Subscriber] = []
        self.gates: list[asyncio.Event] = []

    async def come(self, number: int) -> None:
        self.world.gate = None
        subscriber = Subscriber(self.world, USERS[number % 3])
        await subscriber.come()
        self.present.append(subscriber)

    async def go(self, number: int) -> None:
        if self.present:
            self.present.pop(number % len(self.present)).go()

    async def vary(self, number: int) -> None:
        self.world.personal = not self.world.personal
        self.world.queries.all_changed()

    async def hold(self, number: int) -> None:
        self.world.gate = asyncio.Event()
        self.gates.append(self.world.gate)

    async def release(self, number: int = 0) -> None:
        while self.gates:
            self.gates.pop().set()
        self.world.gate = None

    async def wait(self, number: int) -> None:
        await asyncio.sleep(0)

    async def write(self, number: int) -> None:
        row = ("shared", *USERS)[number % 4]
        self.world.write(row, str(number) if row == "shared" else f'"{row} {number}"')


USERS = ("ann", "bob", "cat")


@pytest.mark.parametrize("seed", range(20))
async def test_any_order(world: World, seed: int) -> None:
    """Whatever happens, everybody ends up with what his own GET would show, and never held another's."""
    random, anything = Random(seed), Anything(world)
    actions = [anything.come, anything.go, anything.vary, anything.hold, anything.release]
    actions += [anything.wait] * 2 + [anything.write] * 3
    for _ in range(200):
        await random.choice(actions)(random.randrange(1000))
    await anything.release()
    await rest(world)
    for subscriber in anything.present:
        assert subscriber.value == world.read(subscriber.user)[2]
        for value in subscriber.held:
            assert value == "" or value.isdecimal() or value.startswith(f'"{subscriber.user} ')


async def test_an_error_of_ones_own_is_no_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = await come(world, "ann")
    began: list[float] = []

    async def fail(look: Any) -> Reply:
        began.append(asyncio.get_running_loop().time())
        raise RuntimeError

    monkeypatch.setattr(ann, "ask", fail)
    world.write("shared", "1")
    await until(lambda: began)
    (query,) = world.queries.all()
    await until(lambda: query.timer)
    assert query.timer is not None
    assert query.timer.when() >= began[0] + 1
    monkeypatch.undo()
    query.started = 0
    world.queries._schedule(query, 0)
    await rest(world)
    assert ann.value == "1"
