"""What waits to be sent to one connection, bounded in bytes."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

#: Encoded messages: one, or a list of several.
Messages = bytes | list[bytes]


class Writer(Protocol):
    """Who sends what is in it."""

    def call(self, outbox: Any) -> None:
        """There is something to send."""


class Outbox:
    """Encoded messages between their makers and a writer, who is called when there is something to write.

    ``put`` never waits: an answer that is there must not be lost. Whoever can wait (a stream, the reading of further
    requests) asks ``room()`` first. ``size`` counts what was not sent yet, also what the writer has in hand.

    Most connections have nothing to say most of the time: an empty outbox holds neither a task nor an event. Most that
    have something to say have one message: a list is made with the second. An event for thousands would else leave as
    many lists to Python's garbage collector, which would then look at all that there is again and again.
    """

    __slots__ = (
        "_drained",
        "_messages",
        "_writer",
        "_writing",
        "discarded",
        "in_hand",
        "limit",
        "most",
        "size",
    )

    def __init__(self, limit: int, most: int = 0) -> None:
        """``limit``: the bytes from which on the outbox is full. ``most``: those up to which messages are taken
        together."""
        self.limit = limit
        self.most = most
        self.size = 0
        #: Bytes of it that the writer has taken.
        self.in_hand = 0
        self._messages: Messages | None = None
        self._writer: Writer | None = None
        self._writing = False
        self._drained: asyncio.Event | None = None
        #: Nobody will read what is put into it.
        self.discarded = False

    @property
    def full(self) -> bool:
        return self.size >= self.limit

    def attend(self, writer: Writer | None) -> None:
        """Call this writer (at once, where something waits already) whenever there are messages that nobody writes.
        None: nothing more is to be written."""
        self._writer = writer
        if self._messages is not None and not self._writing and writer is not None:
            self._writing = True
            writer.call(self)

    def put(self, message: bytes) -> None:
        """Queue a message; after :meth:`discard` it goes nowhere."""
        if self.discarded:
            return
        waiting = self._messages
        if waiting is None:
            self._messages = message
        elif isinstance(waiting, list):
            waiting.append(message)
        else:
            self._messages = [waiting, message]
        self.size += len(message)
        if not self._writing and self._writer is not None:
            self._writing = True
            self._writer.call(self)

    async def room(self) -> None:
        """Wait until the outbox is not full."""
        while self.full:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def take(self) -> Messages | None:
        """The first message, and those after it that together keep within ``most`` bytes; the writer reports by
        :meth:`sent` that they have gone, or forgets about this outbox. None where nothing waits, or nobody attends any
        more."""
        messages = self._messages
        if messages is None or self._writer is None:
            return None
        if not isinstance(messages, list) or self.size <= self.most:  # as nearly always
            self._messages = None
            self.in_hand = self.size
            return messages
        count, total = 0, 0
        for message in messages:
            total += len(message)
            if count and total > self.most:
                total -= len(message)
                break
            count += 1
        self.in_hand = total
        self._messages = _together(messages[count:])
        return _together(messages[:count])

    def sent(self) -> bool:
        """What was taken has gone to the transport; the writer is called again for what is left. Returns whether the
        outbox was full."""
        was_full = self.size >= self.limit
        self.size -= self.in_hand
        self.in_hand = 0
        if self._drained is not None:
            self._tell_of_room()
        if self._messages is not None and self._writer is not None:
            self._writer.call(self)
        else:
            self._writing = False
        return was_full

    def discard(self) -> None:
        """Nobody will read it any more: drop what is there and what still comes, and let everyone go on."""
        self.discarded = True
        self._messages = None
        self.size = self.in_hand = 0
        self._tell_of_room()

    def _tell_of_room(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


def _together(messages: list[bytes]) -> Messages | None:
    return messages if len(messages) > 1 else messages[0] if messages else None
