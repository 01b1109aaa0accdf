"""What waits to be sent to one connection, bounded in bytes."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Protocol


class Owner(Protocol):
    """Whose outbox it is."""

    def call_writer(self) -> None:
        """There is something to send, and nobody who does."""


class Outbox:
    """Encoded messages between their makers and one writer, who is called when there is something to write.

    ``put`` never waits: an answer that is there must not be lost. Whoever can wait (a stream, the reading of further
    requests) asks ``room()`` first. ``size`` counts what was not sent yet, also what the writer has in hand.

    Most connections have nothing to say most of the time: an empty outbox holds neither a task nor an event.
    """

    __slots__ = ("_discarded", "_drained", "_messages", "_owner", "_writing", "limit", "size")

    def __init__(self, limit: int) -> None:
        """``limit``: the bytes from which on the outbox is full."""
        self.limit = limit
        self.size = 0
        self._messages: list[bytes] = []
        self._owner: Owner | None = None
        self._writing = False
        self._drained: asyncio.Event | None = None
        self._discarded = False

    @property
    def full(self) -> bool:
        return self.size >= self.limit

    def attend(self, owner: Owner | None) -> None:
        """Tell the owner (at once, where something waits already) whenever there are messages and nobody writes them.
        None: nothing more is to be written."""
        self._owner = owner
        self._attract()

    def put(self, message: bytes) -> None:
        """Queue a message; after :meth:`discard` it goes nowhere."""
        if self._discarded:
            return
        self._messages.append(message)
        self.size += len(message)
        if not self._writing:
            self._attract()

    def _attract(self) -> None:
        if self._messages and not self._writing and self._owner is not None:
            self._writing = True
            self._owner.call_writer()

    async def room(self) -> None:
        """Wait until the outbox is not full."""
        while self.full:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def take(self, most: int) -> list[bytes]:
        """The first message, and those after it that together keep within ``most`` bytes; the writer reports them by
        :meth:`sent`. Where there is none, the writer is to go: it will be called again."""
        if not self._messages:
            self._writing = False
            return []
        count, total = 1, len(self._messages[0])
        for message in islice(self._messages, 1, None):
            total += len(message)
            if total > most:
                break
            count += 1
        taken = self._messages[:count]
        del self._messages[:count]
        return taken

    def sent(self, messages: list[bytes]) -> None:
        """These have gone to the transport."""
        self.size -= sum(map(len, messages))
        self._tell_of_room()

    def discard(self) -> None:
        """Nobody will read it any more: drop what is there and what still comes, and let everyone go on."""
        self._discarded = True
        self._messages.clear()
        self.size = 0
        self._tell_of_room()

    def _tell_of_room(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None
