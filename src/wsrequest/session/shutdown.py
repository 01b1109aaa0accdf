"""The end of a process: its connections are told, what is under way may finish, and only then the server stops.

ASGI has no word for that. ``lifespan.shutdown`` comes when most servers have cut their WebSockets already, and some
never send it. What all of them understand is SIGTERM. So :class:`Shutdown` stands before the server's own handler: it
holds the signal back, lets :func:`drain` do its work, and hands it on. The server then stops as it always does.
Hypercorn's workers hear of the end in a way of their own, which is watched, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from wsrequest.conf import get_settings
from wsrequest.push.presence import is_all_said
from wsrequest.session.registry import Member, registry

logger = logging.getLogger("wsrequest")

#: How many clients are asked to come back in a second, and the seconds that none has to wait longer than.
RETURNS_PER_SECOND = 200
LONGEST_DELAY = 30.0

#: Seconds that connections have to say their last words, once they were cut short.
LAST_WORDS_TIME = 5.0

#: Seconds between two looks at which connections are left. They may live on several loops, so none of these can tell.
STEP = 0.02

#: Seconds in which the last bytes leave the process: no server says when they have.
FLUSH_TIME = 0.1


async def drain(members: set[Member], hurry: asyncio.Event | None = None) -> None:
    """Tell these connections to go, each with a delay of its own; wait up to GRACE_TIME, or until ``hurry`` is set, for
    what is under way on them, then cut short what is left. Returns when they are gone, or don't go."""
    if not members:
        return
    spread = min(len(members) / RETURNS_PER_SECOND, LONGEST_DELAY)
    logger.info("Shutting down: %d connection(s) are to go", len(members))
    for member in members:
        _on_its_loop(member, member.go_away, random.uniform(0, spread))  # noqa: S311 (no secret)
    left = await _left_after(members, get_settings().grace_time, hurry)
    if left:
        logger.warning("Shutting down: %d connection(s) are cut short", len(left))
        for member in left:
            _on_its_loop(member, member.cut_short)
        await _left_after(left, LAST_WORDS_TIME)
    await _until_said(hurry)
    await asyncio.sleep(FLUSH_TIME)


def _on_its_loop(member: Member, callback: Callable[..., object], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody is there any more
        member.loop.call_soon_threadsafe(callback, *args)


async def _left_after(
    members: set[Member], seconds: float, hurry: asyncio.Event | None = None
) -> set[Member]:
    """Those that are still there after so many seconds; returns at once when none is."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while (left := members & registry.members) and clock() < end:
        if hurry is not None and hurry.is_set():
            break
        await asyncio.sleep(STEP)
    return left


async def _until_said(hurry: asyncio.Event | None) -> None:
    """Wait until the other processes know that nobody is here any more, so that they don't have to find out."""
    clock = asyncio.get_running_loop().time
    end = clock() + LAST_WORDS_TIME
    while not is_all_said() and clock() < end:
        if hurry is not None and hurry.is_set():
            break
        await asyncio.sleep(STEP)


class Shutdown:
    """Holds SIGTERM back until the connections of the process are drained. A second one is handed on at once, and cuts
    them short meanwhile.

    The server's handler may be of two kinds, and neither notices: a function given to ``signal.signal``, in whose place
    ours stands meanwhile; or a callback of the event loop, which hears of signals by the file descriptor of
    ``signal.set_wakeup_fd``. Where there is one, ours stands in its place, too, and passes all other signals on.

    Only Python's main thread may do this; elsewhere nothing happens, and the connections are left to
    ``lifespan.shutdown``. SIGINT is left alone: who presses Ctrl+C is waiting.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._server: Any = None
        self._wakeup: _Wakeup | None = None
        self._held = False
        self._hurry: asyncio.Event | None = None
        self._drain: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Stand before the handler that is there. To be called for each connection, on its loop: it does something for
        the first one only."""
        if self._loop is not None and not self._loop.is_closed():
            return
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return
        server = signal.getsignal(signal.SIGTERM)
        if server is None or server is signal.SIG_IGN:  # not Python's; not wanted
            return
        if server != self._on_signal:  # it is, where an earlier loop has ended
            self._server = server
        if self._wakeup is not None:
            self._wakeup.close()
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._held = registry.closed = False
        self._hurry, self._drain = asyncio.Event(), None
        signal.signal(signal.SIGTERM, self._on_signal)
        self._wakeup = _Wakeup(self._loop)
        self._watch_hypercorn(self._loop)

    async def lifespan_ends(self) -> None:
        """The server on this loop stops, and waits for us: drain the connections that it has left open."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            await drain({member for member in registry.members if member.loop is loop})
            return
        self._step_aside()
        if self._drain is None:
            await drain({member for member in registry.members if member.loop is loop})
        else:
            await self._drain
        self._loop = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # Forked from this one, with our handler and the loop's file descriptor: that one stays out of it.
            self._put_back()
            signal.raise_signal(signal.SIGTERM)
            return
        first, self._held = not self._held, True
        registry.closed = True
        if self._loop is None or self._hurry is None or not self._loop.is_running():
            self._hand_on()
        elif first and registry.members:
            self._loop.call_soon_threadsafe(self._begin)
        else:
            self._loop.call_soon_threadsafe(self._hurry.set)
            self._hand_on()

    def _watch_hypercorn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Its workers get no signal: a task of theirs waits for an event of the main process, and ends. From then on
        the worker waits for its connections, which know nothing of it; from Python 3.12.1 on it waits for ever."""
        for task in asyncio.all_tasks(loop):
            if getattr(task.get_coro(), "__qualname__", "") == "raise_shutdown":
                task.add_done_callback(self._begin)

    def _begin(self, _: object = None) -> None:
        if self._drain is None:
            self._drain = asyncio.ensure_future(self._drain_all())

    async def _drain_all(self) -> None:
        try:
            await drain(set(registry.members), self._hurry)
        except Exception:
            logger.exception("Shutting down: the connections could not be drained")
        if self._held:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let the server's own handler have the signal."""
        if self._step_aside():
            signal.raise_signal(signal.SIGTERM)

    def _step_aside(self) -> bool:
        """Put everything back. False where we don't stand there any more."""
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        return self._put_back()

    def _put_back(self) -> bool:
        if signal.getsignal(signal.SIGTERM) != self._on_signal:
            return False
        signal.signal(signal.SIGTERM, self._server)
        return True


#: The process's own.
shutdown = Shutdown()


class _Wakeup:
    """Stands between Python and a loop that hears of signals by a file descriptor: holds SIGTERM back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reading = self._writing = -1
        self._server = signal.set_wakeup_fd(-1)
        if self._server != -1:
            self._reading, self._writing = os.pipe()
            os.set_blocking(self._reading, False)
            os.set_blocking(self._writing, False)
            loop.add_reader(self._reading, self._pass_on)
            signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def _pass_on(self) -> None:
        numbers = os.read(self._reading, 4096)
        if others := bytes(number for number in numbers if number != signal.SIGTERM):
            with contextlib.suppress(OSError):  # nobody listens any more
                os.write(self._server, others)

    def close(self) -> None:
        """Put the loop's own descriptor back, unless somebody else has put one there."""
        if self._server == -1:
            return
        there = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(
            self._server if there == self._writing else there, warn_on_full_buffer=False
        )
        if self._loop.is_closed():
            self._close_pipe()
        else:
            # Not here: a signal's handler may be in the middle of anything.
            self._loop.call_soon_threadsafe(self._leave_loop)

    def _leave_loop(self) -> None:
        self._loop.remove_reader(self._reading)
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._reading)
        os.close(self._writing)
