"""``manage.py wslive`` over a real Valkey: connections of this process and of others, and whoever answers nonsense."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.live.report_urls import SECRET
from tests.live.test_live import on_thread
from tests.live.urls import outside
from tests.project.models import Note
from tests.push.test_commands import shared_by
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.client import connect
from tests.support.memory import MemoryConnection, connection
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess
from wsrequest import atouch
from wsrequest.livequery import report
from wsrequest.livequery.report import Audience, Dependency, Part
from wsrequest.livequery.spreading import flush
from wsrequest.management import census
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Position
from wsrequest.push.publication import LiveAsked, encoded, word_in
from wsrequest.session import reporting

PATIENCE = 60


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def shared(
    project: None, valkey: RedisServer, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.live.report_urls"
    settings.WSREQUEST |= {"BROKERS": {"default": shared_by(valkey)}}
    outside.clear()
    broker_of()  # imported here: else an event loop would have to do it
    with django_db_blocker.unblock():
        assert flush(PATIENCE)  # what another test has written is none of this one's business
        yield
        Note.objects.all().delete()


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("wslive", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


async def printed(*arguments: str, until: Callable[[str], bool] = lambda text: True) -> str:
    """What it prints, as soon as somebody has answered within a short wait, and this."""
    async with asyncio.timeout(PATIENCE):
        while True:
            text = await asyncio.to_thread(run, "--wait", "0.2", *arguments)
            if "Nobody has answered" not in text and until(text):
                return text


async def facts(*arguments: str, until: Callable[[list[Any]], bool] = bool) -> list[Any]:
    """The processes, as --json has them."""
    text = await printed(
        "--json", *arguments, until=lambda text: until(json.loads(text)["processes"])
    )
    assert text.count("\n") == 1
    found: list[Any] = json.loads(text)["processes"]
    return found


async def live(peer: MemoryConnection, url: str, number: int = 1, **fields: Any) -> Any:
    answer = await subscribe(peer, url, id=number, live=True, **fields)
    assert answer["status"] == 200, answer
    return answer


def by_url(process: Any) -> dict[str, Any]:
    return {each["url"]: each for each in process["live"]}


def visible(text: str) -> bool:
    """Nothing in it that a terminal would obey, and no line that is too long."""
    return all(c == "\n" or c.isprintable() for c in text) and all(
        len(line) <= 80 for line in text.splitlines()
    )


# What is live in this process.


async def test_what_is_watched_and_what_it_depends_on() -> None:
    async with connection() as first, connection(beside=first) as second:
        for peer in (first, second):
            await live(peer, "/notes/?q=")
        await live(first, "/rows/", 2)
        await live(first, "/weather/", 3)
        await on_thread(Note.objects.create, slug="c")
        for peer in (first, second):
            await pulled(peer, 1)
        (process,) = await facts()
        assert re.fullmatch(r".+:\d+", process["process"])
        assert (process["audiences"], process["subscribers"]) == (3, 4)
        assert (process["reruns"], process["saved"], process["whole"]) == (1, 1, True)
        notes, rows, weather = (
            by_url(process)[url] for url in ("/notes/?q=", "/rows/", "/weather/")
        )
        assert process["live"][0] == notes  # with most subscribers
        assert notes.pop("age") >= 0
        assert notes == {
            "url": "/notes/?q=",
            "subscribers": 2,
            "varies": [],
            "reads": [{"table": "project_note", "rows": None, "keys": []}],
            "reads_omitted": 0,
            "reruns": 1,
            "saved": 1,
        }
        assert rows["reads"] == [
            {"table": "auth_user", "rows": None, "keys": []},
            {"table": "project_note", "rows": 2, "keys": []},
            {
                "table": "project_order",
                "rows": 12,
                "keys": ["7", "30", "100", "101", "102", "103", "104", "105"],
            },
        ]
        assert weather["reads"] == [{"table": "name:weather", "rows": None, "keys": []}]
        assert (weather["reruns"], weather["saved"]) == (0, 0)


async def test_for_people() -> None:
    async with connection() as first, connection(beside=first) as second:
        for peer in (first, second):
            await live(peer, "/notes/?q=")
        await live(first, "/rows/", 2)
        await live(first, "/weather/", 3)
        text = await printed()
        assert re.sub(r"^\S+:\d+$", "host:1", text, flags=re.MULTILINE).splitlines() == [
            "3 live GETs for 4 subscribers in 1 process",
            "",
            "host:1",
            "  3 live GETs for 4 subscribers; 0 runs, 0 saved",
            "",
            "  '/notes/?q='",
            "    2 subscribers, the same for everyone; 0 runs, 0 saved; answered just now",
            "    reads project_note",
            "",
            "  '/rows/'",
            "    1 subscriber, the same for everyone; 0 runs, 0 saved; answered just now",
            "    reads auth_user, project_note (2 rows), project_order (7, 30, 100, 101, 102,",
            "      103, 104, 105 and 4 more)",
            "",
            "  '/weather/'",
            "    1 subscriber, the same for everyone; 0 runs, 0 saved; answered just now",
            "    reads 'weather'",
        ]


async def test_what_it_varies_by_and_no_value_of_that() -> None:
    headers = ((b"host", b"testserver"), (b"cookie", f"theme={SECRET}; other={SECRET}".encode()))
    async with connection(headers=headers) as peer:
        await live(peer, "/varied/", headers={"accept-language": f"de-{SECRET}"})
        await live(peer, f"/weather/?token={SECRET}&page=2&x={SECRET * 20}&%6Bey={SECRET}", 2)
        await live(peer, "/notes/", 3, token=SECRET, headers={"x-own": SECRET})
        text = await printed("--json")
        (process,) = json.loads(text)["processes"]
        (varied,) = [each for each in process["live"] if each["url"] == "/varied/"]
        assert varied["varies"] == ["cookie theme", "header accept-language", "REMOTE_ADDR"]
        assert "/weather/?token=***&page=2&x=***&%6Bey=***" in by_url(process)
        for each in (text, await printed()):
            assert SECRET not in each
        assert (
            "    1 subscriber, differs by cookie theme, header accept-language, REMOTE_ADDR;"
            in (await printed()).splitlines()
        )


async def test_rows_whose_keys_may_be_secrets_are_counted() -> None:
    async with connection() as peer:
        await live(peer, "/rows/")
        assert f"{SECRET}-as-a-key" not in await printed("--json")


async def test_own_answers_of_each_user() -> None:
    bearing = ((b"host", b"testserver"), (b"authorization", b"JWT of-another"))
    async with connection() as first, connection(beside=first, headers=bearing) as second:
        for peer in (first, second):
            await live(peer, "/who/")
        (process,) = await facts()
        assert [(each["url"], each["varies"]) for each in process["live"]] == 2 * [
            ("/who/", ["user"])
        ]
        assert "    1 subscriber, differs by user; 0 runs, 0 saved;" in await printed()


async def test_an_answer_for_one_connection_only() -> None:
    async with connection() as peer:
        await live(peer, "/alone/")
        (process,) = await facts()
        assert process["live"][0]["varies"] == ["connection"]


async def test_what_was_refused_is_not_live() -> None:
    async with connection() as peer:
        assert (await subscribe(peer, "/mine/", live=True))["status"] == 403
        (process,) = await facts()
        assert (process["audiences"], process["live"], process["whole"]) == (0, [], True)
        text = await printed()
        assert text.splitlines()[0] == "0 live GETs for 0 subscribers in 1 process"


async def test_a_cut_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PART", 2)
    async with connection() as peer:
        for number in range(1, 8):
            await live(peer, f"/notes/?q={number}", number)
        (process,) = await facts(until=lambda found: bool(found) and len(found[0]["live"]) == 7)
        assert process["whole"] is True
        assert len(by_url(process)) == 7
        (process,) = await facts(
            "--most", "3", until=lambda found: bool(found) and len(found[0]["live"]) == 3
        )
        assert (process["audiences"], process["subscribers"], process["whole"]) == (7, 7, False)
        text = await printed("--most", "3", until=lambda text: "--most" in text)
        assert text.splitlines()[-1] == "  ... and 4 live GETs more (see --most)"


async def test_what_is_long_is_cut() -> None:
    async with connection() as peer:
        await live(peer, f"/names/?{'&'.join(f'n={number}' for number in range(100, 300))}")
        (process,) = await facts()
        (told,) = process["live"]
        assert (len(told["url"]), told["url"][-3:]) == (500, "...")
        assert (len(told["reads"]), told["reads_omitted"]) == (50, 150)
        text = await printed()
        assert visible(text)
        assert "150 more tables" in " ".join(text.split())


async def test_what_is_over_is_not_shown() -> None:
    async with connection() as peer, connection(beside=peer) as other:
        await live(peer, "/notes/")
        await live(other, "/weather/")
        await other.leave()
        (process,) = await facts()
        assert set(by_url(process)) == {"/notes/"}


async def test_runs_are_counted_for_each() -> None:
    async with connection() as peer:
        await live(peer, "/weather/")
        await live(peer, "/notes/", 2)
        for number in range(1, 4):
            outside["weather"] = number
            await atouch("weather")
            assert (await pulled(peer, 1))[0]["rev"] == number
        (process,) = await facts()
        urls = by_url(process)
        assert (urls["/weather/"]["reruns"], urls["/notes/"]["reruns"], process["reruns"]) == (
            3,
            0,
            3,
        )


async def test_so_many_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than that asks in vain, and is answered when he asks again."""
    monkeypatch.setattr(reporting, "MOST", 0)
    async with connection() as peer:
        await live(peer, "/notes/")
        text = await asyncio.to_thread(run, "--wait", "0.2")
        assert "Nobody has answered within 0.2 s." in text
        monkeypatch.setattr(reporting, "MOST", 1)
        assert len(await facts()) == 1


