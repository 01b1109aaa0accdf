"""The default broker: everything in the memory of one process. Nothing to install, and nothing outlives the process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice

from wsrequest import log
from wsrequest.push.brokers.base import (
    Broker,
    Entry,
    Listener,
    Page,
    Position,
    Receiver,
    Retention,
    new_epoch,
)
from wsrequest.push.processes import several_processes

#: Bytes that may wait for an event loop which does not come to hear them; past it they are dropped, and it is told.
MOST_HEARD = 2**24

#: Bytes that each of them is taken to need beside its payload.
EACH = 256

#: Topics that are looked at for what has expired, with each event that is published: so what is kept shrinks again by
#: itself, and no single publish pays for it.
LOOKED_AT = 2


class _History:
    """One life of a topic."""

    __slots__ = ("entries", "epoch", "expires", "newest")

    def __init__(self) -> None:
        self.epoch = new_epoch()
        self.newest = 0
        self.entries: deque[Entry] = deque()
        self.expires = 0.0

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.newest)


class MemoryBroker(Broker):
    """Events go from thread to event loop within the process."""

    within_process = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, for the time that history is kept and leases hold."""
        self._clock = clock
        # Held for moments only, and by who appends also while the event is handed over: so all hear one order.
        self.lock = threading.RLock()
        self._topics: dict[str, _History] = {}
        self._listeners: list[MemoryListener] = []
        self._has_listened = False
        self._members: dict[str, dict[str, tuple[bytes, float]]] = {}

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        with self.lock:
            history = self._history(topic)
            history.newest += 1
            position = history.position
            entries = history.entries
            entries.append(Entry(position.offset, payload))
            while len(entries) > retention.size:
                entries.popleft()
            history.expires = self._clock() + retention.ttl
            self._shrink()
            for listener in tuple(self._listeners):
                if topic in listener.topics:
                    listener.hear(
                        payload, partial(listener.receiver.deliver, topic, position, payload)
                    )
        return position

    async def apublish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        return self.publish(topic, payload, retention)

    def signal(self, topic: str | None, payload: bytes) -> None:
        with self.lock:
            for listener in tuple(self._listeners):
                if topic is None or topic in listener.topics:
                    listener.hear(payload, partial(listener.receiver.signal, topic, payload))

    async def asignal(self, topic: str | None, payload: bytes) -> None:
        self.signal(topic, payload)

    def members(self, topic: str) -> Mapping[str, bytes]:
        now = self._clock()
        with self.lock:
            members = self._members.get(topic, {})
            return {name: data for name, (data, until) in members.items() if until > now}

    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> MemoryListener:
        listener = MemoryListener(self, loop, receiver)
        if not self._has_listened and (said := several_processes()):
            log.broker_of_one_process(said)
        self._has_listened = True
        with self.lock:
            self._listeners.append(listener)
        return listener

    def close(self) -> None:
        """There is nothing to give back: what is kept stays."""

    # What follows is called by MemoryListener.

    def subscribe(self, listener: MemoryListener, topic: str) -> Position:
        with self.lock:
            listener.topics.add(topic)
            return self._history(topic).position

    def forget(self, listener: MemoryListener) -> None:
        with self.lock:
            listener.topics.clear()
            if listener in self._listeners:
                self._listeners.remove(listener)

    def history(self, topic: str, after: Position, limit: int) -> Page:
        with self.lock:
            history = self._history(topic)
            missing = history.newest - after.offset
            if history.epoch != after.epoch or not 0 <= missing <= len(history.entries):
                return Page((), history.position, whole=False)
            start = len(history.entries) - missing
            entries = tuple(islice(history.entries, start, start + limit))
            return Page(entries, history.position, whole=True)

    def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        with self.lock:
            members = self._members.setdefault(topic, {})
            is_new = member not in members
            members[member] = data, self._clock() + lease
            return is_new

    def leave(self, topic: str, member: str) -> bool:
        with self.lock:
            members = self._members.get(topic, {})
            was_there = members.pop(member, None) is not None
            if not members:
                self._members.pop(topic, None)
            return was_there

    def renew(self, topic: str, members: Sequence[str], lease: float) -> list[str]:
        until = self._clock() + lease
        with self.lock:
            known = self._members.get(topic, {})
            for member in members:
                if member in known:
                    known[member] = known[member][0], until
            return [member for member in members if member not in known]

    def expire(self, topic: str) -> dict[str, bytes]:
        now = self._clock()
        with self.lock:
            members = self._members.get(topic, {})
            gone = {name: data for name, (data, until) in members.items() if until <= now}
            for name in gone:
                self.leave(topic, name)
            return gone

    def _history(self, topic: str) -> _History:
        """The topic's history; it begins when somebody asks for it first."""
        history = self._topics.get(topic)
        if history is None:
            history = self._topics[topic] = _History()
        elif history.entries and history.expires <= self._clock():
            history.entries.clear()  # offsets go on: who listens has missed nothing
        return history

    def _shrink(self) -> None:
        """Forget topics that nobody hears, and of which nothing is kept any more; the oldest are looked at first."""
        now = self._clock()
        for topic in list(islice(self._topics, LOOKED_AT)):
            history = self._topics.pop(topic)
            if history.expires > now or any(topic in each.topics for each in self._listeners):
                self._topics[topic] = history  # at the end: the others' turn comes first


class MemoryListener(Listener):
    """The ear of one event loop."""

    def __init__(
        self, broker: MemoryBroker, loop: asyncio.AbstractEventLoop, receiver: Receiver
    ) -> None:
        self.receiver = receiver
        #: Changed under the broker's lock.
        self.topics: set[str] = set()
        self._broker = broker
        self._loop = loop
        self._heard: deque[Callable[[], None]] = deque()
        self._waiting = 0  # bytes
        self._dropped = False
        self._woken = False

    def hear(self, payload: bytes, tell: Callable[[], None]) -> None:
        """Any thread says this, under the broker's lock: it is heard on the loop, in this order, with one wake-up for
        however much there is."""
        if self._waiting >= MOST_HEARD:
            self._dropped = True
        else:
            self._heard.append(tell)
            self._waiting += len(payload) + EACH
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._listen)
            except RuntimeError:  # the loop is closed: nobody will ever listen again
                self._heard.clear()
                self._broker.forget(self)

    def _listen(self) -> None:
        self._woken = False  # before looking: what comes in from here on wakes again
        for _ in range(len(self._heard)):
            self._heard.popleft()()
        with self._broker.lock:
            self._waiting = 0
            dropped, self._dropped = self._dropped, False
        if dropped:
            self.receiver.interrupted()
            self.receiver.resumed()

    async def subscribe(self, topic: str) -> Position:
        return self._broker.subscribe(self, topic)

    async def unsubscribe(self, topic: str) -> None:
        self.topics.discard(topic)

    async def history(self, topic: str, after: Position, limit: int) -> Page:
        return self._broker.history(topic, after, limit)

    async def signal(self, topic: str | None, payload: bytes) -> None:
        self._broker.signal(topic, payload)

    async def close(self) -> None:
        self._broker.forget(self)

    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        return self._broker.enter(topic, member, data, lease)

    async def leave(self, topic: str, member: str) -> bool:
        return self._broker.leave(topic, member)

    async def renew(self, topic: str, members: Sequence[str], lease: float) -> Sequence[str]:
        return self._broker.renew(topic, members, lease)

    async def expire(self, topic: str) -> Mapping[str, bytes]:
        return self._broker.expire(topic)

    async def members(self, topic: str) -> Mapping[str, bytes]:
        return self._broker.members(topic)
