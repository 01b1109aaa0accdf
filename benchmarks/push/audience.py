"""Thousands of subscribers, and one who publishes, each on a connection of its own.

Every message is checked. Most subscribers are sent the same bytes, and what was found in order once need not be read
again: it is looked up by its bytes, so that the generator has time to spare.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from benchmarks.clients import (
    TEXT,
    BadAnswerError,
    SocketConnection,
    Tally,
    decode_answer,
    decode_answers,
    frame,
)
from benchmarks.load import open_socket
from benchmarks.push.project.content import DATA, EVENT, PUBLISH, URL

#: An address of 127.0.0.0/8 has some 28,000 ports.
PER_ADDRESS = 5_000
#: Handshakes under way.
AT_ONCE = 64
PATIENCE = 60.0
#: Chunks that are known by their bytes.
KNOWN = 4096

_DATA = DATA.encode()


class Place(msgspec.Struct):
    """Where a subscription begins."""

    epoch: str
    offset: int
    recovered: bool | None = None


class Said(msgspec.Struct):
    """An event, or the answer to SUBSCRIBE."""

    id: int
    event: str = ""
    status: int = 0
    data: msgspec.Raw = msgspec.Raw()
    offset: int = 0
    subscription: Place | None = None


decode = msgspec.json.Decoder(Said).decode
decode_array = msgspec.json.Decoder(list[Said]).decode


@dataclass
class Audience:
    """Subscribers of one server."""

    port: int
    members: list[Subscriber] = field(default_factory=list)
    #: Events that all members have had together.
    heard: int = 0
    #: When the last member had each event; kept where ``missing`` counts who has not had it.
    whole_at: dict[int, float] = field(default_factory=dict)
    missing: dict[int, int] | None = None
    #: What is in order: the events in these bytes, first and last.
    known: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _awaited: int = 0
    _done: asyncio.Future[None] | None = None

    async def gather(self, number: int, since: Place | None = None) -> None:
        """Let so many come and subscribe, some at a time."""
        places = iter(range(number))
        self.known.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._gather(places, since))

    async def _gather(self, places: Iterable[int], since: Place | None) -> None:
        for place in places:
            address = f"127.0.1.{1 + place // PER_ADDRESS}"
            member = await open_socket(lambda: Subscriber(self), self.port, address)
            self.members.append(member)
            member.subscribe(since)
            if since is None:
                await asyncio.wait_for(member.subscribed, PATIENCE)

    def cut(self) -> None:
        """All of them lose their connection."""
        for member in self.members:
            member.cut()
        self.members = []

    def expect(self, events: int) -> asyncio.Future[None]:
        """Done when so many more events have been heard by all members together."""
        self._awaited = self.heard + events
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def hear(self, first: int, last: int) -> None:
        """A member has had these."""
        self.heard += last - first + 1
        if self.missing is not None:
            for offset in range(first, last + 1):
                left = self.missing.get(offset, len(self.members)) - 1
                self.missing[offset] = left
                if not left:
                    self.whole_at[offset] = time.perf_counter()
        if self._done is not None and self.heard >= self._awaited and not self._done.done():
            if self.heard > self._awaited:
                self.fail(BadAnswerError(f"{self.heard} events instead of {self._awaited}"))
            else:
                self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def remember(self, chunk: bytes, events: tuple[int, int]) -> None:
        if len(self.known) >= KNOWN:
            self.known.clear()
        self.known[chunk] = events


class Subscriber(SocketConnection):
    """Subscribes, and hears events in order, none twice and none left out."""

    def __init__(self, audience: Audience) -> None:
        super().__init__(Tally(), URL, 0, arrays=False)
        self._audience = audience
        self.subscribed: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self.offset = 0
        self._epoch = ""
        self._cut = False

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self._epoch, self.offset)

    def subscribe(self, since: Place | None) -> None:
        asked: dict[str, object] = {"id": 1, "method": "SUBSCRIBE", "url": URL}
        if since is not None:
            asked["since"] = {"epoch": since.epoch, "offset": since.offset}
        self.transport.write(frame(TEXT, msgspec.json.encode(asked)))

    def cut(self) -> None:
        self._cut = True
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            events = self._audience.known.get(data)
            if events is not None and events[0] == self.offset + 1:
                self.offset = events[1]
                self._audience.hear(*events)
                return
        before, whole = self.offset, self.subscribed.done() and not self._buffer
        super().data_received(data)
        if whole and not self._buffer and self.offset > before:
            self._audience.remember(data, (before + 1, self.offset))

    def text(self, payload: bytes) -> list[int]:
        if not self.opened.done():
            return super().text(payload)
        for said in decode_array(payload) if payload[0] == ord("[") else [decode(payload)]:
            self._take_said(said)
        return []

    def _take_said(self, said: Said) -> None:
        if said.subscription is not None and not self.subscribed.done():
            if said.status != 200 or said.subscription.recovered is False:
                raise BadAnswerError(f"Not subscribed: {said}")
            self._epoch, self.offset = said.subscription.epoch, said.subscription.offset
            self.subscribed.set_result(said.subscription)
        elif said.event != EVENT or said.id != 1 or bytes(said.data) != _DATA:
            raise BadAnswerError(f"No event: {said}")
        elif said.offset != self.offset + 1:
            raise BadAnswerError(f"Event {said.offset} after {self.offset}")
        else:
            self.offset = said.offset
            self._audience.hear(said.offset, said.offset)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._cut:
            error = self.error or exc or ConnectionError("The server closed a subscription.")
            self._audience.fail(error)
            for future in (self.opened, self.subscribed):
                if not future.done():
                    future.set_exception(error)


class Publisher(SocketConnection):
    """Asks the server to publish."""

    target = PUBLISH.encode()

    def __init__(self) -> None:
        super().__init__(Tally(), PUBLISH, 0, arrays=False)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0

    def publish(self, count: int) -> asyncio.Future[None]:
        """Done when the server says that it has."""
        self._number += 1
        asked = {"id": self._number, "method": "POST", "data": {"count": count}}
        done = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self.transport.write(frame(TEXT, msgspec.json.encode(asked)))
        return done

    def text(self, payload: bytes) -> list[int]:
        if not self.opened.done():
            return super().text(payload)
        for answer in (
            decode_answers(payload) if payload[0] == ord("[") else [decode_answer(payload)]
        ):
            if answer.status != 200:
                raise BadAnswerError(f"Not published: {payload!r}")
            self._waiting.pop(answer.id).set_result(None)
        return []

    def connection_lost(self, exc: Exception | None) -> None:
        error = (
            self.error or exc or ConnectionError("The server closed the publisher's connection.")
        )
        for future in (self.opened, *self._waiting.values()):
            with suppress(asyncio.InvalidStateError):
                future.set_exception(error)
