"""Following one topic of a broker: every event once, in order, and a word about what can't be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Broker, Listener, Page, Position, Receiver

#: Of what was heard and not yet told. Past it events are dropped, and read from the history.
MOST_WAITING = 1024

#: Events that are read from the history at once.
PAGE = 256

#: Seconds until a broker that did not answer is asked again.
AGAIN = 0.5


class Began(NamedTuple):
    """What comes after this position will be told."""

    position: Position


class Event(NamedTuple):
    """An event; ``kept`` says that it was read from the history."""

    position: Position
    payload: bytes
    kept: bool = False


class Passing(NamedTuple):
    """A word in passing."""

    payload: bytes


class Interrupted(NamedTuple):
    """The broker is away: what is said in passing is missed, and events will be told later."""


class Resumed(NamedTuple):
    """The broker is back."""


class Lost(NamedTuple):
    """What came after ``after`` is not kept any more; on it goes after ``newest``. Another epoch says that the topic's
    history has begun anew."""

    after: Position
    newest: Position


Heard = Event | Passing | Interrupted | Resumed
Told = Began | Lost | Heard


class Follower(Receiver):
    """The receiver of a listener of its own. ``tell`` is called for each thing that happens, and may take its time."""

    def __init__(self, topic: str, tell: Callable[[Told], None]) -> None:
        self._topic = topic
        self._tell = tell
        self._heard: asyncio.Queue[Heard] = asyncio.Queue(MOST_WAITING)
        self._dropped = False
        self._after = Position("", 0)

    async def follow(self, broker: Broker, since: Position | None = None) -> None:
        """Tell everything after this position (None: from now on), until ``tell`` raises or the task is cancelled.

        Raises :class:`~wsrequest.errors.BrokerUnavailable` where it can't begin.
        """
        listener = broker.listen(asyncio.get_running_loop(), self)
        try:
            newest = await listener.subscribe(self._topic)
            self._after = since or newest
            self._tell(Began(self._after))
            if self._after != newest:
                await self._catch_up(listener)
            while True:
                await self._take(await self._heard.get(), listener)
                if self._dropped and self._heard.empty():
                    self._dropped = False
                    await self._catch_up(listener)
        finally:
            await listener.close()

    # What the listener calls.

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        self._hear(Event(position, payload))

    def signal(self, topic: str | None, payload: bytes) -> None:
        if topic is not None:
            self._hear(Passing(payload))

    def interrupted(self) -> None:
        self._hear(Interrupted())

    def resumed(self) -> None:
        self._hear(Resumed())

    def _hear(self, heard: Heard) -> None:
        try:
            self._heard.put_nowait(heard)
        except asyncio.QueueFull:
            self._dropped = True

    async def _take(self, heard: Heard, listener: Listener) -> None:
        if not isinstance(heard, Event):
            self._tell(heard)
            if isinstance(heard, Resumed):
                await self._catch_up(listener)
            return
        epoch, offset = self._after
        if heard.position == (epoch, offset + 1):
            self._tell_event(heard)
        elif heard.position.epoch != epoch or heard.position.offset > offset:
            await self._catch_up(listener)

    async def _catch_up(self, listener: Listener) -> None:
        """Tell what the history has after the last event that was told."""
        while True:
            page = await self._page(listener, self._after)
            for entry in page.entries:
                position = Position(page.newest.epoch, entry.offset)
                self._tell_event(Event(position, entry.payload, kept=True))
            if not page.whole:
                await self._lose(page.newest, listener)
            elif not page.entries or self._after == page.newest:
                return

    async def _lose(self, newest: Position, listener: Listener) -> None:
        """Go on with what there is: of a new epoch all may still be kept."""
        after = newest
        if newest.epoch != self._after.epoch:
            beginning = Position(newest.epoch, 0)
            if (await self._page(listener, beginning)).whole:
                after = beginning
        self._tell(Lost(self._after, after))
        self._after = after

    async def _page(self, listener: Listener, after: Position) -> Page:
        while True:
            try:
                return await listener.history(self._topic, after, PAGE)
            except BrokerUnavailable:
                await asyncio.sleep(AGAIN)

    def _tell_event(self, event: Event) -> None:
        self._after = event.position
        self._tell(event)
