"""Who is on the topics of one broker, as one event loop knows it: its own members are told to the others, and theirs
to those here who want to know.

A broker keeps the members, each for the time of a lease, which its process renews. What changes is said in passing, so
that nobody reads a whole list to learn of one. What was missed so, or was said of a process that is no more, shows when
the list is compared with what the broker has.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Hashable, Mapping
from typing import Protocol

from msgspec import Raw

from wsrequest import log
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Listener
from wsrequest.push.members import Change, connection_in
from wsrequest.push.publication import Joined, Left, encoded

#: Seconds for which a member stays whose process says nothing more. It renews the lease three times meanwhile.
LEASE = 30.0

#: Rounds (of a third of the lease) after which the list is compared with the broker's.
COMPARED = 3

#: What is done with a broker at once: members that are said to be there or not, and topics that have their round.
AT_ONCE = 16


class Watcher(Protocol):
    """Who wants to know who comes and goes. Called on its event loop, and must not raise."""

    def changed(self, change: Change) -> None:
        """Somebody came or went."""


class Presence:
    """The rosters of one broker's topics, for one event loop."""

    def __init__(self, listener: Listener, lease: float | None = None) -> None:
        """``lease``: seconds; LEASE where it is not given."""
        self.listener = listener
        self.lease = LEASE if lease is None else lease
        #: What tells this one from all others, in any process.
        self.name = secrets.token_urlsafe(6)
        self.speakers = asyncio.Semaphore(AT_ONCE)
        self.rounds = asyncio.Semaphore(AT_ONCE)  # leases don't wait for what many have to say
        self._rosters: dict[str, Roster] = {}

    def roster(self, topic: str) -> Roster:
        """To be used at once: one with neither members nor watchers is forgotten."""
        roster = self._rosters.get(topic)
        if roster is None:
            roster = self._rosters[topic] = Roster(topic, self)
        return roster

    def heard(self, topic: str, word: Joined | Left) -> None:
        """A process has said this, or this one itself."""
        roster = self._rosters.get(topic)
        if roster is not None and word.by != self.name:
            roster.heard(word)

    def resumed(self) -> None:
        """The broker is back. It may have forgotten everything."""
        for roster in tuple(self._rosters.values()):
            roster.resumed()

    def close(self) -> None:
        """Say nothing any more; what was said holds until the leases end."""
        for roster in self._rosters.values():
            roster.close()
        self._rosters.clear()

    def forget(self, roster: Roster) -> None:
        """Nobody is there, and nobody wants to know."""
        if self._rosters.get(roster.topic) is roster:
            del self._rosters[roster.topic]


