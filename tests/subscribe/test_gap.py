"""Without a gap, or told: whatever happens at whichever step of a subscription."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pytest_django.fixtures import Settings

from tests.subscribe.alone import BROKERS, Line, World, rest
from tests.subscribe.client import Follower
from wsrequest.push import feed as feeds

#: The fault suite asks for more than each run of the tests can afford.
LONG = bool(os.environ.get("FAULTS"))
MANY = 10_000 if LONG else 1_000
EXAMPLES = 1_000 if LONG else 30

TOPICS = {
    "/small/*": {"HISTORY_SIZE": 2},
    "/none/*": {"HISTORY_SIZE": 0},
    "/latest/*": {"SLOW": "latest"},
    "/close/*": {"SLOW": "close"},
}


@pytest.fixture
def world_settings(settings: Settings) -> None:
    settings.WSREQUEST = {"BROKERS": BROKERS, "TOPICS": TOPICS}


@pytest.fixture
async def world(world_settings: None, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(feeds, "LAG", 0)
    return World(asyncio.get_running_loop())


async def subscribed(world: World, url: str = "/a/", **options: Any) -> tuple[Line, Follower]:
    line = Line(world, **options)
    line.subscribe(1, url)
    await rest()
    line.read()
    assert line.followers[1].live
    return line, line.followers[1]


async def finish(world: World, line: Line, url: str = "/a/") -> None:
    """Whatever waits goes on; then the client has what the application has."""
    world.render_all()
    world.listener.let_all_go()
    await rest()
    line.read()
    world.publish(url)
    await rest()
    line.read()
    follower = line.followers[1]
    assert follower.live
    assert not follower.in_loss
    assert follower.value == world.values[url]


# One event at each step.


@pytest.mark.parametrize("step", ["subscribe", "position", "render", "answered"])
@pytest.mark.parametrize("url", ["/a/", "/none/a/"])
async def test_an_event_at_each_step_of_the_beginning(world: World, step: str, url: str) -> None:
    world.publish(url)
    line = Line(world)
    world.listener.stops = {"subscribe", "position"}
    world.rendering_waits = True
    line.subscribe(1, url)
    for at in ("subscribe", "position", "render", "answered"):
        await rest()
        if at == step:
            world.publish(url)
            await rest()
        if at in ("subscribe", "position"):
            assert [waits for waits, _ in world.listener.waiting] == [at]
            world.listener.let_go()
        elif at == "render":
            assert len(world.gets) == 1
            world.render()
    await finish(world, line, url)
    assert line.followers[1].losses == []


@pytest.mark.parametrize("step", ["subscribe", "position", "render", "history", "page", "answered"])
@pytest.mark.parametrize("lost", ["nothing", "touch", "epoch"])
async def test_something_at_each_step_of_a_recovery(world: World, step: str, lost: str) -> None:
    line, follower = await subscribed(world)
    epoch = follower.epoch
    for _ in range(5):
        world.publish("/a/")
    await rest()
    line.read()
    line.go()
    back = Line(world)
    world.listener.stops = {"subscribe", "position", "history", "page"}
    world.rendering_waits = True
    back.subscribe(1, "/a/", (epoch, 2))
    # The topic is still heard here: there is nothing to be asked for at its beginning.
    for at in ("subscribe", "position", "render", "history", "page", "answered"):
        await rest()
        if at == step:
            if lost == "touch":
                world.touch("/a/")
            elif lost == "epoch":
                world.broker.forget_everything()
            world.publish("/a/")
            await rest()
        if world.listener.waiting and world.listener.waiting[0][0] == at:
            world.listener.let_go()
        elif at == "render":
            world.render()
    await finish(world, back)
    after = back.followers[1]
    if lost != "epoch":
        assert after.recovered is True
        assert [offset for _, offset in after.events[:3]] == [3, 4, 5]
        assert after.losses == []


def _make(happening: str, world: World) -> None:
    url, listener = "/small/a/", world.listener
    if happening == "touch":
        world.touch(url)
        return
    if happening == "interruption":
        listener.interrupt()
        world.publish(url)
        listener.resume()
    elif happening == "loss":
        listener.lose_next = 4
        for _ in range(4):
            world.publish(url)
    elif happening == "epoch":
        world.broker.forget_everything()
    world.publish(url)


@pytest.mark.parametrize("step", ["lost", "history", "page", "render", "replaced"])
@pytest.mark.parametrize("happens", ["publish", "touch", "interruption", "loss", "epoch"])
async def test_something_at_each_step_of_a_loss(world: World, step: str, happens: str) -> None:
    line, follower = await subscribed(world, "/small/a/")
    listener = world.listener
    listener.stops = {"history", "page"}
    world.rendering_waits = True
    listener.lose_next = 5
    for _ in range(6):
        world.publish("/small/a/")
    for at in ("lost", "history", "page", "render", "replaced"):
        await rest()
        line.read()
        if at == step:
            _make(happens, world)
            await rest()
        if listener.waiting and listener.waiting[0][0] == at:
            listener.let_go()
        elif at == "render" and world.gets:
            world.render()
    await finish(world, line, "/small/a/")
    assert follower.losses


# What was wrong once.


async def test_a_touch_while_the_snapshot_is_rendered_costs_no_event(world: World) -> None:
    world.rendering_waits = True
    line = Line(world)
    line.subscribe(1, "/a/")
    await rest()
    world.publish("/a/")
    world.touch("/a/")
    world.publish("/a/")
    await rest()
    world.render_all()
    await rest()
    line.read()
    follower = line.followers[1]
    assert [offset for _, offset in follower.events] == [1, 2]
    assert (follower.losses, follower.rev, follower.value) == ([], 1, 3)


async def test_what_is_skipped_before_a_touch_is_skipped_after_it(world: World) -> None:
    line, follower = await subscribed(world, user="1")
    world.publish("/a/", "2")
    world.touch("/a/")
    await rest()
    line.read()
    assert follower.rev == 1
    world.publish("/a/")
    await rest()
    line.read()
    assert follower.offset == 2


async def test_a_loss_that_a_touch_follows_is_told(world: World) -> None:
    world.rendering_waits = True
    line = Line(world)
    line.subscribe(1, "/small/a/")
    await rest()
    world.listener.lose_next = 5
    for _ in range(6):
        world.publish("/small/a/")
    await rest()
    world.touch("/small/a/")
    await finish(world, line, "/small/a/")
    assert line.followers[1].losses == ["history"]


async def test_an_interruption_while_a_topic_is_opened(world: World) -> None:
    listener = world.listener
    listener.stops = {"position"}
    line = Line(world)
    line.subscribe(1, "/a/")
    await listener.arrived("position")
    listener.interrupt()
    world.publish("/a/")  # nobody hears it, and it is the last one
    listener.resume()
    listener.let_all_go()
    await rest()
    line.read()
    assert line.followers[1].offset == 1


async def test_more_than_is_kept_while_the_history_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "KEPT", 3)
    line, follower = await subscribed(world)
    listener = world.listener
    listener.stops = {"page"}
    listener.lose_next = 1
    world.publish("/a/")
    world.publish("/a/")
    await listener.arrived("page")
    for _ in range(3):  # one of the four is not kept, so that none is
        world.publish("/a/")
    await rest()
    listener.let_all_go()
    await rest()
    line.read()
    assert [offset for _, offset in follower.events] == [1, 2, 3, 4, 5]


async def test_events_of_a_past_epoch_that_come_late(world: World) -> None:
    line, follower = await subscribed(world)
    world.publish("/a/")
    await rest()
    line.read()
    epoch = follower.epoch
    world.broker.forget_everything()
    world.publish("/a/")
    await rest()
    topic = world.hub._feeds["default"]._topics["/a/"]
    world.listener.receiver.deliver(
        "/a/", type(topic.position)(epoch, 2), b'{"event":"old","data":0}'
    )
    await rest()
    line.read()
    assert follower.epoch != epoch
    assert follower.losses == ["epoch"]
    await finish(world, line)
    assert len(follower.losses) == 1


async def test_whoever_comes_while_the_history_can_not_be_read(world: World) -> None:
    line, follower = await subscribed(world)
    world.listener.failure = RuntimeError("no broker should")
    world.listener.lose_next = 1
    world.publish("/a/")
    world.publish("/a/")
    await rest()
    line.read()
    assert follower.in_loss
    other = Line(world)
    other.subscribe(1, "/a/")
    await rest()
    other.read()
    assert other.followers[1].ended["status"] == 503
    world.listener.failure = None
    async with asyncio.timeout(20):
        while follower.in_loss:
            await asyncio.sleep(0.05)
            line.read()
    await finish(world, line)


@pytest.mark.parametrize("away", [True, False])
async def test_a_broker_that_is_away_refuses(world: World, away: bool) -> None:
    if away:
        world.listener.interrupt()
    else:
        world.listener.failure = RuntimeError("no broker should")
    line = Line(world)
    line.subscribe(1, "/a/")
    await rest()
    line.read()
    assert line.followers[1].ended["status"] == (503 if away else 500)
    assert not line.subscriptions


async def test_a_change_of_user_while_a_snapshot_is_taken(world: World) -> None:
    world.forbidden = {"2"}
    line, follower = await subscribed(world, user="1")
    world.rendering_waits = True
    world.touch("/a/")
    await rest()
    assert len(world.gets) == 1
    line.become("2")
    world.publish("/a/")
    world.render()  # what the first user may see
    await rest()
    line.read()
    assert follower.rev == 0
    world.render_all()
    await rest()
    line.read()
    assert follower.ended["status"] == 403
    assert follower.ended["data"] == {"detail": "no"}


@pytest.mark.parametrize("since", [False, True])
async def test_a_change_of_user_before_the_answer(world: World, since: bool) -> None:
    world.forbidden = {"2"}
    position = None
    if since:
        first, follower = await subscribed(world)
        position = (follower.epoch, 0)
        world.publish("/a/")
        await rest()
        first.go()
    world.rendering_waits = True
    line = Line(world, user="1")
    line.subscribe(1, "/a/", position)
    await rest()
    line.become("2")
    world.publish("/a/")
    world.render()
    await rest()
    line.read()
    assert line.followers[1].live
    assert line.followers[1].events == []
    world.render_all()
    await rest()
    line.read()
    assert line.followers[1].ended["status"] == 403


async def test_a_refusal_of_who_it_was_before_ends_nothing(world: World) -> None:
    world.forbidden = {"2"}
    line, follower = await subscribed(world, user="1")
    world.rendering_waits = True
    line.become("2")
    await rest()
    line.become("1")
    world.render_all()
    await rest()
    await finish(world, line)
    assert follower.losses == []


async def test_a_run_bears_the_credentials_for_which_it_was_asked(world: World) -> None:
    """Whoever shares its answer gets what he may see, and not what the first who asked is by then."""
    world.forbidden = {"2"}
    lines = [await subscribed(world, f"/{name}/", user="1") for name in "xyz"]
    one, follower = await subscribed(world, user="1")
    other, other_follower = await subscribed(world, user="1")
    world.rendering_waits = True
    for name in "xy":  # as many as may run at once
        world.touch(f"/{name}/")
    await rest()
    assert len(world.gets) == 2
    world.touch("/a/")
    await rest()
    one.become("2")
    world.render_all()
    await rest()
    for line in (one, other, *(line for line, _ in lines)):
        line.read()
    assert follower.ended["status"] == 403
    assert other_follower.live
    assert other_follower.rev == 1


async def test_more_is_held_than_there_is_room_for(world: World) -> None:
    line, follower = await subscribed(world, limit=120)
    world.rendering_waits = True
    world.touch("/a/")
    await rest()
    for _ in range(3):
        world.publish("/a/")
    await rest()
    world.render()
    await rest()
    line.read()
    assert follower.rev == 1
    await rest()
    line.read()
    await finish(world, line)
    assert follower.losses == ["slow"]


async def test_a_change_of_user_between_a_loss_and_its_snapshot(world: World) -> None:
    line, follower = await subscribed(world, "/none/a/", user="1")
    world.rendering_waits = True
    world.listener.lose_next = 1
    world.publish("/none/a/")
    world.publish("/none/a/")
    await rest()
    line.read()
    assert follower.in_loss
    assert len(world.gets) == 1
    world.publish("/none/a/")
    line.become("2")
    await rest()
    world.render()
    await rest()
    world.publish("/none/a/")
    await finish(world, line, "/none/a/")
    assert [offset for _, offset in follower.events] == [4, 5]


async def test_cancelled_while_it_recovers(world: World) -> None:
    first, follower = await subscribed(world)
    for _ in range(600):
        world.publish("/a/")
    world.values["/big/"] = 0
    line = Line(world, limit=500)
    await rest()
    line.subscribe(1, "/a/", (follower.epoch, 400))
    await rest()
    assert line.outbox.full
    subscription = line.subscriptions[1]
    subscription.cancel()
    await rest()
    line.read()
    assert line.followers[1].ended["status"] == 499
    await rest()
    line.read()
    assert not line.subscriptions
    first.go()


@pytest.mark.parametrize(
    "step", ["subscribe", "position", "render", "history", "page", "live", "held", "unread"]
)
@pytest.mark.parametrize("how", ["cancel", "go", "limit"])
async def test_nothing_stays_behind(world: World, step: str, how: str) -> None:
    loop = asyncio.get_running_loop()
    base = asyncio.all_tasks()
    listener = world.listener
    position = world.broker.publish(
        "/a/", b'{"event":"counted","data":1}', feeds.options_of("/a/").retention
    )
    world.log["/a/"] = {tuple(position): 1}
    listener.stops = {step}
    world.rendering_waits = step == "render"
    line = Line(world, limit=10 if step == "unread" else 2**20)
    subscription = line.subscribe(1, "/a/", (position.epoch, 0))
    await rest()
    if step == "held":
        line.read()
        world.rendering_waits = True
        world.touch("/a/")
        await rest()
        assert world.gets
    elif step == "render":
        assert world.gets
    elif step not in ("live", "unread"):
        assert [at for at, _ in listener.waiting] == [step]
    if how == "cancel":
        subscription.cancel()
    elif how == "go":
        line.go()
    else:
        subscription.shut_down()
    line.read()
    world.render_all()
    listener.let_all_go()
    await rest()
    line.read()
    ahead = feeds.LINGER + 1
    clock = loop.time
    loop.time = lambda: clock() + ahead  # type: ignore[method-assign]
    await rest()
    await rest()
    world.assert_empty()
    assert not line.running
    assert asyncio.all_tasks() == base


async def test_a_topic_that_nobody_waits_for_any_more_is_closed_once_it_is_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER", 0.0)
    listener = world.listener
    listener.stops = {"position"}
    task = asyncio.ensure_future(world.hub.join("/a/"))
    await listener.arrived("position")
    task.cancel()
    for _ in range(3):  # the timer that would close it has its turn
        await rest()
    listener.stops = {"unsubscribe"}
    listener.let_go()
    await listener.arrived("unsubscribe")
    line = Line(world)
    line.subscribe(1, "/a/")
    await rest()
    assert line.followers[1].answer is None  # it waits for that
    listener.let_all_go()
    await rest()
    world.publish("/a/")
    await rest()
    line.read()
    assert line.followers[1].value == 1


async def test_those_who_come_back_together_are_read_one_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PAGE_TIME", 0.0)
    first, follower = await subscribed(world)
    for _ in range(300):
        world.publish("/a/")
    await rest()
    world.listener.stops = {"page"}
    lines = [Line(world) for _ in range(20)]
    for line in lines:
        line.subscribe(1, "/a/", (follower.epoch, 200))
    await world.listener.arrived("page")
    world.listener.let_all_go()
    await rest()
    for line in lines:
        line.read()
        assert [offset for _, offset in line.followers[1].events] == list(range(201, 301))
    assert world.listener.histories == 1
    topic = world.hub._feeds["default"]._topics["/a/"]
    async with asyncio.timeout(20):
        while topic._pages:  # noqa: ASYNC110 (a timer forgets them)
            await asyncio.sleep(0)
    first.go()


async def test_many_topics_after_an_interruption(world: World) -> None:
    names = [f"/{number}/" for number in range(MANY)]
    for name in names:
        await world.hub.join(name)
    world.listener.interrupt()
    world.publish("/77/")
    world.listener.resume()
    feed = world.hub._feeds["default"]
    async with asyncio.timeout(20):
        while feed._catching_up:
            await asyncio.wait(tuple(feed._catching_up.values()))
    assert world.listener.histories == MANY
    assert all(feed._topics[name].sound for name in names)
    assert feed._topics["/77/"].position.offset == 1


# And everything in any order.


class _Loop(asyncio.SelectorEventLoop):
    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


URLS = st.sampled_from(["/a/", "/small/a/", "/none/a/", "/latest/a/"])


class Subscriptions(RuleBasedStateMachine):
    """Three connections, a few topics, and a broker that fails in each way that one may fail in."""

    @initialize()
    def begin(self) -> None:
        self.loop = _Loop()
        self.world = self.run(self._world())
        self.world.forbidden = {"3"}
        self.lines = [Line(self.world, user=user, limit=400) for user in (None, "1", "2")]
        self.seen: dict[str, tuple[str, int]] = {}
        self.number = 0

    async def _world(self) -> World:
        return World(self.loop)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def go(self, call: Callable[..., Any], *args: Any) -> None:
        async def work() -> None:
            call(*args)
            await rest()

        self.run(work())

    @property
    def listener(self) -> Any:
        return self.world.listener

    @rule(url=URLS, times=st.integers(1, 4), to=st.sampled_from([(), (), ("1",), ("1", "2")]))
    def publish(self, url: str, times: int, to: tuple[str, ...]) -> None:
        for _ in range(times):
            self.go(self.world.publish, url, *to)

    @rule(url=URLS, times=st.integers(1, 20))
    def burst(self, url: str, times: int) -> None:
        def work() -> None:
            for _ in range(times):
                self.world.publish(url)

        self.go(work)

    @precondition(lambda self: not self.listener.away)
    @rule(url=URLS)
    def touch(self, url: str) -> None:
        self.go(self.world.touch, url)

    @rule(line=st.integers(0, 2), url=URLS, comes_back=st.booleans())
    def subscribe(self, line: int, url: str, comes_back: bool) -> None:
        self.number += 1
        since = self.seen.get(url) if comes_back else None
        self.go(self.lines[line].subscribe, self.number, url, since)

    @rule(line=st.integers(0, 2), number=st.integers(0, 3), stop=st.booleans())
    def leave(self, line: int, number: int, stop: bool) -> None:
        subscriptions = list(self.lines[line].subscriptions.values())
        if number < len(subscriptions):
            self.go(subscriptions[number].stop if stop else subscriptions[number].cancel)

    @rule(line=st.integers(0, 2), user=st.sampled_from([None, "1", "2", "3"]))
    def become(self, line: int, user: str | None) -> None:
        self.go(self.lines[line].become, user)

    @rule(line=st.integers(0, 2))
    def stall_or_read(self, line: int) -> None:
        self.lines[line].reads = not self.lines[line].reads
        self.go(self.lines[line].read_if_it_does)

    @rule()
    def render_slowly(self) -> None:
        self.world.rendering_waits = True

    @rule(number=st.integers(0, 3))
    def render(self, number: int) -> None:
        if number < len(self.world.gets):
            self.go(self.world.render, number)

    @rule(stops=st.sets(st.sampled_from(["subscribe", "position", "history", "page"])))
    def answer_slowly(self, stops: set[str]) -> None:
        self.listener.stops = stops

    @rule(number=st.integers(0, 3))
    def let_go(self, number: int) -> None:
        if number < len(self.listener.waiting):
            self.go(self.listener.let_go, number)

    @rule(number=st.integers(1, 4))
    def lose(self, number: int) -> None:
        self.listener.lose_next = number

    @rule()
    def forget_everything(self) -> None:
        self.go(self.world.broker.forget_everything)

    @precondition(lambda self: not self.listener.away)
    @rule()
    def interrupt(self) -> None:
        self.go(self.listener.interrupt)

    @precondition(lambda self: self.listener.away)
    @rule()
    def resume(self) -> None:
        self.go(self.listener.resume)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.loop.ahead += seconds
        self.go(lambda: None)

    @invariant()
    def clients_are_content(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.read()

    def read(self) -> None:
        for line in self.lines:
            line.read_if_it_does()
        self.go(lambda: None)
        for line in self.lines:
            line.read_if_it_does()
            for number, follower in line.followers.items():
                if follower.live and not follower.in_loss and line.reads:
                    self.seen[line.topics[number]] = follower.epoch, follower.offset

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            try:
                self._end()
            finally:
                self.loop.close()

    def _end(self) -> None:
        world, listener = self.world, self.listener
        for line in self.lines:
            line.reads = True
        listener.lose_next = 0
        self.go(listener.let_all_go)
        if listener.away:
            self.go(listener.resume)
        self.go(world.render_all)
        self._pass_time()
        for url in world.log:
            self.go(world.publish, url)
        self._pass_time()
        for line in self.lines:
            for number, follower in line.followers.items():
                url = line.topics[number]
                if number in line.subscriptions:
                    assert follower.live, number
                    assert not follower.in_loss, number
                    assert follower.value == world.values[url], (number, url)
                else:
                    assert follower.ended is not None or follower.answer is None or follower.live
        for line in self.lines:
            for subscription in tuple(line.subscriptions.values()):
                self.go(subscription.cancel)
        self._pass_time()
        world.assert_empty()
        tasks = asyncio.all_tasks(self.loop)
        assert not tasks, tasks

    def _pass_time(self) -> None:
        for _ in range(12):
            self.loop.ahead += 1
            self.read()


@pytest.mark.timeout(480)
@pytest.mark.usefixtures("world_settings")
class TestAnyOrder(Subscriptions.TestCase):  # type: ignore[name-defined, misc]
    settings = hypothesis_settings(max_examples=EXAMPLES, stateful_step_count=40)
