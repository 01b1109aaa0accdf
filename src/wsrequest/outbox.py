"""What waits to be sent to one connection, bounded in bytes."""

from __future__ import annotations

import asyncio
from collections import deque


class Outbox:
    """Encoded messages between their makers and one writer.

    ``put`` never waits: an answer that is there must not be lost. Whoever can wait (a stream, the reading of further
    requests) asks ``room()`` first. ``size`` counts what was not sent yet, also what the writer has in hand.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: the bytes from which on the outbox is full."""
        self.limit = limit
        self.size = 0
        self._messages: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._discarded = False

    @property
    def full(self) -> bool:
        return self.size >= self.limit

    def put(self, message: bytes) -> None:
        """Queue a message; after :meth:`discard` it goes nowhere."""
        if self._discarded:
            return
        self._messages.append(message)
        self.size += len(message)
        self._filled.set()

    async def room(self) -> None:
        """Wait until the outbox is not full."""
        while self.full:
            self._drained.clear()
            await self._drained.wait()

    async def take(self, most: int) -> list[bytes]:
        """Wait for messages; the first one, and those after it that together keep within ``most`` bytes.

        The writer reports them by :meth:`sent`.
        """
        while not self._messages:
            self._filled.clear()
            await self._filled.wait()
        taken = [self._messages.popleft()]
        total = len(taken[0])
        while self._messages and total + len(self._messages[0]) <= most:
            taken.append(self._messages.popleft())
            total += len(taken[-1])
        return taken

    def sent(self, messages: list[bytes]) -> None:
        """These have gone to the transport."""
        self.size -= sum(map(len, messages))
        self._drained.set()

    def discard(self) -> None:
        """Nobody will read it any more: drop what is there and what still comes, and let everyone go on."""
        self._discarded = True
        self._messages.clear()
        self.size = 0
        self._drained.set()
