"""What a subscription has to do with who else is on its topic: its connection is there, and it may want to see others.

A client that does not read is told less, and nothing wrong: of each one who came or went meanwhile, how it is by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from django.http import HttpRequest
from django.utils.module_loading import import_string
from msgspec import UNSET, Raw, UnsetType

from wsrequest.errors import BrokerUnavailable
from wsrequest.events import encoded_data
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.codec import Codec
from wsrequest.push.feed import AGAIN, Topic
from wsrequest.push.members import NOTHING, Change, Member, encoded_member
from wsrequest.push.news import spliced
from wsrequest.push.presence import Presence, Roster
from wsrequest.session.outbox import Outbox


class Subscriber(Protocol):
    """Whose attendance it is."""

    factory: RequestFactory

    async def introduce(self, attendance: Attendance) -> Reply:
        """Ask the url again, with :meth:`Attendance.last_step` as a part of the request."""

    def user_of(self, reply: Reply) -> str | None:
        """The primary key of the user as a string; None for nobody."""


class Attendance:
    """Made with the topic. :meth:`prepare` it where it wants to see others, run the GET with :meth:`last_step`, and
    :meth:`enter` where the url says yes; :meth:`see` goes into the answer. Called on the event loop."""

    __slots__ = (
        "_codec",
        "_connection",
        "_doubted",
        "_goes_away",
        "_head",
        "_info",
        "_introducing",
        "_knows",
        "_looking",
        "_missed",
        "_outbox",
        "_owner",
        "_presence",
        "_room",
        "_roster",
        "_sees",
        "_topic",
        "_user",
        "_watched",
        "is_there",
    )

    def __init__(
        self,
        owner: Subscriber,
        id: int | str,
        codec: Codec,
        outbox: Outbox,
        topic: Topic,
        presence: Presence,
    ) -> None:
        """``id`` is the subscription's."""
        self._owner = owner
        self._connection = owner.factory.connection_id or ""
        self._codec = codec
        self._head = codec.head(id, Change.FIELDS)
        self._outbox = outbox
        self._topic = topic
        self._presence = presence
        #: Whether others see its connection there, as far as this subscription goes.
        self.is_there = False
        self._doubted = False
        self._goes_away = False
        self._user: str | None = None
        self._info = NOTHING
        self._roster: Roster | None = None
        # That whose changes it is told, and whether the client knows what there was before.
        self._watched: Roster | None = None
        self._sees = False
        # By connection, what the client knows of those whose changes it was not told yet; None where it knows none.
        self._missed: dict[str, bytes | None] = {}
        # After a move, until it is told of the differences: what it knows.
        self._knows: dict[str, bytes] | None = None
        self._room: asyncio.Task[None] | None = None
        self._introducing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """It wants to see who is there. Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        self._watched = self._presence.roster(self._topic.name)
        await self._watched.attend(self)

    def last_step(self, request: HttpRequest) -> Callable[[], None] | None:
        """What is to be done on a thread, as a part of this request, once its url has said yes; None: nothing. Any
        thread may ask."""
        hook = self._topic.options.presence_info
        return None if hook is None else partial(self._learn, hook, request)

    def _learn(self, hook: str, request: HttpRequest) -> None:
        """What the project's function says of who makes this request."""
        say: Callable[[HttpRequest], Any] = import_string(hook)
        self._info = Raw(encoded_data(say(request)))

    def enter(self, user: str | None) -> None:
        """The connection is there, as this user's."""
        if self._goes_away or not self._topic.options.presence:
            return
        self.is_there = True
        self._user = user
        self._roster = self._presence.roster(self._topic.name)
        member = Member(self._connection, user, self._info)
        self._roster.enter(self._connection, self, encoded_member(member))

    def is_now(self, user: str | None) -> None:
        """The url has said yes to this user: where it was another one before, that one has left."""
        if self._knows is not None and self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_around())
        if self._topic.options.presence_info is None:
            if not self.is_there or user != self._user:
                self.enter(user)
            return
        if self.is_there and user != self._user:
            self._step_out()
        if self._introducing is None and (self._doubted or not self.is_there):
            self._introducing = asyncio.get_running_loop().create_task(self._introduce())

    def doubt(self) -> None:
        """The connection may be somebody else's: what is known of it was perhaps said of another one."""
        self._doubted = True

    async def _introduce(self) -> None:
        self._doubted = False
        reply = await self._owner.introduce(self)
        while self._doubted:
            self._doubted = False
            reply = await self._owner.introduce(self)
        self._introducing = None
        if 200 <= reply.status < 300:
            self.enter(self._owner.user_of(reply))

    def see(self) -> list[Raw | str | bytes] | UnsetType:
        """Who is there, where it wants to see that; and from now on it is told of changes."""
        if self._watched is None:
            return UNSET
        self._sees = True
        return [spliced(Raw(member), self._codec) for member in self._watched.members.values()]

    def go_away(self) -> None:
        """The connection will be closed soon: others see it leave now, and it sees them as long as it is there."""
        self._goes_away = True
        self._step_out()

    def _step_out(self) -> None:
        self.is_there = False
        if self._roster is not None:
            self._roster.leave(self._connection, self)
            self._roster = None

    def move(self, topic: Topic, presence: Presence, *, wants: bool) -> None:
        """The subscription hears another topic from now on. Once its url says yes again (:meth:`is_now`), it is there,
        and where it ``wants`` to see who else is, it is told of the differences."""
        knows = self._knows
        if knows is None and wants:
            knows = {} if self._watched is None else {**self._watched.members}
            for connection, member in self._missed.items():
                knows.pop(connection, None)
                if member is not None:
                    knows[connection] = member
        self.leave()
        self._topic, self._presence, self._knows = topic, presence, knows

    async def _look_around(self) -> None:
        while self._watched is None:
            try:
                await self.prepare()
            except BrokerUnavailable:
                self._watched = None
                await asyncio.sleep(AGAIN)
        knows, self._knows = self._knows or {}, None
        self._looking = None
        there = self._watched.members
        for connection in knows.keys() | there.keys():
            if knows.get(connection) != there.get(connection):
                self._missed[connection] = knows.get(connection)
        self._sees = True
        self._catch_up()

    def leave(self) -> None:
        """It is over."""
        for task in (self._room, self._introducing, self._looking):
            if task is not None:
                task.cancel()
        self._room = self._introducing = self._looking = None
        self._missed = {}
        self._sees = False  # also not that it has left itself
        if self._watched is not None:
            self._watched.depart(self)
            self._watched = None
        self._step_out()

    # Called by the roster.

    def changed(self, change: Change) -> None:
        if not self._sees:
            return
        if self._missed or self._outbox.full:
            self._miss(change)
        else:
            self._outbox.put(self._head + change.tail(self._codec))

    def _miss(self, change: Change) -> None:
        """Tell it later, unless it is undone by then."""
        before = None if change.came else change.member
        after = change.member if change.came else None
        known = self._missed.setdefault(change.connection, before)
        if known == after:
            del self._missed[change.connection]
        self._catch_up()

    def _catch_up(self) -> None:
        if self._missed and self._room is None:
            self._room = asyncio.get_running_loop().create_task(self._tell_when_there_is_room())

    async def _tell_when_there_is_room(self) -> None:
        while self._missed:
            await self._outbox.room()
            while self._missed and not self._outbox.full:
                self._tell_missed(*self._missed.popitem())
        self._room = None

    def _tell_missed(self, connection: str, known: bytes | None) -> None:
        now = self._watched.members.get(connection) if self._watched is not None else None
        for member, came in ((known, False), (now, True)):
            if member is not None:
                change = Change(connection, member, came=came)
                self._outbox.put(self._head + change.tail(self._codec))


class Introduction:
    """What the request of an introduction has in place of what names its topic: the topic stays what it is."""

    def __init__(self, attendance: Attendance) -> None:
        self._attendance = attendance

    def hear(self, name: str) -> None:
        """Called by a view that names its topic."""

    async def ahear(self, name: str) -> None:
        """The same."""

    def last_step(self, request: HttpRequest) -> Callable[[], None] | None:
        return self._attendance.last_step(request)
