"""The requests of one connection: which of them run, and which wait."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from wsrequest.session.exchange import Exchange
    from wsrequest.session.outbox import Outbox


#: Of an idle connection, which has no set and no dict of its own.
_NONE: Any = frozenset()
_NO_IDS: Any = MappingProxyType({})


class Owner(Protocol):
    """Whose requests they are."""

    def start(self, exchange: Exchange) -> None:
        """Run it, and call :meth:`Backlog.finished` at its end."""


class Backlog:
    """Requests with an id start as soon as there is room, those without one run one after the other.

    At most ``max_in_flight`` run at a time, and at most ``max_queued`` more wait here. None starts while the outbox is
    full: an answer must not be lost, so none is made for which there is no room.

    Answers without an id can be told apart by their order only. One that is there before its turn (a refusal, a request
    that timed out in the queue) waits here for those before it.
    """

    __slots__ = (
        "_by_id",
        "_in_order",
        "_max_in_flight",
        "_most",
        "_order_busy",
        "_outbox",
        "_owner",
        "_place",
        "_speaking",
        "_waiting",
        "running",
    )

    def __init__(
        self,
        max_in_flight: int,
        max_queued: int,
        outbox: Outbox,
        owner: Owner,
    ) -> None:
        self._max_in_flight = max_in_flight
        self._most = max_in_flight + max_queued
        self._outbox = outbox
        self._owner = owner
        self.running: set[Exchange] = _NONE
        self._by_id: dict[int | str, Exchange] = _NO_IDS
        self._waiting: deque[Exchange] | None = None
        # Requests that wait to run, and among them answers that wait for their turn.
        self._in_order: deque[Exchange | bytes] | None = None
        self._order_busy = False
        # The request without an id that runs and was not answered yet; nothing without an id is said before it was.
        self._speaking: Exchange | None = None
        self._place: asyncio.Event | None = None

    @property
    def waiting(self) -> list[Exchange]:
        """Those that have not started."""
        in_order = (entry for entry in self._in_order or () if not isinstance(entry, bytes))
        return [*in_order, *(self._waiting or ())]

    @property
    def empty(self) -> bool:
        return not (self.running or self._in_order or self._waiting)

    def get(self, id: int | str) -> Exchange | None:
        """The exchange that has this id, until its answer was given."""
        return self._by_id.get(id)

    def add(self, exchange: Exchange) -> None:
        """Take up a request, and start what may start."""
        key = exchange.message.id
        if key is None:
            if self._in_order is None:
                self._in_order = deque()
            self._in_order.append(exchange)
        else:
            self._by_id = self._by_id or {}
            self._by_id[key] = exchange
            if not (self._waiting or self._in_order) and self._has_room:
                self._run(exchange)
                return
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(exchange)
        self.begin()

    def begin(self) -> None:
        """Start what may start."""
        while (self._waiting or self._in_order) and self._has_room:
            if self._in_order and not self._order_busy:
                # Not an answer: those that wait here wait for one that runs, or stand behind one that is to run.
                exchange = self._speaking = cast("Exchange", self._in_order.popleft())
                self._order_busy = True
            elif self._waiting:
                exchange = self._waiting.popleft()
            else:
                return
            self._a_place_is_free()
            self._run(exchange)

    @property
    def _has_room(self) -> bool:
        return len(self.running) < self._max_in_flight and not self._outbox.full

    def _run(self, exchange: Exchange) -> None:
        self.running = self.running or set()
        self.running.add(exchange)
        self._owner.start(exchange)

    @property
    def full(self) -> bool:
        """Whether as many requests are running and waiting as may be."""
        return self._count() >= self._most

    async def place_free(self) -> None:
        """Wait while it is full."""
        while self.full:
            if self._place is None:
                self._place = asyncio.Event()
            self._place.clear()
            await self._place.wait()

    def _count(self) -> int:
        return len(self.running) + len(self._waiting or ()) + len(self._in_order or ())

    async def say(self, message: bytes) -> None:
        """Send an answer without an id that no request gave, when its turn has come. Returns when it has a place."""
        if self._speaking is not None or self._in_order:
            await self.place_free()
        if self._in_order is None:
            self._in_order = deque()
        self._in_order.append(message)
        self._speak()

    def answered(self, exchange: Exchange, message: bytes) -> None:
        """Send the last message of an exchange. Its id may be used again."""
        key = exchange.message.id
        if key is not None:
            if key in self._by_id:
                del self._by_id[key]
            self._outbox.put(message)
        elif exchange is self._speaking or not self._in_order:
            self._speaking = None
            self._outbox.put(message)
            self._speak()
        else:  # it gave up before its turn came
            self._in_order[self._in_order.index(exchange)] = message
            self._speak()

    def _speak(self) -> None:
        """Send the answers whose turn has come."""
        queue = self._in_order
        while queue and self._speaking is None and isinstance(message := queue[0], bytes):
            queue.popleft()
            self._outbox.put(message)
            self._a_place_is_free()

    def withdraw(self, exchange: Exchange) -> None:
        """Whoever was answered while he waited need not run any more."""
        if exchange.message.id is not None and self._waiting and exchange in self._waiting:
            self._waiting.remove(exchange)
            self._a_place_is_free()

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""
        if exchange in self.running:
            self.running.remove(exchange)
        if exchange.message.id is None:
            self._order_busy = False
        self._a_place_is_free()
        if self._waiting or self._in_order:
            self.begin()
        elif (
            not self.running
        ):  # idle, perhaps for hours: an empty deque, set or dict keeps its memory
            self.running, self._by_id = _NONE, self._by_id or _NO_IDS
            self._waiting = self._in_order = None

    def discard(self) -> list[Exchange]:
        """Forget what waits: nobody will read its answer."""
        forgotten = self.waiting
        self._waiting = self._in_order = None
        self._a_place_is_free()
        return forgotten

    def _a_place_is_free(self) -> None:
        if self._place is not None:
            self._place.set()
