"""Who begins next on the event loop: where several connections ask for asynchronous views, they take turns.

A pool's threads take from each :class:`~wsrequest.lifecycle.threads.Lane` in turn. The loop has no such choice: it runs
whatever is ready, and a connection with MAX_IN_FLIGHT requests would have so many steps in each round of it. So where
others have asked for something, too, a connection begins one such request in a round.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wsrequest.lifecycle.threads import Lane

#: Requests of a lane that run before it has to take turns.
AT_ONCE = 2

#: Seconds for which a lane counts as there after it has asked for something, even for what threads do.
PRESENT = 0.1


class Turns:
    """The turns of one event loop. Everything is called on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last: Lane | None = None
        self._changed = -PRESENT
        #: How many requests each lane has that wait here or run.
        self._requests: dict[Lane, int] = {}
        self._waiting: dict[Lane, deque[Callable[[], None]]] = {}

    @property
    def contended(self) -> bool:
        """Whether several lanes have asked for something of late. Any thread may ask that."""
        return self._loop.time() - self._changed <= PRESENT

    def asks(self, lane: Lane | None) -> None:
        """The lane has a request, of whatever kind."""
        if lane is not self._last and lane is not None:
            if self._last is not None:
                self._changed = self._loop.time()
            self._last = lane

    def begin(self, lane: Lane | None, start: Callable[[], None]) -> None:
        """Call ``start``: at once, or when it is the lane's turn; :meth:`ended` is to be called once for each. Those of
        one lane keep their order."""
        if lane is None:
            start()
            return
        requests = self._requests.get(lane, 0)
        self._requests[lane] = requests + 1
        if lane in self._waiting:
            self._waiting[lane].append(start)
        elif requests < AT_ONCE or not self.contended:
            start()
        else:
            if not self._waiting:
                self._loop.call_soon(self._take)
            self._waiting[lane] = deque((start,))

    def ended(self, lane: Lane | None) -> None:
        """A request of this lane runs no more."""
        if lane is not None:
            self._requests[lane] -= 1
            if not self._requests[lane]:
                del self._requests[lane]

    def _take(self) -> None:
        for lane, starts in list(self._waiting.items()):
            start = starts.popleft()
            if not starts:
                del self._waiting[lane]
            start()
        if self._waiting:
            self._loop.call_soon(self._take)
