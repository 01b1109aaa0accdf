"""Processes that share a broker, all of them on the test's own loop; the broker can be slow, gone, or empty."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Receiver
from wsrequest.push.brokers.memory import MemoryBroker, MemoryListener
from wsrequest.push.feed import Feed
from wsrequest.push.members import NOTHING, Change, Member, encoded_member
from wsrequest.push.presence import Roster

TOPIC = "/rooms/1/"


class Ear(MemoryListener):
    """A listener as a process on a network has it."""

    #: Whether nothing reaches the broker, nor comes from it.
    away = False
    #: Whether only the list can't be read; and how often it was asked for.
    is_mute = False
    refused = 0
    #: Whoever reads the list waits for it, before and after looking.
    before: asyncio.Event | None = None
    after: asyncio.Event | None = None

    #: Whoever leaves waits for it.
    leaving: asyncio.Event | None = None
    #: What was said and is still on its way; None where it comes at once.
    on_its_way: list[Any] | None = None

    def hear(self, payload: bytes, tell: Any) -> None:
        if self.on_its_way is not None:
            self.on_its_way.append((payload, tell))
        elif not self.away:
            super().hear(payload, tell)

    def arrive(self) -> None:
        on_its_way, self.on_its_way = self.on_its_way or [], None
        for payload, tell in on_its_way:
            self.hear(payload, tell)

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise BrokerUnavailable

    async def signal(self, topic: str | None, payload: bytes) -> None:
        await self._reach()
        await super().signal(topic, payload)

    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        await self._reach()
        return await super().enter(topic, member, data, lease)

    async def leave(self, topic: str, member: str) -> bool:
        await self._reach()
        if self.leaving is not None:
            await self.leaving.wait()
        return await super().leave(topic, member)

    async def renew(self, topic: str, members: Sequence[str], lease: float) -> Sequence[str]:
        await self._reach()
        return await super().renew(topic, members, lease)

    async def expire(self, topic: str) -> Mapping[str, bytes]:
        await self._reach()
        return await super().expire(topic)

    async def members(self, topic: str) -> Mapping[str, bytes]:
        await self._reach()
        if self.is_mute:
            self.refused += 1
            raise BrokerUnavailable
        if self.before is not None:
            await self.before.wait()
        found = await super().members(topic)
        if self.after is not None:
            await self.after.wait()
        return found


class Broker(MemoryBroker):
    """Its clock is the loop's, which a test can put forward."""

    def __init__(self) -> None:
        super().__init__(clock=asyncio.get_running_loop().time)

    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> Ear:
        ear = Ear(self, loop, receiver)
        self._listeners.append(ear)
        return ear

    def forget_members(self) -> None:
        """As one that was started again."""
        self._members.clear()

    @property
    def names(self) -> set[str]:
        return set(self.members(TOPIC))


class Watcher:
    """What a client makes of what it is told. It fails where that makes no sense."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.told: list[str] = []
        #: Whether it was told who is there.
        self.sees = False

    def changed(self, change: Change) -> None:
        if not self.sees:
            return
        if change.came:
            assert change.connection not in self.there
            self.there[change.connection] = change.member
        else:
            assert self.there.pop(change.connection) == change.member
        self.told.append(f"{'+' if change.came else '-'}{change.connection}")


class Process:
    """One event loop's feed, whose connections are named by the test."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.feed = Feed(broker, asyncio.get_running_loop(), lambda word: None, lambda: None)
        assert isinstance(self.feed.listener, Ear)
        self.ear: Ear = self.feed.listener

    @property
    def roster(self) -> Roster:
        return self.feed.presence.roster(TOPIC)

    async def join(self) -> Process:
        await self.feed.join(TOPIC)
        return self

    def enter(self, name: str, user: str | None = None, by: str = "subscription") -> None:
        self.roster.enter(name, by, encoded_member(Member(name, user, NOTHING)))

    def leave(self, name: str, by: str = "subscription") -> None:
        self.roster.leave(name, by)

    async def watch(self) -> Watcher:
        """A watcher that was told who is there."""
        watcher, roster = Watcher(), self.roster
        await roster.attend(watcher)
        watcher.there, watcher.sees = dict(roster.members), True
        return watcher

    def go(self) -> None:
        """The network is gone."""
        self.ear.away = True
        self.feed.interrupted()

    def come_back(self) -> None:
        self.ear.away = False
        self.feed.resumed()

    def die(self) -> None:
        """As by SIGKILL: nothing is said."""
        self._broker.forget(self.ear)
        self.feed.presence.close()


def users(watcher: Watcher) -> dict[str, str | None]:
    return {name: json.loads(member)["user"] for name, member in watcher.there.items()}
