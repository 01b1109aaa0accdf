"""Who begins next: where several connections ask for something, none of them keeps the process to itself.

A pool's threads take from each :class:`~wsrequest.lifecycle.threads.Lane` in turn. The event loop has no such choice:
it runs whatever is ready, and a connection with MAX_IN_FLIGHT asynchronous requests would have so many steps in each
round of it; with so many synchronous ones it would keep the threads so busy that the loop hardly runs at all. So where
others have asked for something, too, a connection has few *young* requests at a time, and the next begins when the loop
has heard of the end of one. A request that is not young any more waits for something else, most likely, and is in
nobody's way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wsrequest.lifecycle.threads import Lane

#: Young requests of a lane that run at a time, before the next has to wait.
AT_ONCE = 2

#: Seconds for which a request is young.
YOUNG = 0.01

#: Seconds for which a lane counts as there after it has asked for something, even for what threads do.
PRESENT = 0.1


class Turn:
    """That of a request which began beside others'; :meth:`Turns.ended` gives it back."""

    __slots__ = ("ages", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        #: Set while the request is young.
        self.ages: asyncio.TimerHandle | None = None


#: What begins a request: it is given the turn, where there is one.
Start = Callable[[Turn | None], None]


class Turns:
    """The turns of one event loop. Everything is called on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last: Lane | None = None
        self._changed = -PRESENT
        self._young: dict[Lane, int] = {}
        self._waiting: dict[Lane, deque[Start]] = {}

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

    def alone(self, lane: Lane | None) -> bool:
        """Whether a request of this lane may begin without a turn, and without waiting for one."""
        return not self.contended and lane not in self._waiting

    def begin(self, lane: Lane | None, start: Start) -> None:
        """Call ``start``: at once, or when it is the lane's turn. Those of one lane keep their order."""
        if lane is None or self.alone(lane):
            start(None)
        elif lane in self._waiting:
            self._waiting[lane].append(start)
        elif self._young.get(lane, 0) < AT_ONCE:
            self._start(lane, start)
        else:
            self._waiting[lane] = deque((start,))

    def ended(self, turn: Turn | None) -> None:
        """The request runs no more."""
        if turn is not None and turn.ages is not None:
            turn.ages.cancel()
            self._aged(turn)

    def _start(self, lane: Lane, start: Start) -> None:
        turn = Turn(lane)
        turn.ages = self._loop.call_later(YOUNG, self._aged, turn)
        self._young[lane] = self._young.get(lane, 0) + 1
        start(turn)

    def _aged(self, turn: Turn) -> None:
        """The request is young no more: another of its lane may begin."""
        lane = turn.lane
        turn.ages = None
        self._young[lane] -= 1
        if not self._young[lane]:
            del self._young[lane]
        waiting = self._waiting.get(lane)
        while waiting:
            alone = not self.contended  # the others are gone, perhaps
            if not alone and self._young.get(lane, 0) >= AT_ONCE:
                break
            start = waiting.popleft()
            if not waiting:
                del self._waiting[lane]
            if alone:
                start(None)
            else:
                self._start(lane, start)
