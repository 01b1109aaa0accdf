"""Clients that watch: each holds the state of its subscriptions, and brings it up to date by what it is sent.

Every message is checked: each ``rev`` follows the one before, each patch is applied. Clients that hold the same state
and are sent the same bytes come to the same state: it is made once for all of them, so that the generator has time to
spare.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import jsonpatch
import msgspec

from benchmarks.clients import TEXT, BadAnswerError, SocketConnection, Tally, frame
from benchmarks.load import open_socket

#: An address of 127.0.0.0/8 has some 28,000 ports.
PER_ADDRESS = 5_000
#: Handshakes under way, and the SUBSCRIBEs of one connection (MAX_IN_FLIGHT is 32).
AT_ONCE, ASKED = 64, 24
PATIENCE = 60.0


class Said(msgspec.Struct):
    """An update, or an answer; or something about the connection, without an id."""

    id: int = 0
    event: str = ""
    status: int = 0
    data: msgspec.Raw = msgspec.Raw()
    rev: int = 0


decode = msgspec.json.Decoder(Said).decode
decode_array = msgspec.json.Decoder(list[Said]).decode


class Held:
    """A state. It never changes, so clients share one."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.next: dict[bytes, Held] = {}
        row = value[0] if isinstance(value, list) else value
        #: The last write that it shows.
        self.number: int = row.get("number", 0)

    def after(self, said: Said) -> Held:
        data = bytes(said.data)
        found = self.next.get(data)
        if found is None:
            found = self.next[data] = Held(self._made(said.event, data))
        return found

    def _made(self, event: str, data: bytes) -> Any:
        if event == "replace":
            return json.loads(data)
        if event != "patch":
            raise BadAnswerError(f"No update: {event} {data!r}")
        return jsonpatch.apply_patch(self.value, json.loads(data))


@dataclass
class Audience:
    """All clients that watch what is written, and when they had it."""

    snapshots: dict[bytes, Held] = field(default_factory=dict)
    #: Clients that have not seen the awaited write.
    missing: int = 0
    number: int = 0
    first: float = 0.0
    last: float = 0.0
    _done: asyncio.Future[None] | None = None

    def expect(self, number: int, clients: int) -> asyncio.Future[None]:
        """Done when so many have seen this write."""
        self.number, self.missing, self.first = number, clients, 0.0
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def snapshot(self, data: bytes) -> Held:
        held = self.snapshots.get(data)
        if held is None:
            held = self.snapshots[data] = Held(json.loads(data))
        return held

    def seen(self, before: Held, after: Held) -> None:
        if before.number < self.number <= after.number:
            self.last = time.perf_counter()
            self.first = self.first or self.last
            self.missing -= 1
            if not self.missing and self._done is not None and not self._done.done():
                self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


class Watcher(SocketConnection):
    """Watches some urls."""

    def __init__(self, audience: Audience, urls: Sequence[str], cookie: str = "") -> None:
        super().__init__(Tally(), "/", 0, arrays=False)
        self._audience = audience
        self._left = iter(list(enumerate(urls, 1)))
        self._missing = len(urls)
        self._cut = False
        self.cookie = cookie
        self.held: dict[int, Held] = {}
        self.revs: dict[int, int] = {}
        self.urls = urls
        self.watching: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def subscribe(self) -> None:
        for _ in range(ASKED):
            self._subscribe_next()

    def _subscribe_next(self) -> None:
        for number, url in self._left:
            asked = {"id": number, "method": "SUBSCRIBE", "url": url, "live": True}
            self.transport.write(frame(TEXT, msgspec.json.encode(asked)))
            return

    def cut(self) -> None:
        self._cut = True
        self.transport.abort()

    def text(self, payload: bytes) -> list[int]:
        if not self.opened.done():
            return super().text(payload)
        for said in decode_array(payload) if payload[0] == ord("[") else [decode(payload)]:
            self._take_said(said)
        return []

    def _take_said(self, said: Said) -> None:
        number = said.id
        if not number:
            return
        if number not in self.held:
            if said.status != 200:
                raise BadAnswerError(f"Not watched: {said.status} {bytes(said.data)!r}")
            self.held[number], self.revs[number] = self._audience.snapshot(bytes(said.data)), 0
            self._missing -= 1
            self._subscribe_next()
            if not self._missing:
                self.watching.set_result(None)
            return
        if said.rev != self.revs[number] + 1:
            raise BadAnswerError(f"rev {said.rev} after {self.revs[number]}: {said}")
        before = self.held[number]
        self.held[number], self.revs[number] = before.after(said), said.rev
        self._audience.seen(before, self.held[number])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._cut:
            error = self.error or exc or ConnectionError("The server closed a connection.")
            self._audience.fail(error)
            for future in (self.opened, self.watching):
                if not future.done():
                    future.set_exception(error)


async def gather(
    audience: Audience, port: int, urls: Sequence[str], cookies: Iterable[str]
) -> list[Watcher]:
    """Let one come for each cookie (which may be empty), and watch these urls; some at a time."""
    found: list[Watcher] = []
    places = iter(list(enumerate(cookies)))

    async def come() -> None:
        for place, cookie in places:
            address = f"127.0.1.{1 + place // PER_ADDRESS}"
            one = await open_socket(lambda c=cookie: Watcher(audience, urls, c), port, address)
            found.append(one)
            one.subscribe()
            await asyncio.wait_for(one.watching, PATIENCE)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(come())
    return found


class Writer(SocketConnection):
    """Asks the server to write, and what was counted; a user where it has a cookie."""

    def __init__(self, cookie: str = "") -> None:
        super().__init__(Tally(), "/", 0, arrays=False)
        self.cookie = cookie
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def get(self, method: str, url: str, data: Any = None) -> Any:
        self._number += 1
        asked = {"id": self._number, "method": method, "url": url}
        if data is not None:
            asked["data"] = data
        done = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self.transport.write(frame(TEXT, msgspec.json.encode(asked)))
        return await asyncio.wait_for(done, PATIENCE)

    def text(self, payload: bytes) -> list[int]:
        if not self.opened.done():
            return super().text(payload)
        for said in decode_array(payload) if payload[0] == ord("[") else [decode(payload)]:
            if said.id:
                if said.status != 200:
                    raise BadAnswerError(f"Not answered: {payload!r}")
                self._waiting.pop(said.id).set_result(json.loads(bytes(said.data)))
        return []

    def connection_lost(self, exc: Exception | None) -> None:
        error = self.error or exc or ConnectionError("The server closed the writer's connection.")
        for future in (self.opened, *self._waiting.values()):
            with suppress(asyncio.InvalidStateError):
                future.set_exception(error)
