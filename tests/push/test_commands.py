"""``manage.py wspublish`` and ``wswatch`` over a real Valkey, in processes of their own and in this one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from msgspec import Raw
from pytest_django.fixtures import Settings

from tests.support.redis_server import RedisServer
from tests.support.server import ROOT
from wsrequest import publish, touch
from wsrequest.errors import BrokerUnavailable
from wsrequest.management import follower
from wsrequest.management.follower import (
    Began,
    Event,
    Follower,
    Interrupted,
    Lost,
    Passing,
    Resumed,
    Told,
)
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Page, Position, Retention
from wsrequest.push.brokers.memory import MemoryBroker, MemoryListener
from wsrequest.push.publication import Joined, Left, Publication, encoded

PATIENCE = 30
_number = count()


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def topic() -> str:
    """One that no other test has."""
    return f"/echo/{next(_number)}/"


def shared_by(server: RedisServer) -> dict[str, Any]:
    return {
        "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
        "OPTIONS": {"url": server.url},
    }


@pytest.fixture
def shared(valkey: RedisServer, settings: Settings) -> None:
    """This process, too, publishes by it."""
    settings.WSREQUEST = {
        "BROKERS": {"default": shared_by(valkey)},
        "TOPICS": {"/short/*": {"HISTORY_SIZE": 2}},
    }


def run(*arguments: str, stdin: str | None = None) -> str:
    """The command in this process; what it writes."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        if stdin is not None:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
        call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def position_in(line: str) -> str:
    return line.rpartition(" at ")[2].strip()


def start_of(epoch_and_offset: str) -> str:
    return f"{epoch_and_offset.rpartition(':')[0]}:0"