# Several processes.


async def test_servers_in_processes_of_their_own(
    valkey: RedisServer, tmp_path: Path, settings: Settings
) -> None:
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.live.redis_settings",
        "WSREQUEST_TEST_BROKER": valkey.url,
    }
    async with AsyncExitStack() as stack:
        servers = [ServerProcess(tmp_path, **environment) for _ in range(2)]
        for server in servers:
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.stop)
        peers = [await stack.enter_async_context(connect(server.ws)) for server in servers]
        for peer in peers:
            answer = await peer.request("/notes/", id=1, method="SUBSCRIBE", live=True)
            assert answer["status"] == 200
        await peers[1].request("/weather/", id=2, method="SUBSCRIBE", live=True)
        assert (await peers[0].request("/create/a/", id=3))["status"] == 200
        for peer in peers:
            assert (await peer.answer(1))["rev"] == 1
        both = await facts(until=lambda found: len(found) == 2)
        assert sorted(each["audiences"] for each in both) == [1, 2]
        assert [by_url(each)["/notes/"]["reruns"] for each in both] == [1, 1]
        text = await printed(until=lambda text: "2 processes" in text)
        assert text.splitlines()[0] == "3 live GETs for 3 subscribers in 2 processes"
        assert visible(text)
        # The command in a process of its own.
        found = await asyncio.to_thread(_manage, servers[0], "wslive", "--json", "--wait", "5")
        assert len(json.loads(found)["processes"]) == 2


