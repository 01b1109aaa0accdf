"""The GETs of subscriptions, run again: to see whether they still may, and what the url answers now.

Subscriptions whose answers can't differ form an *audience*: one GET does for all of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import NamedTuple, Protocol

from wsrequest.lifecycle.response import Reply


class Question(NamedTuple):
    """A GET, and who may share its answer."""

    #: What the answer can depend on.
    audience: Hashable
    #: Runs it: the very GET that was asked for, whoever the asker is by then.
    ask: Callable[[], Awaitable[Reply]]


class Asker(Protocol):
    """A subscription."""

    def question(self) -> Question:
        """Its GET, as of now."""

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

    def __init__(self, places: asyncio.Semaphore, interval: Callable[[], float]) -> None:
        """``places``: for GETs that run at once. ``interval``: seconds after which an audience is asked for again."""
        self._places = places
        self._interval = interval
        self._waiting: dict[Hashable, asyncio.Task[Reply]] = {}
        self._audiences: dict[Hashable, _Audience] = {}
        self._audience_of: dict[Asker, Hashable] = {}
        self._checks: set[asyncio.Task[None]] = set()

    async def get(self, asker: Asker) -> Reply:
        """What the url answers, asked for after this was called; once for all that wait for the same."""
        return await self._get(asker.question())

    async def _get(self, question: Question) -> Reply:
        run = self._waiting.get(question.audience)
        if run is None:
            run = self._waiting[question.audience] = asyncio.create_task(self._run(question))
        return await asyncio.shield(run)

    async def _run(self, question: Question) -> Reply:
        async with self._places:
            # Who comes from here on might get an answer that is too old.
            del self._waiting[question.audience]
            return await question.ask()

    def watch(self, asker: Asker) -> None:
        """Ask for it from time to time, until :meth:`forget`."""
        self._enter(asker, asker.question().audience)

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
        self._ask_for(self._audiences.pop(key).members)

    def _ask_for(self, askers: Iterable[Asker]) -> None:
        """Ask for these now, and from time to time."""
        groups: dict[Hashable, tuple[Question, list[Asker]]] = {}
        for asker in askers:
            question = asker.question()  # the cookies of some may have changed
            groups.setdefault(question.audience, (question, []))[1].append(asker)
        for audience, (question, members) in groups.items():
            for asker in members:
                self._enter(asker, audience)
            check = asyncio.create_task(self._check(question, members))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, question: Question, members: list[Asker]) -> None:
        reply = await self._get(question)
        changed = []
        for asker in members:
            if asker not in self._audience_of:
                continue  # it is over
            if asker.question().audience == question.audience:
                asker.judge(reply)
            else:  # it has become somebody else meanwhile, who is not to be judged by this
                self.forget(asker)
                changed.append(asker)
        self._ask_for(changed)