class Process:
    """``manage.py`` in a process of its own, every warning an error."""

    def __init__(self, url: str, *arguments: str, settings: str = "tests.push.redis_settings"):
        path = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(
            # A shell that runs the tests in the background has SIGINT ignored, and whatever is started from there.
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                "-W",
                "error",
                "-m",
                "django",
                *arguments,
            ],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": settings,
                "WSREQUEST_TEST_BROKER": url,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [path])]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, f"It has ended: {self._process.stderr.read()}"
        return line

    def fact(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line())
        return found

    def until(self, what: str) -> dict[str, Any]:
        while (found := self.fact())["is"] != what:
            pass
        return found

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def stop_reading(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.stdout = None

    def end(self) -> tuple[int, str, str]:
        """The status, and what was still written."""
        if self._process.stdout is None:
            assert self._process.stderr is not None
            out, error = "", self._process.stderr.read()
        else:
            out, error = self._process.communicate(timeout=PATIENCE)
        return self._process.wait(PATIENCE), out, error

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*arguments: str, **options: str) -> Process:
        started.append(Process(*arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


class Thread(io.TextIOBase):
    """``wswatch`` on a thread of this process, and what it writes."""

    def __init__(self, *arguments: str) -> None:
        self._written: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(
            target=call_command, args=("wswatch", *arguments), kwargs={"stdout": self}
        )
        self._thread.start()

    def write(self, text: str) -> int:
        self._written.put(text)
        return len(text)

    def line(self) -> str:
        return self._written.get(timeout=PATIENCE)

    def fact(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line())
        return found

    def end(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self._written.empty()


# --- wspublish -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("shared")
def test_publish_says_where_and_watch_can_begin_there(topic: str) -> None:
    said = run("wspublish", topic, '{"status": "paid"}', "--event", "paid", "--to", "7", "12")
    assert said.startswith(f"paid published to {topic} at ")
    position = position_in(said)
    assert position.endswith(":1")
    run("wspublish", topic, "-", stdin='"from standard input"')
    shown = run("wswatch", topic, "--since", position, "--count", "1")
    assert shown.splitlines() == [
        f"Watching {topic} from {position} on. Ctrl-C ends it.",
        'earlier        2  message  "from standard input"',
    ]
    lines = run("wswatch", topic, "--since", start_of(position), "--count", "2", "--json")
    began, first, second = map(json.loads, lines.splitlines())
    epoch = position.partition(":")[0]
    assert (began["is"], began["topic"], began["offset"]) == ("watching", topic, 0)
    assert first == {
        "is": "event",
        "epoch": epoch,
        "offset": 1,
        "event": "paid",
        "to": ["7", "12"],
        "data": {"status": "paid"},
    }
    assert (second["event"], second["data"]) == ("message", "from standard input")
    assert "to" not in second


@pytest.mark.usefixtures("shared")
def test_a_url_that_the_project_has_not_is_pointed_out() -> None:
    assert (
        run("wspublish", "/nope/", "1").splitlines()[0] == "No URL of this project matches /nope/."
    )
    assert "No URL" not in run("wspublish", "@orders/7", "1")
    assert "No URL" in run("wswatch", "/nope/", "--since", "an-old:1", "--count", "1")


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("/hello/", '{"a" 1}'), r"This is not JSON: .*\n  {\"a\" 1}\n {7}\^$"),
        (("/hello/", "[" + "1, " * 50 + "x]"), r"line 1 column 152 .*\n  [ 1,]{40}x\]\n {42}\^$"),
        (("/hello/", '{\n"a": ?\n}'), r"line 2 column 6 .*\n  \"a\": \?\n {7}\^$"),
        (("/hello/", ""), r"line 1 column 1 \(char 0\)$"),
        (("/hello/", "[NaN]"), "NaN has no place there"),
        (("/hello/", "[" * 100_000), "nested too deep"),
        (("/hello/", '"half \\ud83d"'), "data: half a character"),
        (("/hello/", "1", "--event", "lost"), "event: 'lost' can't be the name"),
        (("hello/", "1"), "URL: 'hello/' is no path"),
        (("http://host/hello/", "1"), "is no path"),
    ],
)
def test_what_cannot_be_published(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run("wspublish", *arguments)


def test_in_memory_nobody_would_hear_it() -> None:
    for command in (("wspublish", "/hello/", "1"), ("wswatch", "/hello/")):
        with pytest.raises(
            CommandError, match="'default', which carries /hello/, is a MemoryBroker"
        ):
            run(*command)


def test_a_broker_that_is_configured_wrongly(settings: Settings) -> None:
    settings.WSREQUEST = {"BROKERS": {"default": {"BACKEND": "nowhere.Broker"}}}
    with pytest.raises(CommandError, match="BROKERS"):
        run("wspublish", "/hello/", "1")


def test_a_server_that_is_not_there(process: Callable[..., Process]) -> None:
    for arguments in (("wspublish", "/hello/", "1"), ("wswatch", "/hello/")):
        status, out, error = process("redis://127.0.0.1:1/0", *arguments).end()
        assert (status, out) == (1, "")
        assert "CommandError: The broker that carries events does not answer" in error
        assert "Traceback" not in error


# --- wswatch -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shared")
def test_what_is_published_is_shown_as_it_comes(
    valkey: RedisServer, topic: str, process: Callable[..., Process]
) -> None:
    watch = process(valkey.url, "wswatch", topic)
    assert watch.line().startswith(f"Watching {topic} from ")
    publish(topic, {"status": "paid"}, event="paid", to=[7, 12])
    time, _, rest = watch.line().partition(" ")
    assert len(time) == len("18:12:07")
    assert rest.split("  ")[-3:] == ["paid", "to 7, 12", '{"status": "paid"}\n']
    publish(topic, {"text": "a sentence that is too long to stand on the line", "n": [1, {}]})
    assert watch.line().endswith("2  message\n")
    data = "".join(watch.line() for _ in range(7))
    assert data.startswith("    {\n      ")
    assert json.loads(data)["n"] == [1, {}]
    touch(topic)
    assert watch.line().endswith("  touch\n")
    watch.interrupt()
    status, out, error = watch.end()
    assert (status, out, error) == (0, "", "")


@pytest.mark.usefixtures("shared")
def test_a_terminal_obeys_nobody_s_data(
    valkey: RedisServer, topic: str, process: Callable[..., Process]
) -> None:
    watch = process(valkey.url, "wswatch", topic, "--count", "2")
    watch.line()
    publish(topic, "\x1b[2J\x9b2J\u202e", event="\x1b]0;title\x07", to="\x1b[2J")
    publish(topic, {"long": "\x9b2J" * 40})
    shown = watch.line() + watch.line() + watch.line() + watch.line()
    assert all(character == "\n" or character.isprintable() for character in shown)
    assert r"\x1b]0;title\x07" in shown


@pytest.mark.usefixtures("shared")
def test_it_ends_after_as_many_as_were_asked_for(
    valkey: RedisServer, topic: str, process: Callable[..., Process]
) -> None:
    watch = process(valkey.url, "wswatch", topic, "--json", "--count", "2")
    assert watch.fact()["is"] == "watching"
    touch(topic)
    for number in range(3):
        publish(topic, number)
    assert watch.fact()["is"] == "touch"
    facts = [watch.fact(), watch.fact()]
    assert [(each["offset"], each["data"]) for each in facts] == [(1, 0), (2, 1)]
    assert all("time" in each for each in facts)
    assert watch.end() == (0, "", "")


@pytest.mark.usefixtures("shared")
def test_who_reads_no_more_ends_it(
    valkey: RedisServer, topic: str, process: Callable[..., Process]
) -> None:
    watch = process(valkey.url, "wswatch", topic, "--json")
    watch.fact()
    watch.stop_reading()
    publish(topic, 1)
    status, _, error = watch.end()
    assert (status, error) == (0, "")


@pytest.mark.usefixtures("shared")
def test_what_is_not_kept_any_more_is_said(
    valkey: RedisServer, process: Callable[..., Process]
) -> None:
    for number in range(5):
        position = position_in(run("wspublish", "/short/", str(number)))
    since = ("wswatch", "/short/", "--since", start_of(position))
    watch = process(valkey.url, *since, "--count", "1")
    facts = process(valkey.url, *since, "--json", "--count", "1")
    assert watch.line().startswith("Watching /short/ from ")
    assert watch.line().endswith("  lost: 1 to 5 are not kept any more\n")
    lost = facts.until("lost")
    assert (lost["from"]["offset"], lost["to"]["offset"]) == (0, 5)
    publish("/short/", "on it goes")
    assert watch.line().endswith('6  message  "on it goes"\n')
    assert facts.fact()["data"] == "on it goes"
    assert watch.end()[0] == facts.end()[0] == 0


@pytest.mark.usefixtures("shared")
def test_what_nobody_can_read_is_said(topic: str) -> None:
    broker = broker_of()
    broker.publish(topic, b"{", Retention(10, 60))
    shown = run("wswatch", topic, "--since", "old:0", "--count", "1")
    assert shown.splitlines()[-1] == "earlier        1  (not an event)"
    fact = json.loads(
        run("wswatch", topic, "--since", "old:0", "--count", "1", "--json").splitlines()[-1]
    )
    assert (fact["offset"], fact["unreadable"]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--since", "here"), "'here' is not EPOCH:OFFSET"),
        (("--since", ":1"), "is not EPOCH:OFFSET"),
        (("--since", "epoch:-1"), "is not EPOCH:OFFSET"),
        (("--count", "0"), "'0' is not a number of events"),
        (("--count", "-1"), "'-1' is not a number of events"),
    ],
)
def test_what_cannot_be_watched(arguments: tuple[str, str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run("wswatch", "/hello/", "=".join(arguments))


@pytest.mark.usefixtures("shared")
def test_what_is_said_in_passing_is_shown(topic: str) -> None:
    watch, facts = Thread(topic, "--count", "1"), Thread(topic, "--json", "--count", "1")
    watch.line()
    facts.line()
    touch(topic)
    for word in (encoded(Joined(Raw(b'{"user":"7"}'))), encoded(Left(Raw(b'{"user":"7"}'))), b"{"):
        broker_of().signal(topic, word)
    publish(topic, "the end")
    shown = [watch.line().partition("  ")[2] for _ in range(4)]
    assert shown == ["touch\n", 'join  {"user":"7"}\n', 'leave  {"user":"7"}\n', "unreadable\n"]
    said = [facts.fact() for _ in range(4)]
    assert [each["is"] for each in said] == ["touch", "join", "leave", "unreadable"]
    assert [each.get("member") for each in said] == [None, {"user": "7"}, {"user": "7"}, None]
    assert watch.line().endswith('  message  "the end"\n')
    assert facts.fact()["data"] == "the end"
    watch.end()
    facts.end()


def test_a_server_that_dies_and_comes_back_empty(settings: Settings) -> None:
    with RedisServer() as server:
        settings.WSREQUEST = {"BROKERS": {"default": shared_by(server)}}
        watch = Thread("/hello/", "--json", "--count", "2")
        pretty = Thread("/hello/", "--count", "2")
        assert watch.fact()["is"] == "watching"
        assert pretty.line().startswith("Watching")
        publish("/hello/", 1)
        before = watch.fact()
        assert pretty.line().endswith("1  message  1\n")
        server.kill()
        assert watch.fact()["is"] == "interrupted"
        assert pretty.line().endswith("The broker is away. Events will follow, if they can.\n")
        server.start()
        while (fact := watch.fact())["is"] != "lost":
            assert fact["is"] in ("interrupted", "resumed")
        assert fact["from"] == {"epoch": before["epoch"], "offset": 1}
        assert fact["to"]["epoch"] != before["epoch"]
        assert fact["to"]["offset"] == 0
        while "lost: the history began anew" not in (line := pretty.line()):
            assert line.endswith(("The broker is back.\n", "if they can.\n"))
        publish("/hello/", 2)
        assert watch.fact()["offset"] == 1
        assert pretty.line().endswith("1  message  2\n")
        watch.end()
        pretty.end()
        broker_of().close()


# --- the follower, step by step ------------------------------------------------------------------

TOPIC = "/orders/"
KEPT = Retention(4, 60)


class Shaky(MemoryBroker):
    """Its history does not answer at first."""

    refusals = 0

    def history(self, topic: str, after: Position, limit: int) -> Page:
        if self.refusals:
            self.refusals -= 1
            raise BrokerUnavailable
        return super().history(topic, after, limit)


class Following:
    """A follower of a broker in memory, and what it told."""

    def __init__(self, broker: MemoryBroker, since: Position | None = None) -> None:
        self.broker = broker
        self.told: asyncio.Queue[Told] = asyncio.Queue()
        self.follower = Follower(TOPIC, self.told.put_nowait)
        self.task = asyncio.ensure_future(self.follower.follow(broker, since))

    def say(self, *data: int) -> None:
        for each in data:
            said = encoded(Publication("message", Raw(str(each).encode())))
            self.broker.publish(TOPIC, said, KEPT)

    async def next(self) -> Told:
        async with asyncio.timeout(PATIENCE):
            return await self.told.get()

    async def offsets(self, number: int) -> list[tuple[int, bool]]:
        """Of the next events, and whether each was read from the history."""
        events = [await self.next() for _ in range(number)]
        assert all(isinstance(each, Event) for each in events)
        return [(each.position.offset, each.kept) for each in events if isinstance(each, Event)]


@asynccontextmanager
async def following(
    broker: MemoryBroker | None = None, since: Position | None = None
) -> AsyncIterator[Following]:
    opened = Following(broker or Shaky(), since)
    assert isinstance(await opened.next(), Began)
    yield opened
    opened.task.cancel()
    await asyncio.wait([opened.task])
    assert opened.task.cancelled()
    assert opened.told.empty()
    assert opened.broker._listeners == []


async def test_events_and_words_in_their_order() -> None:
    words = [encoded(Joined(Raw(b"{}"))), encoded(Left(Raw(b"{}")))]
    async with following() as opened:
        opened.say(1)
        opened.broker.signal(TOPIC, words[0])
        opened.broker.signal(None, words[0])
        opened.say(2)
        opened.broker.signal(TOPIC, words[1])
        assert await opened.offsets(1) == [(1, False)]
        assert await opened.next() == Passing(words[0])
        assert await opened.offsets(1) == [(2, False)]
        assert await opened.next() == Passing(words[1])


async def test_what_comes_faster_than_it_is_told_is_read_from_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "MOST_WAITING", 2)
    monkeypatch.setattr(follower, "PAGE", 1)
    async with following() as opened:
        opened.say(1, 2, 3, 4)
        assert await opened.offsets(4) == [(1, False), (2, False), (3, True), (4, True)]
        opened.say(5)
        assert await opened.offsets(1) == [(5, False)]


async def test_a_gap_is_read_from_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "AGAIN", 0)
    broker = Shaky()
    async with following(broker) as opened:
        (listener,) = broker._listeners
        listener.topics.clear()  # deaf for two events
        opened.say(1, 2)
        listener.topics.add(TOPIC)
        broker.refusals = 2
        opened.say(3, 4)
        assert await opened.offsets(4) == [(1, True), (2, True), (3, True), (4, True)]
        assert broker.refusals == 0


