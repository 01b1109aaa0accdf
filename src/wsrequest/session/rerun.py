"""The GETs of subscriptions, run again: to see whether they still may, and what the url answers now.

Subscriptions whose answers can't differ form an *audience*: one GET does for all of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable
from typing import Protocol

from wsrequest.lifecycle.response import Reply


class Asker(Protocol):
    """A subscription."""

    @property
    def audience(self) -> Hashable:
        """What its answer can depend on."""

    async def ask(self) -> Reply:
        """Run its GET now."""

    def judge(self, reply: Reply) -> bool:
        """This is what its url answers now: whether the subscription goes on."""


class _Audience:
    """Those that are asked for together, from time to time."""

    __slots__ = ("members", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.members: set[Asker] = set()
        self.timer = timer


class Reruns:
    """One for each event loop: so many GETs run at once, that requests have threads left."""

    def __init__(self, places: int, interval: Callable[[], float]) -> None:
        """``places``: GETs that run at once. ``interval``: seconds after which an audience is asked for again."""
        self._places = asyncio.Semaphore(places)
        self._interval = interval
        self._waiting: dict[Hashable, asyncio.Task[Reply]] = {}
        self._audiences: dict[Hashable, _Audience] = {}
        self._audience_of: dict[Asker, Hashable] = {}
        self._checks: set[asyncio.Task[None]] = set()

    async def get(self, asker: Asker) -> Reply:
        """What the url answers, asked for after this was called; once for all that wait for the same."""
        audience = asker.audience
        run = self._waiting.get(audience)
        if run is None:
            run = self._waiting[audience] = asyncio.create_task(self._run(audience, asker))
        return await asyncio.shield(run)

    async def _run(self, audience: Hashable, asker: Asker) -> Reply:
        async with self._places:
            del self._waiting[
                audience
            ]  # who comes from here on might get an answer that is too old
            return await asker.ask()

    def watch(self, asker: Asker) -> None:
        """Ask for it from time to time, until :meth:`forget`."""
        self._enter(asker, asker.audience)

    def _enter(self, asker: Asker, key: Hashable) -> None:
        audience = self._audiences.get(key)
        if audience is None:
            # Not all that came together, as after a deploy, are asked for together.
            pause = self._interval() * random.uniform(0.5, 1)  # noqa: S311 (no secret)
            loop = asyncio.get_running_loop()
            audience = self._audiences[key] = _Audience(loop.call_later(pause, self._due, key))
        audience.members.add(asker)
        self._audience_of[asker] = key

    def forget(self, asker: Asker) -> None:
        """It is over."""
        key = self._audience_of.pop(asker, None)
        audience = self._audiences.get(key)
        if audience is not None:
            audience.members.discard(asker)
            if not audience.members:
                audience.timer.cancel()
                del self._audiences[key]

    def _due(self, key: Hashable) -> None:
        groups: dict[Hashable, list[Asker]] = {}
        for asker in self._audiences.pop(key).members:
            groups.setdefault(asker.audience, []).append(asker)  # its cookies may have changed
        for audience, members in groups.items():
            for asker in members:
                self._enter(asker, audience)
            check = asyncio.create_task(self._check(members))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, members: list[Asker]) -> None:
        reply = await self.get(members[0])
        for asker in members:
            asker.judge(reply)
