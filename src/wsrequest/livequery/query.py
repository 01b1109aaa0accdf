"""A live GET and those who watch it: its audience."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Hashable
from typing import NamedTuple, Protocol

from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.touched import Varies
from wsrequest.livequery.answer import Answer
from wsrequest.livequery.look import Look
from wsrequest.push.rows import Tables

#: Seconds until a GET that failed (5xx) is run again.
RETRY = 1.0


class Watcher(Protocol):
    """A live subscription. All is called on its event loop, and must not raise."""

    #: What the client holds, as soon as it holds anything.
    state: Answer | None
    #: The least seconds between two runs; None for the setting's.
    min_interval: float | None

    @property
    def name(self) -> str:
        """The url, for people."""

    def bearing(self) -> Hashable:
        """The present credentials: while they are equal, so is what a GET of its own would bear."""

    def look(self, mark: int, *, rerun: bool) -> Look:
        """A GET of its own, with the present credentials; for :meth:`ask`."""

    def ask(self, look: Look) -> Awaitable[Reply]:
        """Run it."""

    def judge(self, reply: Reply) -> bool:
        """This is what its url answers now: whether the subscription goes on."""

    def show(self, answer: Answer) -> None:
        """This is what the client is to hold."""


class Place(NamedTuple):
    """What is known of a subscriber's place in an audience."""

    #: The credentials that it had when the place was found.
    bearing: Hashable
    #: The number of the last change that had been heard when the GET began by which it came.
    mark: int


class Query:
    """A GET and its audience."""

    __slots__ = (
        "answer",
        "answered",
        "dirty",
        "key",
        "members",
        "min_interval",
        "pause",
        "reads",
        "reruns",
        "saved",
        "started",
        "task",
        "timer",
        "varies",
    )

    def __init__(
        self, key: Hashable, varies: Varies, reads: Tables, answer: Answer, now: float
    ) -> None:
        self.key = key
        self.varies = varies
        self.reads = reads
        self.answer = answer
        self.members: dict[Watcher, Place] = {}
        self.min_interval = 0.0
        #: Whether what it read was written since its last run began.
        self.dirty = False
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        #: When the last run began, and when it was answered well, on the loop's clock.
        self.started = self.answered = now
        #: Seconds until the next run, after one that failed.
        self.pause = RETRY
        #: Its part in what :class:`~wsrequest.livequery.queries.Queries` counts.
        self.reruns = self.saved = 0
