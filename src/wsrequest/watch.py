"""The clocks of one connection: a peer that is silent, and one that never says who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsrequest.conf import Settings
from wsrequest.protocol.connection import Connection


class Watch:
    """Closes a connection whose peer is silent for two heartbeats (4201), or has no user for IDLE_ANONYMOUS_TIMEOUT
    (4011)."""

    __slots__ = (
        "_anonymous",
        "_close",
        "_connection",
        "_end",
        "_heartbeat",
        "_idle",
        "_loop",
        "_settings",
        "listening",
        "sending_since",
    )

    def __init__(
        self, connection: Connection, settings: Settings, close: Callable[[int], None]
    ) -> None:
        """To be made on the running loop; ``close`` is given the close code."""
        self._connection = connection
        self._settings = settings
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._anonymous = True
        #: Whether this side waits for the peer's next frame.
        self.listening = False
        #: When the frame that is being sent was begun, on the loop's clock.
        self.sending_since: float | None = None

    def start(self) -> None:
        """The connection is open."""
        self._plan_heartbeat()
        self._plan_idle()

    def stop(self) -> None:
        """The connection is gone."""
        for timer in (self._heartbeat, self._idle, self._end):
            if timer is not None:
                timer.cancel()

    def close_within(self, seconds: float, code: int) -> None:
        """Close after so many seconds, if it is still open."""
        self._end = self._loop.call_later(seconds, self._close, code)

    def user_is_known(self, known: bool) -> None:
        """The connection has a user, or has none any more."""
        self._anonymous = not known
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._plan_idle()

    def _plan_idle(self) -> None:
        timeout = self._settings.idle_anonymous_timeout
        if self._anonymous and timeout is not None:
            self._idle = self._loop.call_later(timeout, self._close, 4011)

    def _plan_heartbeat(self) -> None:
        deadline = self._connection.deadline()
        if deadline is not None:
            self._heartbeat = self._loop.call_at(deadline, self._check_heartbeat)

    def _check_heartbeat(self) -> None:
        now = self._loop.time()
        if not self.listening and not self._stalled(now):
            # The peer may well have spoken: it is we who do not listen, being full.
            self._connection.heard(now)
        if (self._connection.deadline() or 0) > now:
            self._plan_heartbeat()
        else:
            self._close(4201)

    def _stalled(self, now: float) -> bool:
        """Whether the peer has not taken a frame for so long that it counts as silent."""
        since, interval = self.sending_since, self._settings.ping_interval
        return since is not None and interval is not None and now - since >= 2 * interval
