"""The clocks of one connection: a peer that is silent, and one that never says who it is."""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakKeyDictionary

from wsrequest.conf import Settings
from wsrequest.protocol.connection import Connection

#: A round is made this many times in a heartbeat, and at most so often.
ROUNDS = 32
SHORTEST_ROUND = 0.01


class Rounds:
    """Looks after the heartbeats of all connections of one event loop, by one timer: a timer for each would cost more
    memory than everything else that a silent connection has here. A watch is late by a round at most. All is to be
    called on that loop, which is not kept here: it would live for ever."""

    __slots__ = ("_due", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[int, set[Watch]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watch: Watch, when: float) -> int:
        """Let the watch look in the first round after this time. Returns the round's number, to remove it by."""
        number = int(when / self._seconds) + 1
        self._due.setdefault(number, set()).add(watch)
        self._plan()
        return number

    def remove(self, watch: Watch, number: int) -> None:
        """Forget about it, where its round has not come."""
        due = self._due.get(number)
        if due is not None:
            due.discard(watch)
            if not due:
                del self._due[number]
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self) -> None:
        if self._due and self._timer is None:
            loop = asyncio.get_running_loop()
            number = int(loop.time() / self._seconds) + 1
            self._timer = loop.call_at(number * self._seconds, self._make)

    def _make(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        present = int(loop.time() / self._seconds)
        for number in [number for number in self._due if number <= present]:
            for watch in self._due.pop(number):
                loop.call_soon(watch.look)
        self._plan()


_rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, Rounds]] = WeakKeyDictionary()


def rounds_of(loop: asyncio.AbstractEventLoop, heartbeat: float) -> Rounds:
    """The loop's rounds for connections with this heartbeat."""
    seconds = max(heartbeat / ROUNDS, SHORTEST_ROUND)
    here = _rounds.setdefault(loop, {})
    if seconds not in here:
        here[seconds] = Rounds(seconds)
    return here[seconds]


class Owner(Protocol):
    """Whose clocks they are."""

    def close(self, code: int) -> None:
        """Close the connection with this code."""


class Watch:
    """Closes a connection whose peer is silent for two heartbeats (4201), or has no user for IDLE_ANONYMOUS_TIMEOUT
    (4011)."""

    __slots__ = (
        "_anonymous",
        "_connection",
        "_end",
        "_idle",
        "_loop",
        "_owner",
        "_round",
        "_rounds",
        "_sending_since",
        "_settings",
        "listening",
    )

    def __init__(self, connection: Connection, settings: Settings, owner: Owner) -> None:
        """To be made on the running loop."""
        self._connection = connection
        self._settings = settings
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._rounds: Rounds | None = None
        self._round = 0
        self._idle: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._anonymous = True
        #: Whether this side waits for the peer's next frame.
        self.listening = False
        # When the frame that is being sent was begun, on the loop's clock.
        self._sending_since: float | None = None

    def start(self) -> None:
        """The connection is open."""
        deadline, heartbeat = self._connection.deadline(), self._settings.ping_interval
        if deadline is not None and heartbeat is not None:
            self._rounds = rounds_of(self._loop, heartbeat)
            self._round = self._rounds.add(self, deadline)
        self._plan_idle()

    def stop(self) -> None:
        """The connection is gone."""
        if self._rounds is not None:
            self._rounds.remove(self, self._round)
            self._rounds = None
        for timer in (self._idle, self._end):
            if timer is not None:
                timer.cancel()

    def sending(self) -> None:
        """A frame is being sent."""
        self._sending_since = self._loop.time()

    def sent(self) -> None:
        """The peer, or what is between, has taken it."""
        self._sending_since = None

    def close_within(self, seconds: float, code: int) -> None:
        """Close after so many seconds, if it is still open."""
        self._end = self._loop.call_later(seconds, self._owner.close, code)

    def user_is_known(self, known: bool) -> None:
        """The connection has a user, or has none any more."""
        self._anonymous = not known
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._plan_idle()

    def _plan_idle(self) -> None:
        timeout = self._settings.idle_anonymous_timeout
        if self._anonymous and timeout is not None and self._idle is None:
            self._idle = self._loop.call_later(timeout, self._owner.close, 4011)

    def look(self) -> None:
        """The peer may have been silent for too long."""
        if self._rounds is None:
            return
        now = self._loop.time()
        if not self.listening and not self._stalled(now):
            # The peer may well have spoken: it is we who do not listen, being full.
            self._connection.heard(now)
        deadline = self._connection.deadline()
        if deadline is not None and deadline > now:
            self._round = self._rounds.add(self, deadline)
        else:
            self._owner.close(4201)

    def _stalled(self, now: float) -> bool:
        """Whether the peer has not taken a frame for so long that it counts as silent."""
        since, interval = self._sending_since, self._settings.ping_interval
        return since is not None and interval is not None and now - since >= 2 * interval
