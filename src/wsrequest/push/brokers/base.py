"""What a broker is: the seam between ``publish()`` in any process and the connections in every process.

A broker has two faces. :class:`Broker` is for whoever publishes: any thread of any process, with or without an event
loop. :class:`Listener` is for a process that has connections: one for each event loop, and everything about it happens
on that loop.

A topic's events have **positions**: an epoch and an offset that counts from 1 without a gap. The epoch names one life
of the topic's history. A broker that lost it (restarted empty, evicted, expired) begins another one with another epoch,
so that an old offset is never taken for a new one. (The idea, and that append and publish are one act, are
centrifuge's: https://github.com/centrifugal/centrifuge/blob/master/broker.go.)
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Position(NamedTuple):
    """A place in a topic's history: after the event with this offset. Offset 0 is before the first one."""

    epoch: str
    offset: int


def new_epoch() -> str:
    """For a topic that has none. It can stand anywhere, on a command line, too: nothing in it is a ``-`` or a ``:``."""
    return secrets.token_hex(6)


class Entry(NamedTuple):
    """An event as it is kept: its offset, and its payload, which no broker looks into."""

    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """What :meth:`Listener.history` has found.

    ``whole`` says that nothing is missing between the position that was asked for and the first entry, nor among the
    entries; where it is False there are none, and what lies between is lost. ``newest`` is the topic's own position,
    as of the same moment: where the last entry's offset is smaller, there is another page.
    """

    entries: Sequence[Entry]
    newest: Position
    whole: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a topic's history is kept: so many events, none for longer than ``ttl`` seconds after the last one.
    With ``size`` 0 nothing is kept, but offsets still count."""

    size: int
    ttl: float


class Receiver(Protocol):
    """Who hears what a listener hears. All is called on the listener's event loop, in order, and must not raise."""

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        """An event of a topic to which :meth:`Listener.subscribe` was called. Offsets of one epoch rise; a gap means
        that some were missed, and can be read from the history."""

    def signal(self, topic: str | None, payload: bytes) -> None:
        """A passing word, of a topic or (None) to all processes."""

    def interrupted(self) -> None:
        """From here on events may be missed, and nothing is known until :meth:`resumed`."""

    def resumed(self) -> None:
        """The listener hears again what is subscribed. What happened meanwhile is to be asked for by
        :meth:`Listener.history`."""


class Listener(ABC):
    """A process's ear, bound to the event loop on which it was made.

    Coroutines raise :class:`~wsrequest.errors.BrokerUnavailable` where the broker does not answer in time.
    """

    @abstractmethod
    async def subscribe(self, topic: str) -> Position:
        """Hear this topic: every event after the position that is returned is delivered. (One at or before it may be,
        too; and delivery may begin before this returns.) To be called again only after :meth:`unsubscribe`, or where it
        has raised: then the topic is not heard."""

    @abstractmethod
    async def unsubscribe(self, topic: str) -> None:
        """Hear it no more. Never raises: where the broker is away, there is nothing to be heard."""

    @abstractmethod
    async def history(self, topic: str, after: Position, limit: int) -> Page:
        """The ``limit`` oldest of the kept events after this position."""

    @abstractmethod
    async def signal(self, topic: str | None, payload: bytes) -> None:
        """Say something in passing to all processes that hear the topic, or with None to all of them: it has no
        position, is not kept, and is missed by who does not listen at that moment."""

    @abstractmethod
    async def close(self) -> None:
        """Hear nothing any more, and give back what it holds. May be called again."""

    # Presence. A member is an opaque name, with data that no broker looks into; it is there until its lease ends.

    @abstractmethod
    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        """Make this one a member for ``lease`` seconds; False where it was one already (with other data, perhaps)."""

    @abstractmethod
    async def leave(self, topic: str, member: str) -> bool:
        """Make it one no more; False where it was none."""

    @abstractmethod
    async def renew(self, topic: str, members: Sequence[str], lease: float) -> Sequence[str]:
        """Let these stay for ``lease`` seconds from now; returns those that are no members any more."""

    @abstractmethod
    async def expire(self, topic: str) -> Mapping[str, bytes]:
        """Remove the members whose lease has ended, and return them with their data: each is returned once, whichever
        process asks."""

    @abstractmethod
    async def members(self, topic: str) -> Mapping[str, bytes]:
        """All members whose lease holds, with their data."""


class Broker(ABC):
    """One of ``WSREQUEST["BROKERS"]``; made once in a process, and used from any thread."""

    #: The database alias in whose transactions :meth:`publish` takes part by itself (an outbox): what is published
    #: there takes effect with the commit. None for a broker that knows of no transactions.
    transactional: str | None = None

    #: Whether it reaches this process only. Then who knows that nobody here listens need not say a thing.
    within_process: bool = False

    @abstractmethod
    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        """Append the event to the topic's history and hand it to all listeners, as one act. Needs no event loop.

        Returns its position; a transactional broker, inside of a transaction, the position as far as it is known.
        Raises :class:`~wsrequest.errors.BrokerUnavailable`.
        """

    @abstractmethod
    async def apublish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        """The same, on any event loop."""

    @abstractmethod
    def signal(self, topic: str | None, payload: bytes) -> None:
        """As :meth:`Listener.signal`, from any thread."""

    @abstractmethod
    async def asignal(self, topic: str | None, payload: bytes) -> None:
        """The same, on any event loop."""

    @abstractmethod
    def members(self, topic: str) -> Mapping[str, bytes]:
        """As :meth:`Listener.members`, from any thread."""

    @abstractmethod
    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> Listener:
        """An ear for this loop, called on it. It connects by itself, and again whenever the connection is lost:
        ``receiver`` is told."""

    @abstractmethod
    def close(self) -> None:
        """Give back what publishing holds (connections). The broker may be used again. Any thread may call it."""