async def test_after_an_interruption_what_was_missed_is_read() -> None:
    broker = Shaky()
    async with following(broker) as opened:
        (listener,) = broker._listeners
        assert isinstance(listener, MemoryListener)
        opened.follower.interrupted()
        listener.topics.clear()
        opened.say(1)
        listener.topics.add(TOPIC)
        opened.follower.resumed()
        assert await opened.next() == Interrupted()
        assert await opened.next() == Resumed()
        assert await opened.offsets(1) == [(1, True)]


async def test_since_a_position() -> None:
    broker = Shaky()
    epoch = broker.publish(TOPIC, encoded(Publication("a", Raw(b"1"))), KEPT).epoch
    async with following(broker, Position(epoch, 0)) as opened:
        assert await opened.offsets(1) == [(1, True)]
    async with following(broker, Position(epoch, 1)) as opened:
        opened.say(2, 3, 4, 5, 6)
        assert await opened.offsets(5) == [(number, False) for number in range(2, 7)]
    async with following(broker, Position(epoch, 1)) as opened:
        assert await opened.next() == Lost(Position(epoch, 1), Position(epoch, 6))
        opened.say(7)
        assert await opened.offsets(1) == [(7, False)]
    async with following(broker, Position("another", 3)) as opened:
        assert await opened.next() == Lost(Position("another", 3), Position(epoch, 7))
    async with following(Shaky(), Position("another", 3)) as opened:
        lost = await opened.next()
        assert isinstance(lost, Lost)
        assert lost.newest.offset == 0


async def test_who_cannot_begin_is_told() -> None:
    class Gone(MemoryBroker):
        def subscribe(self, listener: MemoryListener, topic: str) -> Position:
            raise BrokerUnavailable

    broker = Gone()
    with pytest.raises(BrokerUnavailable):
        await Follower(TOPIC, print).follow(broker)
    assert broker._listeners == []