def _manage(server: ServerProcess, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", *arguments],
        env=server.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout


# Whoever answers nonsense.


class Answering:
    """Stands for a process: the receiver of a listener that answers with these payloads."""

    def __init__(self, *payloads: bytes) -> None:
        self._payloads = payloads
        self._tasks: list[asyncio.Task[None]] = []
        self.listener = broker_of().listen(asyncio.get_running_loop(), self)

    def signal(self, topic: str | None, payload: bytes) -> None:
        word = word_in(payload)
        assert isinstance(word, LiveAsked)
        self._tasks.append(asyncio.get_running_loop().create_task(self._answer(word.topic)))

    async def _answer(self, topic: str) -> None:
        for payload in self._payloads:
            await self.listener.signal(topic, payload)

    def deliver(self, topic: str, position: Position, payload: bytes) -> None: ...

    def interrupted(self) -> None: ...

    def resumed(self) -> None: ...


@asynccontextmanager
async def answering(*payloads: bytes) -> AsyncIterator[None]:
    process = Answering(*payloads)
    await process.listener.subscribe("@heard")  # it hears all that is said from here on
    try:
        yield
    finally:
        await process.listener.close()


def part(**fields: Any) -> Part:
    told: dict[str, Any] = {
        "loop": "1",
        "process": "web:1",
        "part": 0,
        "parts": 1,
        "total": 1,
        "subscribers": 1,
        "reruns": 0,
        "saved": 0,
        "audiences": [],
    }
    return Part(**told | fields)


def audience(**fields: Any) -> Audience:
    told: dict[str, Any] = {
        "url": "/a/",
        "subscribers": 1,
        "varies": [],
        "reads": [],
        "reads_omitted": 0,
        "reruns": 0,
        "saved": 0,
        "age": 0.0,
    }
    return Audience(**told | fields)


EVIL = "\x1b]0;title\x07\x9b2J\u202e\n"


async def test_a_terminal_obeys_nobody() -> None:
    nasty = audience(
        url=f"/{EVIL}/{'x' * 300}",
        varies=[f"cookie {EVIL}"],
        reads=[Dependency(EVIL, 3, [EVIL]), Dependency(f"name:{EVIL}", None, [])],
    )
    told = part(process=EVIL, audiences=[nasty])
    async with answering(msgspec.json.encode(told)):
        text = await printed()
        assert visible(text)
        assert r"\x1b]0;title\x07\x9b2J\u202e" in text


async def test_what_is_no_answer_is_passed_over() -> None:
    good = part(audiences=[audience()])
    garbage = (b"", b"{", b"[]", b'{"loop": 1}', encoded(LiveAsked("@elsewhere", 1)))
    async with answering(*garbage, msgspec.json.encode(good), msgspec.json.encode(good)):
        (process,) = await facts()
        assert (process["process"], len(process["live"])) == ("web:1", 1)


async def test_parts_that_have_not_come_are_missed_aloud() -> None:
    first = part(parts=2, total=120, subscribers=1200, audiences=[audience(age=90.0)])
    async with answering(msgspec.json.encode(first)):
        (process,) = await facts()
        assert (process["whole"], process["audiences"]) == (False, 120)
        lines = (await printed()).splitlines()
        assert lines[0] == "120 live GETs for 1,200 subscribers in 1 process"
        assert lines[-1] == "  ... and 119 live GETs more (not all has come; see --wait)"


async def test_more_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MOST_KEPT", 3)
    parts = [
        part(parts=3, part=number, total=6, audiences=[audience(), audience()])
        for number in range(3)
    ]
    async with answering(*map(msgspec.json.encode, parts)):
        (process,) = await facts()
        assert (len(process["live"]), process["whole"]) == (2, False)


@pytest.mark.parametrize(
    ("age", "said"),
    [(0.9, "just now"), (1, "1 s ago"), (59.4, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago")],
)
async def test_the_age_in_words(age: float, said: str) -> None:
    told = part(audiences=[audience(age=age, reads_omitted=3)])
    async with answering(msgspec.json.encode(told)):
        text = await printed()
        assert f"answered {said}\n" in text
        assert "reads 3 more tables" in text


# Where nobody can be asked.


async def test_nobody_is_there() -> None:
    assert (await asyncio.to_thread(run, "--wait", "0.1")).splitlines() == [
        "Nobody has answered within 0.1 s. A process answers as soon as it has had a",
        "connection.",
    ]
    assert await asyncio.to_thread(run, "--wait", "0.1", "--json") == '{"processes": []}\n'


def test_in_memory_the_server_can_t_be_reached(settings: Settings) -> None:
    settings.WSREQUEST = {}
    with pytest.raises(CommandError) as error:
        run()
    assert str(error.value) == (
        "The broker 'default' is a MemoryBroker: it reaches its own process only, and the server is another one. Choose"
        " a broker that processes share, in WSREQUEST['BROKERS']."
    )


def test_a_broker_that_is_not_there(settings: Settings) -> None:
    settings.WSREQUEST = {
        "BROKERS": {
            "default": {
                "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
                "OPTIONS": {"url": "redis://127.0.0.1:1/0", "timeout": 0.5},
            }
        }
    }
    with pytest.raises(CommandError, match="The broker that carries events does not answer"):
        run()


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        *[
            ("--wait", value, "is not a number of seconds up to 60")
            for value in ("0", "-1", "61", "x")
        ],
        *[("--wait", value, "is not a number of seconds up to 60") for value in ("nan", "inf")],
        *[
            ("--most", value, "is not a number from 1 to 10000")
            for value in ("0", "-1", "10001", "x")
        ],
    ],
)
def test_what_can_t_be_asked_for(option: str, value: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run(f"{option}={value}")