class Roster:
    """Who is on one topic. All is called on the event loop."""

    def __init__(self, topic: str, presence: Presence) -> None:
        self.topic = topic
        self._presence = presence
        self._listener = presence.listener
        self._loop = asyncio.get_running_loop()
        # Those of this loop: by connection, what each of its subscriptions says of it, the latest last.
        self._own: dict[str, dict[Hashable, bytes]] = {}
        # What the broker has of them, and the others were told; or may have, and may have been.
        self._said: dict[str, bytes] = {}
        self._unsure: set[str] = set()
        self._saying: dict[str, asyncio.Task[None]] = {}
        # All members, in all processes; None where nobody here wants to know.
        self._known: dict[str, bytes] | None = None
        self._watchers: dict[Watcher, None] = {}
        self._whole = False
        self._reading: asyncio.Task[None] | None = None
        # Of each reading of the list that is under way, whose state it may not show.
        self._moved: list[set[str]] = []
        self._compare_in = COMPARED
        self._hurry = False
        self._round: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # Those of this loop.

    def enter(self, connection: str, subscription: Hashable, member: bytes) -> None:
        """The connection is there, by this subscription; called again, the subscription says something else of it."""
        reasons = self._own.setdefault(connection, {})
        reasons.pop(subscription, None)
        reasons[subscription] = member
        self._own_changed(connection)

    def leave(self, connection: str, subscription: Hashable) -> None:
        """It is there by this subscription no more."""
        reasons = self._own.get(connection, {})
        if reasons.pop(subscription, None) is not None:
            if not reasons:
                del self._own[connection]
            self._own_changed(connection)

    def _shown(self, connection: str) -> bytes | None:
        """What is to be said of one of this loop's connections; None where it is not there."""
        reasons = self._own.get(connection)
        return reasons[next(reversed(reasons))] if reasons else None

    def _own_changed(self, connection: str) -> None:
        self._move(connection)
        self._set(connection, self._shown(connection))
        self._say(connection)
        self._rest()

    # Those who want to know.

    @property
    def members(self) -> Mapping[str, bytes]:
        """By connection, as :meth:`attend` has it."""
        return self._known or {}

    async def attend(self, watcher: Watcher) -> None:
        """Tell the watcher of what changes, from some moment before this returns. Raises
        :class:`~wsrequest.errors.BrokerUnavailable`."""
        self._watchers[watcher] = None
        self._rest()
        if self._known is None:
            self._known = {each: member for each in self._own if (member := self._shown(each))}
        if not self._whole and self._reading is None:
            self._reading = self._loop.create_task(self._compare())
            self._reading.add_done_callback(_look)
        if self._reading is not None:
            try:
                await asyncio.shield(self._reading)
            except BaseException:
                self.depart(watcher)
                raise

    def depart(self, watcher: Watcher) -> None:
        """It wants to know no more."""
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._known = self._reading = None
            self._whole = False
            self._rest()

    def _set(self, connection: str, member: bytes | None) -> None:
        """This is how it is; whoever wants to know and does not, is told."""
        if self._known is None:
            return
        was = self._known.get(connection)
        if was == member:
            return
        if was is not None:
            del self._known[connection]
            self._tell(Change(connection, was, came=False))
        if member is not None:
            self._known[connection] = member
            self._tell(Change(connection, member, came=True))

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers):
            watcher.changed(change)

    def _move(self, connection: str) -> None:
        for moved in self._moved:
            moved.add(connection)

    # What the others say.

    def heard(self, word: Joined | Left) -> None:
        try:
            connection = connection_in(word.member)
        except ValueError:
            log.word_unreadable(self.topic)
            return
        if connection not in self._own:  # of its own, each loop itself knows best
            self._move(connection)
            self._set(connection, bytes(word.member) if isinstance(word, Joined) else None)
        elif isinstance(word, Left):  # its lease had ended
            self._unsure.add(connection)
            self._say(connection)

    async def _compare(self) -> None:
        """See what the broker has, and tell the differences."""
        known, moved = self._known, set(self._saying)
        if known is None:
            return
        self._moved.append(moved)
        try:
            found = await self._listener.members(self.topic)
        finally:
            self._moved.remove(moved)
            self._reading = None
        if known is self._known:
            self._whole = True
            for connection in known.keys() - found.keys() - moved - self._own.keys():
                self._set(connection, None)
            for connection, member in found.items():
                if connection not in moved and connection not in self._own:
                    self._set(connection, member)

    # What is said to the others.

    def _say(self, connection: str) -> None:
        """Let the broker and the others know how it is with one of this loop's connections."""
        if connection not in self._saying and not self._is_said(connection):
            task = self._loop.create_task(self._until_said(connection))
            self._saying[connection] = task
            _under_way.add(task)
            task.add_done_callback(_under_way.discard)

    def _is_said(self, connection: str) -> bool:
        said = self._said.get(connection)
        return connection not in self._unsure and said == self._shown(connection)

    async def _until_said(self, connection: str) -> None:
        try:
            while not self._is_said(connection):
                async with self._presence.speakers:
                    await self._say_once(connection)
        except BrokerUnavailable:
            pass  # the next round sees that it was not said
        finally:
            del self._saying[connection]
            self._rest()

    async def _say_once(self, connection: str) -> None:
        member, listener, me = self._shown(connection), self._listener, self._presence.name
        self._move(connection)
        self._unsure.add(connection)
        if member is not None:
            self._said[connection] = member
            await listener.enter(self.topic, connection, member, self._presence.lease)
            await self._signal(Joined(Raw(member), me))
        elif connection in self._said:
            await listener.leave(self.topic, connection)
            await self._signal(Left(Raw(self._said[connection]), me))
            del self._said[connection]
        self._unsure.discard(connection)

    async def _signal(self, word: Joined | Left) -> None:
        await self._listener.signal(self.topic, encoded(word))

    # What is done from time to time.

    def resumed(self) -> None:
        """Say at once what the broker may have forgotten; compare only when the others have done so, too."""
        self._compare_in = 2
        self._hurry = True
        if self._timer is not None:
            self._timer.cancel()
            self._begin_round()

    def close(self) -> None:
        """Do nothing any more."""
        self._own.clear()
        self._said.clear()
        self._watchers.clear()
        self._known = None
        for task in (self._round, self._reading, *self._saying.values()):
            if task is not None:
                task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _rest(self) -> None:
        """Wait for the next round; or for nothing, where nothing is left to do."""
        if not (self._own or self._watchers or self._said or self._saying):
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._presence.forget(self)
        elif self._timer is None and self._round is None:
            # Not all at the same moment; and never so late that a lease might end.
            pause = self._presence.lease / 3 * random.uniform(0.8, 1)  # noqa: S311 (no secret)
            self._timer = self._loop.call_later(0 if self._hurry else pause, self._begin_round)

    def _begin_round(self) -> None:
        self._timer = None
        self._hurry = False
        self._round = self._loop.create_task(self._go_round())

    async def _go_round(self) -> None:
        try:
            async with self._presence.rounds:
                await self._renew()
                await self._expire()
                self._compare_in -= 1
                if self._compare_in <= 0:
                    await self._compare()
                    self._compare_in = COMPARED
        except BrokerUnavailable:
            pass  # it is away, or late: the next round
        finally:
            self._round = None
        for connection in {*self._own, *self._said}:
            self._say(connection)
        self._rest()

    async def _renew(self) -> None:
        mine = [each for each in self._said if each in self._own and each not in self._saying]
        if mine:
            lease = self._presence.lease
            gone = await self._listener.renew(self.topic, mine, lease)
            self._unsure.update(each for each in gone if each in self._own)

    async def _expire(self) -> None:
        """Tell of those whose process says nothing any more."""
        for connection, member in (await self._listener.expire(self.topic)).items():
            self._move(connection)
            if connection in self._own:
                self._unsure.add(connection)
            else:
                self._set(connection, None)
                await self._signal(Left(Raw(member), self._presence.name))


#: What is being said, by all event loops of this process.
_under_way: set[asyncio.Task[None]] = set()


def is_all_said() -> bool:
    """Whether the brokers know who is here and who is not, as far as they can be reached. Any thread may ask."""
    return all(task.done() or task.get_loop().is_closed() for task in tuple(_under_way))


def _look(task: asyncio.Task[None]) -> None:
    """Where nobody waits any more, nobody sees the exception either."""
    if not task.cancelled():
        task.exception()
