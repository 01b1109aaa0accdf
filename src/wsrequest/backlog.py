"""The requests of one connection: which of them run, and which wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsrequest.exchange import Exchange
    from wsrequest.outbox import Outbox


class Backlog:
    """Requests with an id start as soon as there is room, those without one run one after the other.

    At most ``max_in_flight`` run at a time, and at most ``max_queued`` more wait here. None starts while the outbox is
    full: an answer must not be lost, so none is made for which there is no room.
    """

    def __init__(
        self,
        max_in_flight: int,
        max_queued: int,
        outbox: Outbox,
        start: Callable[[Exchange], None],
    ) -> None:
        """``start`` runs an exchange, and calls :meth:`finished` at its end."""
        self._max_in_flight = max_in_flight
        self._most = max_in_flight + max_queued
        self._outbox = outbox
        self._start = start
        self.running: set[Exchange] = set()
        self._by_id: dict[int | str, Exchange] = {}
        self._waiting: deque[Exchange] | None = None
        self._in_order: deque[Exchange] | None = None
        self._order_busy = False
        self._place: asyncio.Event | None = None

    @property
    def waiting(self) -> list[Exchange]:
        """Those that have not started."""
        return [*(self._in_order or ()), *(self._waiting or ())]

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
            self._by_id[key] = exchange
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(exchange)
        self.start()

    def start(self) -> None:
        """Start what may start."""
        while len(self.running) < self._max_in_flight and not self._outbox.full:
            if self._in_order and not self._order_busy:
                exchange = self._in_order.popleft()
                self._order_busy = True
            elif self._waiting:
                exchange = self._waiting.popleft()
            else:
                return
            self.running.add(exchange)
            self._a_place_is_free()
            self._start(exchange)

    async def place_free(self) -> None:
        """Wait while as many requests are running and waiting as may be."""
        while self._count() >= self._most:
            if self._place is None:
                self._place = asyncio.Event()
            self._place.clear()
            await self._place.wait()

    def _count(self) -> int:
        return len(self.running) + len(self._waiting or ()) + len(self._in_order or ())

    def withdraw(self, exchange: Exchange) -> bool:
        """Take a request out of the queue; False where it does not wait there."""
        queue = self._in_order if exchange.message.id is None else self._waiting
        if not queue or exchange not in queue:
            return False
        queue.remove(exchange)
        self._a_place_is_free()
        return True

    def answered(self, exchange: Exchange) -> None:
        """The exchange's id may be used again."""
        if exchange.message.id is not None:
            self._by_id.pop(exchange.message.id, None)

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""
        self.running.discard(exchange)
        if exchange.message.id is None:
            self._order_busy = False
        self._a_place_is_free()
        self.start()

    def discard(self) -> None:
        """Forget what waits: nobody will read its answer."""
        self._waiting = self._in_order = None
        self._a_place_is_free()

    def _a_place_is_free(self) -> None:
        if self._place is not None:
            self._place.set()
