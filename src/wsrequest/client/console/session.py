"""What the console does with its commands, whoever types them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import httpx

from wsrequest.client.connection import Connection, connect
from wsrequest.client.console.commands import HELP, Command, NoCommand, header, parse
from wsrequest.client.console.printing import Printer
from wsrequest.client.options import Options

# Exit statuses.
FINE, BAD_ANSWER, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130

#: Seconds that a request may take.
TIMEOUT = 60.0


class Console:
    """A connection, and what was said of its requests (HEADER, TOKEN)."""

    def __init__(
        self, url: str, options: Options, printer: Printer, *, most_events: int | None = None
    ) -> None:
        self.connection: Connection = connect(url, **options)
        self.connection.http.timeout = httpx.Timeout(TIMEOUT)
        self.followed: dict[str, asyncio.Task[None]] = {}
        self._printer = printer
        self._most_events = most_events
        self._headers: dict[str, str] = {}
        self._status = FINE

    async def run_lines(self, lines: Iterable[str]) -> int:
        """One command after the other; a subscription is followed to its end, or to ``most_events``."""
        try:
            async with self.connection:
                source = iter(lines)
                while (line := await asyncio.to_thread(next, source, None)) is not None:
                    try:
                        command = parse(line)
                    except NoCommand as error:
                        self._printer.fault(str(error))
                        return USAGE
                    if command is not None and command.verb == "QUIT":
                        break
                    if command is not None:
                        await self.do(command, wait=True)
        except httpx.TransportError as error:
            self._fail(error)
        return self._status

    async def do(self, command: Command, *, wait: bool) -> None:
        """``wait``: also for the end of a subscription."""
        match command.verb:
            case "HELP":
                self._printer.say(HELP)
            case "HEADER" | "TOKEN":
                self._set(command)
            case "CANCEL":
                self._cancel(command.rest)
            case "SUBSCRIBE" | "LIVE":
                work = self._follow(command)
                if wait:
                    await work
                else:
                    self._start(command.rest, work)
            case _:
                await self._request(command)

    async def listen(self) -> None:
        """Show what the server says unasked."""
        async with self.connection.notices() as notices:
            async for notice in notices:
                self._printer.notice(notice.event, notice.data)

    async def close(self) -> None:
        self._cancel("")
        await asyncio.gather(*self.followed.values(), return_exceptions=True)
        await self.connection.aclose()

    def _set(self, command: Command) -> None:
        if command.verb == "TOKEN":
            self.connection.authenticate(command.rest or None)
            return
        if command.rest:
            try:
                name, value = header(command.rest)
            except NoCommand as error:
                self._printer.fault(str(error))
                self._status = USAGE
                return
            self._headers[name] = value
        self._headers = {name: value for name, value in self._headers.items() if value}
        self._printer.say("\n".join(f"{name}: {value}" for name, value in self._headers.items()))

    async def _request(self, command: Command) -> None:
        headers = dict(self._headers)
        content = None
        if command.body is not None:
            content = command.body.encode()
            headers.setdefault("content-type", "application/json")
        began = time.perf_counter()
        try:
            response = await self.connection.http.request(
                command.verb, command.rest, content=content, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._fail(error)
            return
        self._note(response.status_code)
        self._printer.answer(command.verb, command.rest, response, time.perf_counter() - began)

    async def _follow(self, command: Command) -> None:
        try:
            if command.verb == "LIVE":
                await self._show_states(command.rest)
            else:
                await self._show_events(command.rest)
        except httpx.HTTPStatusError as error:
            self._note(error.response.status_code)
            self._printer.answer(command.verb, command.rest, error.response, 0)
        except httpx.HTTPError as error:
            self._fail(error)

    async def _show_events(self, url: str) -> None:
        async with self.connection.subscribe(url, headers=self._headers) as events:
            self._printer.state(url, events.state)
            async for event in self._first(events):
                self._printer.event(url, event.name, event.data, event.position.offset)

    async def _show_states(self, url: str) -> None:
        async with self.connection.live(url, headers=self._headers) as states:
            async for state in self._first(states):
                self._printer.state(url, state)

    async def _first(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """As many as are wanted."""
        left = self._most_events
        while left != 0:
            try:
                yield await anext(items)
            except StopAsyncIteration:
                return
            left = None if left is None else left - 1

    def _start(self, url: str, work: Coroutine[Any, Any, None]) -> None:
        self._cancel(url)
        task = asyncio.create_task(work)
        self.followed[url] = task
        task.add_done_callback(lambda done: self._ended(url, done))

    def _ended(self, url: str, task: asyncio.Task[None]) -> None:
        if self.followed.get(url) is task:
            del self.followed[url]

    def _cancel(self, url: str) -> None:
        for each, task in tuple(self.followed.items()):
            if url in ("", each):
                task.cancel()
                self._printer.say(f"No longer following {each}")

    def _note(self, status: int) -> None:
        if status >= 400 and self._status == FINE:
            self._status = BAD_ANSWER

    def _fail(self, error: Exception) -> None:
        self._status = FAILED
        self._printer.fault(str(error) or type(error).__name__)
