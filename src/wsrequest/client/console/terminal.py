"""The console on a terminal: a prompt with history and completion, colours, and a line that says how things are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText, PygmentsTokens
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.styles import Style
from pygments import lex
from pygments.lexers.data import JsonLexer

from wsrequest.client.console.commands import METHODS, WORDS, NoCommand, parse
from wsrequest.client.console.printing import data_of, readable
from wsrequest.client.console.session import FAILED, FINE, Console
from wsrequest.client.options import Options

#: Characters of an answer that are shown.
MOST_SHOWN = 20_000

#: The terminal's own colours, so that they can be read on any ground.
STYLE = Style.from_dict(
    {
        "good": "ansigreen bold",
        "moved": "ansicyan bold",
        "bad": "ansired bold",
        "event": "ansimagenta bold",
        "dim": "ansibrightblack",
        "bottom-toolbar": "noreverse ansibrightblack",
        "bottom-toolbar.open": "ansigreen",
        "bottom-toolbar.lost": "ansired bold",
        "pygments.name.tag": "ansiblue",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansicyan",
        "pygments.keyword.constant": "ansimagenta",
    }
)


class Pretty:
    """For people."""

    def __init__(self, *, with_headers: bool) -> None:
        self._with_headers = with_headers

    def answer(self, method: str, url: str, response: httpx.Response, seconds: float) -> None:
        kind = "good" if response.is_success else "moved" if response.is_redirect else "bad"
        line = [(f"class:{kind}", f"{response.status_code} {response.reason_phrase}")]
        facts = [response.headers.get("content-type", "").partition(";")[0]]
        if seconds:
            facts.append(f"{seconds * 1000:.0f} ms")
        line.append(("class:dim", "  " + "  ".join(filter(None, facts))))
        self._print(line)
        if self._with_headers or response.is_redirect:
            for name, value in response.headers.items():
                if self._with_headers or name == "location":
                    self._print([("class:dim", f"{name}: "), ("", value)])
        if response.content:
            self._show(data_of(response))

    def event(self, url: str, name: str, data: Any, offset: int) -> None:
        self._print([("class:event", name), ("class:dim", f"  {url}  #{offset}")])
        self._show(readable(data))

    def state(self, url: str, data: Any) -> None:
        self._print([("class:event", "state"), ("class:dim", f"  {url}")])
        self._show(readable(data))

    def notice(self, name: str, data: Any) -> None:
        self._print([("class:event", name), ("class:dim", "  notice")])
        self._show(readable(data))

    def fault(self, sentence: str) -> None:
        self._print([("class:bad", "error"), ("", f"  {sentence}")])

    def say(self, text: str) -> None:
        self._print([("", text)])

    def _show(self, data: Any) -> None:
        """JSON indented and in colours; text as it is."""
        if isinstance(data, str):
            self._print([("", _shortened(data.rstrip("\n")))])
            return
        text = _safe(_shortened(json.dumps(data, indent=2, ensure_ascii=False)))
        tokens = list(lex(text, JsonLexer()))
        print_formatted_text(PygmentsTokens(tokens), style=STYLE, end="")

    def _print(self, line: list[tuple[str, str]]) -> None:
        safe = [(style, _safe(text)) for style, text in line]
        print_formatted_text(FormattedText(safe), style=STYLE)


async def run_terminal(url: str, options: Options, *, with_headers: bool) -> int:
    """Until QUIT, or Ctrl+D."""
    printer = Pretty(with_headers=with_headers)
    console = Console(url, options, printer)
    try:
        await console.connection.__aenter__()
    except httpx.TransportError as error:
        printer.fault(str(error))
        return FAILED
    listening = asyncio.create_task(console.listen())
    try:
        printer.say("HELP lists what there is; Ctrl+D leaves.")
        await _prompt(console, printer, url)
    finally:
        listening.cancel()
        await console.close()
    return FINE


async def _prompt(console: Console, printer: Pretty, url: str) -> None:
    session: PromptSession[str] = PromptSession(
        history=_history(),
        completer=WordCompleter([*METHODS, *WORDS], sentence=True, ignore_case=True),
        complete_while_typing=False,
        bottom_toolbar=lambda: _status_line(console, url),
        refresh_interval=0.5,
        style=STYLE,
    )
    while True:
        try:
            command = parse(await session.prompt_async("> "))
        except NoCommand as error:
            printer.fault(str(error))
        except KeyboardInterrupt:  # drops what was typed
            continue
        except EOFError:
            return
        else:
            if command is not None and command.verb == "QUIT":
                return
            if command is not None:
                await _interruptible(console.do(command, wait=False))


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    """Ctrl+C ends the request, and not the console."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
    if not task.cancelled():
        task.result()


def _status_line(console: Console, url: str) -> FormattedText:
    state = console.connection.state
    kind = "open" if state == "open" else "lost"
    said = {"waiting": "lost: trying again", "connecting": "connecting"}.get(state, state)
    parts = [("class:bottom-toolbar." + kind, f" ● {said}"), ("", f"  {url}")]
    if console.followed:
        parts.append(("", "  following " + " ".join(console.followed)))
    return FormattedText(parts)


def _history() -> History:
    path = Path.home() / ".wsrequest_history"
    try:
        path.touch(mode=0o600)  # tokens may stand in it
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _safe(text: str) -> str:
    """What a server says must not move the cursor, nor write to the clipboard."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _shortened(text: str) -> str:
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[:MOST_SHOWN]}\n... and {len(text) - MOST_SHOWN} characters more"
