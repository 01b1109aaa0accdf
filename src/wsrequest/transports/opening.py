"""What every transport needs: sessions opened on the running loop, and an inbox for libraries that bring each frame.

A transport makes a :class:`~wsrequest.protocol.handshake.Handshake` of what its library knows, and::

    try:
        session = await open_session(handshake, transport)
    except HandshakeRefused as refusal:
        ...  # say so: refusal.status and str(refusal), or refusal.close_code
    else:
        ...  # accept; session.subprotocol is the one that was chosen
        await session.run()

Where it can't accept, or does not come to await ``session.run()``, it calls ``session.leave()``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections import deque
from collections.abc import Mapping
from typing import Any

from wsrequest.conf import Settings, get_settings
from wsrequest.errors import HandshakeRefused, PathUnknown
from wsrequest.lifecycle.runner import PoolRunner, worker_pool
from wsrequest.lifecycle.trust import path_below_prefix
from wsrequest.lifecycle.views import any_view_is_async
from wsrequest.metrics import metrics_in_force
from wsrequest.protocol.handshake import Handshake
from wsrequest.push.brokers import broker_of
from wsrequest.session.observer import tell_of_refusal
from wsrequest.session.session import Session
from wsrequest.session.shutdown import shutdown
from wsrequest.session.switchboard import Switchboard, close_switchboard, switchboard_of
from wsrequest.session.transport import Transport

#: Frames, and bytes, with which an :class:`Inbox` is full. A session takes each frame as it comes, until MAX_QUEUED
#: requests wait.
INBOX_FRAMES = 128
INBOX_BYTES = 4 * 1024 * 1024


async def open_session(
    handshake: Handshake,
    transport: Transport,
    *,
    path: str | None = None,
    state: Mapping[str, Any] | None = None,
    heartbeats: bool = True,
) -> Session:
    """A session that may run: Host, Origin, limits and the project's hook have nothing against it.

    ``path``: the one, without the script prefix, that the handshake must have; None where the library has routed it.
    ``state``: what ``request.websocket.state`` begins with, for the hook, too. ``heartbeats``: False where the library
    has its own, and hangs up by itself on who does not answer them.
    Raises :class:`~wsrequest.errors.HandshakeRefused`, which was logged and counted.
    """
    runner = await _runner_here()
    settings, session = get_settings(), None
    try:
        if path is not None and path_below_prefix(handshake.path, handshake.root_path) != path:
            raise PathUnknown
        session = Session(
            handshake, transport, runner, settings if heartbeats else _without_heartbeats(settings)
        )
        session.websocket.state.update(state or {})
        await session.open()
    except BaseException as error:
        if session is not None:
            session.leave()
        if isinstance(error, HandshakeRefused):
            tell_of_refusal(None if session is None else session.id, error, handshake, settings)
        raise
    return session


async def switchboard_here() -> Switchboard:
    """What the connections of the running loop share."""
    return switchboard_of(await _runner_here())


async def loop_ends() -> None:
    """The server on this loop stops: drain the connections that it has left, and give back what brokers are heard by.

    For transports whose library says when. SIGTERM is seen to without it.
    """
    await shutdown.lifespan_ends()
    runner = _runners.pop(asyncio.get_running_loop(), None)
    if runner is not None:
        await close_switchboard(runner)


async def _runner_here() -> PoolRunner:
    """That of the running loop: whatever carries its connections, they share one."""
    loop, pool = asyncio.get_running_loop(), worker_pool()
    runner = _runners.get(loop)
    if runner is None or runner.pool is not pool:
        await asyncio.to_thread(_load)
        for other in [other for other in _runners if other.is_closed()]:
            del _runners[other]
        # The first connection on this loop. The server has its signal handlers by now.
        shutdown.watch()
        runner = _runners.get(loop)  # another one may have been as early
        if runner is None or runner.pool is not pool:
            runner = _runners[loop] = PoolRunner(pool, loop)
    return runner


@functools.lru_cache(maxsize=1)
def _without_heartbeats(settings: Settings) -> Settings:
    return dataclasses.replace(settings, ping_interval=None)


_runners: dict[asyncio.AbstractEventLoop, PoolRunner] = {}


def _load() -> None:
    """Import the URLconf, and every view with it, what measures, and the brokers: left to the first request, it would
    hold up the loop."""
    any_view_is_async()
    settings = get_settings()
    metrics_in_force(settings)
    for alias in settings.brokers:
        broker_of(alias)


class Inbox:
    """The half of a :class:`~wsrequest.session.transport.Transport` that hears, for libraries that call for each frame:
    a base class. All is to be called on the connection's loop."""

    def __init__(self) -> None:
        self.peer_code: int | None = None
        self._frames: deque[str | bytes] = deque()
        self._size = 0
        self._gone = False
        self._heard: asyncio.Event | None = None
        self._taken: asyncio.Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether the peer is gone."""
        return self._gone

    @property
    def is_full(self) -> bool:
        """Whether no more frames are taken for the time being."""
        return len(self._frames) >= INBOX_FRAMES or self._size >= INBOX_BYTES

    def put(self, *frames: str | bytes) -> bool:
        """Take a frame, or those that came at once. False where the inbox is full, and none was taken: a library that
        can make its peer wait awaits :meth:`room` first, for any other one the peer floods (close with 4029)."""
        if self.is_full:
            return False
        self._frames.extend(frames)
        self._size += sum(map(len, frames))
        _ring(self._heard)
        return True

    async def room(self) -> None:
        """Wait until there is room for a frame, or nobody takes any more."""
        while self.is_full and not self._gone:
            self._taken = self._taken or asyncio.Event()
            self._taken.clear()
            await self._taken.wait()

    def hang_up(self, code: int | None = None) -> None:
        """The peer is gone, with this close code. What it had sent before is still taken up."""
        self._gone = True
        self.peer_code = code
        _ring(self._heard)
        _ring(self._taken)

    async def receive(self) -> str | bytes | None:
        while not self._frames and not self._gone:
            self._heard = self._heard or asyncio.Event()
            self._heard.clear()
            await self._heard.wait()
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._size -= len(frame)
        _ring(self._taken)
        return frame

    def frame_in(self, heard: str | bytes | None) -> str | bytes | None:
        return heard


def _ring(event: asyncio.Event | None) -> None:
    if event is not None:
        event.set()
