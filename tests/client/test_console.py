"""The console: its language, its lines for programs, and its face for people."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from tests.client.conftest import PATIENCE
from tests.support.server import ROOT, ServerThread
from wsrequest.client.console import main
from wsrequest.client.console.commands import METHODS, Command, NoCommand, header, parse
from wsrequest.client.console.session import Console
from wsrequest.client.console.terminal import Pretty, _shortened, _status_line, run_terminal

# --- the language ---


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", None),
        ("  # a comment", None),
        ("get /a/", Command("GET", "/a/")),
        ('POST /a/  {"a": [1, "b c"]} ', Command("POST", "/a/", '{"a": [1, "b c"]}')),
        ("brew /a/ null", Command("BREW", "/a/", "null")),
        ("SUBSCRIBE /a/", Command("SUBSCRIBE", "/a/")),
        ("cancel", Command("CANCEL")),
        ("CANCEL /a/", Command("CANCEL", "/a/")),
        ("HEADER X-A: b: c", Command("HEADER", "X-A: b: c")),
        ("token  abc", Command("TOKEN", "abc")),
        ("exit", Command("QUIT")),
        ("help", Command("HELP")),
    ],
)
def test_lines(line, command):
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("GET", "Write a path of the site after GET: GET /path/"),
        ("GET http://host/", "Write a path"),
        ("/a/", "is no command; HELP lists them"),
        ("GET /a/?b=c d", "The body is no JSON"),
        ("POST /a/ [NaN]", "there is no NaN"),
        ("LIVE /a/ 1", "LIVE has nothing after its path"),
    ],
)
def test_lines_that_can_t_be_read(line, sentence):
    with pytest.raises(NoCommand, match=sentence):
        parse(line)


def test_headers():
    assert header("X-A: b: c") == ("x-a", "b: c")
    assert header("X-A") == ("x-a", "")
    for wrong in ("", ": a", "X A: b", "é: a"):
        with pytest.raises(NoCommand):
            header(wrong)


@given(st.text())
def test_no_line_is_a_surprise(line):
    with contextlib.suppress(NoCommand):
        command = parse(line)
        assert command is None or command.verb.isalpha()


@given(
    st.sampled_from(METHODS),
    st.from_regex(r"/[a-z?=&]*", fullmatch=True),
    st.none() | st.lists(st.text()),
)
def test_what_is_written_is_read(method, url, body):
    text = None if body is None else json.dumps(body)
    assert parse(f"{method} {url} {text or ''}") == Command(method, url, text)


# --- for programs ---


def run(capsys: Any, *arguments: str) -> tuple[int, list[Any], str]:
    status = main([*arguments])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def test_answers_are_lines(server: ServerThread, capsys):
    commands = ["GET /body/json/", "GET /body/text/", "GET /body/bytes/", "GET /body/broken-json/"]
    commands += ["GET /body/empty/", "HELP", "HEADER"]
    arguments = [word for command in commands for word in ("-c", command)]
    status, lines, err = run(capsys, server.ws, *arguments)
    assert [line.get("data") for line in lines[:2]] == [{"a": [1.5, "é", None]}, "héllo"]
    assert set(lines[2]["data"]) == {"base64"}
    assert lines[3:] == [{"status": 200, "data": '{"a":'}, {"status": 200}]
    assert (status, err) == (0, "")


def test_lines_of_standard_input(server: ServerThread, capsys, monkeypatch):
    commands = [
        "HEADER X-A: 1",
        "TOKEN abc",
        "",
        'POST /described/ {"a": 1}',
        "HEADER X-A",
        "TOKEN",
    ]
    commands += ["GET /described/", "QUIT", "GET /nowhere/"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(commands)))
    status, lines, err = run(capsys, server.ws, "-i", "--msgpack", "--cookie", "a=1")
    first, second = lines
    sent = first["data"]["headers"]
    assert sent["x-a"] == "1"
    assert sent["authorization"] == "JWT abc"
    assert sent["content-type"] == "application/json"
    assert first["data"]["cookies"] == {"a": "1"}
    assert first["headers"]["content-type"] == "application/json"
    assert sent["origin"] == server.http
    assert not {"x-a", "authorization"} & set(second["data"]["headers"])
    assert (status, err) == (0, "")


def test_events_and_states(server: ServerThread, capsys, name, url):
    status, lines, _ = run(capsys, server.ws, "-n", "1", "-c", f"LIVE /boards/{name}/")
    assert (status, lines) == (0, [{"url": f"/boards/{name}/", "state": []}])
    status, lines, _ = run(capsys, server.ws, "-n", "0", "-c", f"SUBSCRIBE {url}")
    assert lines == [{"url": url, "state": {"name": name, "state": None}}]
    status, lines, _ = run(capsys, server.ws, "-c", "SUBSCRIBE /answers/403/")
    assert (status, lines) == (1, [{"status": 403, "data": "status 403"}])


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["-c", "GET /nowhere/"], 1, ""),
        (["-c", "nonsense"], 2, "Write a path of the site"),
        (["-c", "HEADER é: 1"], 2, "Write HEADER Name: value"),
        (["--cookie", "a", "-c", "GET /hello/"], 2, "'a' is no cookie: write NAME=VALUE"),
        (["--origin", "http://elsewhere", "-c", "GET /hello/"], 3, "403: This Origin"),
        (["-c", "GET //elsewhere/"], 1, ""),
    ],
)
def test_exit_statuses(server: ServerThread, capsys, arguments, status, sentence):
    found, _, err = run(capsys, server.ws, *arguments)
    assert found == status
    assert sentence in err


def test_what_is_no_address(capsys):
    status, _, err = run(capsys, "http://host/", "-c", "GET /")
    assert (status, "write ws://host/path/" in err) == (2, True)


async def test_a_subscription_in_a_pipe(server: ServerThread, url):
    """The whole command, as a script runs it."""
    command = [sys.executable, "-m", "wsrequest", server.ws, "-n", "2", "-c", f"SUBSCRIBE {url}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        state = json.loads(await process.stdout.readline())
        assert state["url"] == url
        say = ["-c", f"POST /say/?url={url} [1, 2]"]
        assert await asyncio.to_thread(main, [server.ws, *say]) == 0
        events = [json.loads(await process.stdout.readline()) for _ in range(2)]
        assert await process.wait() == 0
    assert events == [
        {"url": url, "event": "message", "data": 1, "offset": 1},
        {"url": url, "event": "message", "data": 2, "offset": 2},
    ]


def test_the_client_needs_neither_django_nor_settings():
    code = "import sys, wsrequest.client.console; print('django' in sys.modules)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, env=environment, text=True).strip() == "False"


# --- for people ---


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def write(self, text: str) -> int:
        self.changed.set()
        return super().write(text)

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while text not in self.getvalue():
                self.changed.clear()
                await self.changed.wait()


def terminal(screen: Screen) -> Vt100_Output:
    return Vt100_Output(screen, lambda: Size(rows=50, columns=100), term="xterm")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


async def test_a_session_on_a_terminal(server: ServerThread, home: Path, url):
    screen = Screen()
    with create_pipe_input() as keys, create_app_session(input=keys, output=terminal(screen)):
        session = asyncio.create_task(
            run_terminal(server.ws, {"origin": server.http}, with_headers=False)
        )

        async def enter(line: str, wanted: str) -> None:
            keys.send_text(line + "\r")
            await screen.shows(wanted)

        await screen.shows("Ctrl+D leaves")
        await enter("GET /body/json/", "\x1b[0;36m1.5")
        assert "200 OK" in screen.getvalue()
        await enter("GET /away/302/?to=/hello/", "location: ")
        await enter("nonsense", "Write a path of the site after NONSENSE")
        await enter("GET /answers/404/", "404 Not Found")
        await enter("GET /body/text/", "héllo")
        await enter("GET /tell/", "greeting")
        await enter("HEADER X-A: 1", "x-a: 1")
        await enter(f"SUBSCRIBE {url}", "state")
        await enter(f'POST /say/?url={url} ["\\u001b]52;c;evil"]', "#1")
        await enter("CANCEL", f"No longer following {url}")
        assert "\x1b]52" not in screen.getvalue()
        await enter("HELP", "end a subscription")
        keys.send_text("DEL\t")
        await screen.shows("DELETE")
        keys.send_text("\x03\x04")
        async with asyncio.timeout(PATIENCE):
            assert await session == 0
    assert "GET /body/json/" in (home / ".wsrequest_history").read_text()
    assert (home / ".wsrequest_history").stat().st_mode & 0o077 == 0


async def test_a_terminal_without_a_server(server: ServerThread):
    screen = Screen()
    with create_pipe_input() as keys, create_app_session(input=keys, output=terminal(screen)):
        url = server.ws.replace("/ws/", "/elsewhere/")
        assert await run_terminal(url, {}, with_headers=True) == 3
    assert "There is no WebSocket at this path" in screen.getvalue()


async def test_the_status_line(server: ServerThread):
    console = Console(server.ws, {}, Pretty(with_headers=False))

    def line() -> str:
        return "".join(text for _, text, *_ in _status_line(console, server.ws))

    assert line() == f" ● closed  {server.ws}"
    async with console.connection:
        console.followed["/a/"] = asyncio.create_task(asyncio.sleep(0))
        assert line() == f" ● open  {server.ws}  following /a/"
        console.connection._link.state = "waiting"
        assert "lost: trying again" in line()


def test_long_answers_are_cut():
    assert _shortened("a" * 20_003) == "a" * 20_000 + "\n... and 3 characters more"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_real_terminal(server: ServerThread, home: Path):
    master, slave = os.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "wsrequest", server.ws],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"PROMPT_TOOLKIT_NO_CPR": "1"},
        cwd=ROOT,
    )
    os.close(slave)
    seen = b""

    def shows(wanted: bytes) -> None:
        nonlocal seen
        while wanted not in seen:
            ready, _, _ = select.select([master], [], [], PATIENCE)
            assert ready, seen.decode()
            seen += os.read(master, 2**16)

    try:
        shows(b"Ctrl+D leaves")
        os.write(master, b"GET /body/json/\r")
        shows(b"200 OK")
        shows(b"1.5")
        os.write(master, b"QUIT\r")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
