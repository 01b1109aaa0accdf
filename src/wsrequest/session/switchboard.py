"""What the connections of one event loop share: the hub that hears of events, and what is said to connections."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakKeyDictionary

from wsrequest.conf import get_settings
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.livequery.queries import Queries
from wsrequest.push.hub import Hub
from wsrequest.push.publication import Dismissed, LiveAsked, Noticed, Posted, Word, Written
from wsrequest.session.registry import Member, registry
from wsrequest.session.reporting import Reporter
from wsrequest.session.rerun import Reruns
from wsrequest.session.writer import Writers


class Addressee(Protocol):
    """A connection whose frames may come to other processes."""

    def posted(self, word: Posted) -> None:
        """Take a frame that did."""


class Switchboard:
    """One for each event loop that has connections."""

    def __init__(self, runner: PoolRunner) -> None:
        loop = runner.loop
        #: What tells it from every other one, in any process.
        self.name = secrets.token_urlsafe(9)
        #: By key, the connections whose frames come one by one, and may come to other processes.
        self.posts: dict[str, Addressee] = {}
        # Half of the threads at most: requests must not wait for what nobody has asked for.
        places = asyncio.Semaphore(max(1, runner.pool.size // 2))
        self.reruns = Reruns(places, lambda: get_settings().reauthorize_interval)
        self.queries = Queries(loop, places, runner.call)
        self.hub = Hub(loop, self._heard, self.queries.all_changed)
        self.writers = Writers(loop)
        self._reporter = Reporter(loop, self.queries, self.hub)

    async def close(self) -> None:
        """Give back what brokers are heard by; the loop is about to end."""
        self.queries.close()
        await self._reporter.close()
        await self.queries.ears.close()
        await self.hub.close()

    def _heard(self, word: Word) -> None:
        if isinstance(word, Noticed):
            for member in self._members(word):
                member.tell(word.event, word.data)
        elif isinstance(word, Dismissed):
            for member in self._members(word):
                member.close(word.code)
        elif isinstance(word, Posted):
            if (post := self.posts.get(word.key)) is not None:
                post.posted(word)
        elif isinstance(word, Written):
            self.queries.ears.told(word.tables)
        elif isinstance(word, LiveAsked):
            self._reporter.answer(word)

    def _members(self, word: Noticed | Dismissed) -> Iterable[Member]:
        members: Iterable[Member]
        if word.connection is not None:
            member = registry.member(word.connection)
            members = () if member is None else (member,)
        elif word.user is not None:
            members = registry.of_user(word.user)
        else:
            members = registry.members
        return [member for member in tuple(members) if member.switchboard is self]


_switchboards: WeakKeyDictionary[PoolRunner, Switchboard] = WeakKeyDictionary()


async def close_switchboard(runner: PoolRunner) -> None:
    """The runner's event loop is about to end: hear no broker any more."""
    switchboard = _switchboards.pop(runner, None)
    if switchboard is not None:
        await switchboard.close()


def switchboard_of(runner: PoolRunner) -> Switchboard:
    """That of the runner's event loop; to be called there."""
    switchboard = _switchboards.get(runner)
    if switchboard is None:
        switchboard = _switchboards[runner] = Switchboard(runner)
    return switchboard
