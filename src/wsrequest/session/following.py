"""What a subscription sends of its topic: each event once and in order, or the word that some are lost.

Events flow until something is in the way: a snapshot that is being taken (they are *held*, and follow it), a loss (they
are dropped, and a fresh snapshot takes their place), or a client that does not read (its topic's policy).
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Event, Happening
from wsrequest.push.brokers.base import Position
from wsrequest.push.feed import Topic
from wsrequest.push.news import News, spliced
from wsrequest.push.publication import Joined, Left
from wsrequest.session.outbox import Outbox

#: Fields of an event, beside the subscription's own.
FIELDS = 3


class Subscriber(Protocol):
    """Whose events they are."""

    def renew(self) -> None:
        """The client's state has to be replaced: ask the url again, and then call :meth:`Following.replace`."""

    def is_slow(self, policy: str) -> None:
        """The client does not read. Said each time that something can't be sent for it."""


class Following:
    """One subscription's part of a topic, from the moment at which it begins to hold events."""

    __slots__ = (
        "_codec",
        "_flowing",
        "_head",
        "_held",
        "_held_bytes",
        "_id",
        "_latest",
        "_outbox",
        "_owner",
        "_rev",
        "_room",
        "_told",
        "_why",
        "hears_presence",
        "incomplete",
        "live",
        "offset",
        "start",
        "topic",
        "user",
    )

    def __init__(
        self, owner: Subscriber, id: int | str, codec: Codec, outbox: Outbox, topic: Topic
    ) -> None:
        """Held from now on; call :meth:`begin` once the answer has been sent."""
        self._owner = owner
        self._id = id
        self._codec = codec
        self._outbox = outbox
        self._head = codec.head(id, FIELDS)
        self.topic = topic
        #: The primary key of its user as a string; None for nobody.
        self.user: str | None = None
        #: Whether it is told who comes and goes.
        self.hears_presence = False
        #: Whether the client knows that it is subscribed.
        self.live = False
        #: Of the last event that the client has.
        self.offset = topic.position.offset
        #: Where the events begin that are held.
        self.start = topic.position
        #: Whether events are missing that neither the client nor a snapshot has.
        self.incomplete = False
        self._told = False  # ... and the client knows
        self._why: tuple[str, int | None] = ("", None)
        self._flowing = False
        self._held: list[News] | None = []
        self._held_bytes = 0
        self._rev = 0
        self._latest: News | None = None
        self._room: asyncio.Task[None] | None = None
        topic.subscribers[self] = None

    def leave(self) -> None:
        """Hear no more."""
        self.topic.subscribers.pop(self, None)
        self._flowing = False
        self._held = None
        if self._room is not None:
            self._room.cancel()

    # What the topic says.

    def deliver(self, news: News) -> None:
        if not self._flowing:
            self._keep(news)
        elif self._outbox.full:
            self._overflow(news)
        else:
            self.pass_on(news)

    def lost(self, why: str, newest: int | None) -> None:
        self.incomplete = True
        self._flowing = False
        self._held = None
        self._latest = None
        self._why = why, newest
        if self.live:
            self._tell_of_loss()

    def found(self) -> None:
        if self.incomplete and self.live:
            self._owner.renew()

    def touched(self) -> None:
        if self.live:
            self._owner.renew()
        else:
            self.incomplete = True  # the snapshot that is being taken may be an old one
            self._why = "touch", None

    def present(self, word: Joined | Left) -> None:
        if self.hears_presence and self.live:
            name = "join" if isinstance(word, Joined) else "leave"
            happening = Happening(name, spliced(word.member, self._codec))
            self._outbox.put(self._codec.head(self._id, FIELDS - 1) + self._codec.tail(happening))

    # What the subscription says.

    def hold(self) -> None:
        """A snapshot is about to be taken: what happens from here on is to follow it."""
        self.start = self.topic.position
        self.incomplete = False
        self._flowing = False
        self._held = []
        self._held_bytes = 0

    def pause(self) -> None:
        """Send nothing for the moment; :meth:`resume` sends what has happened meanwhile."""
        self._flowing = False
        if self._held is None and not self.incomplete:
            self._held = []
            self._held_bytes = 0

    def resume(self) -> None:
        """Send what was held, and let events flow."""
        held, self._held = self._held or (), None
        self._flowing = not self.incomplete and self._latest is None
        for news in held:
            self.deliver(news)

    def begin(self) -> None:
        """The answer has been sent, with ``offset``, and what comes after that has not."""
        self.live = True
        if self.incomplete:
            if self._why[0] != "touch":
                self._tell_of_loss()
            if self.topic.sound:
                self._owner.renew()
        else:
            self.resume()

    def replace(self, reply: Reply) -> None:
        """Send the snapshot that was taken after :meth:`hold`, and then what has happened since; nothing where that is
        incomplete: :meth:`found` will ask for another one."""
        if self.incomplete:
            return
        self._rev += 1
        position: Position | None = self.start if self._told else None
        self._say("replace", reply.data, reply.encoding, rev=self._rev, position=position)
        self._told = False
        self.offset = self.start.offset
        self.resume()

    def pass_on(self, news: News) -> None:
        """Send the next event, where it is for this user and was not sent before."""
        skipped = news.offset - self.offset - 1
        if skipped < 0 or not self._is_for_user(news):
            return
        head = self._codec.head(self._id, FIELDS, skipped) if skipped else self._head
        self.offset = news.offset
        self._outbox.put(head + news.tail(self._codec))

    def _is_for_user(self, news: News) -> bool:
        return news.to is None or self.user in news.to

    # Whatever is in the way.

    def _keep(self, news: News) -> None:
        if self._held is not None:
            self._held.append(news)
            self._held_bytes += news.size
            if self._held_bytes > self._outbox.limit:
                self.lost("slow", None)
                self.found()
        elif self._latest is not None:
            self._overflow(news)
        # else it is among what is lost: a snapshot takes its place

    def _overflow(self, news: News) -> None:
        """There is no room for it."""
        policy = self.topic.options.slow
        self._owner.is_slow(policy)
        if policy == "latest":
            if self._is_for_user(news):
                self._latest = news
                self._flowing = False
                if self._room is None:
                    self._room = asyncio.get_running_loop().create_task(self._wait_for_room())
        elif policy == "resync":
            self.lost("slow", news.offset)
            self._owner.renew()

    async def _wait_for_room(self) -> None:
        await self._outbox.room()
        self._room = None
        latest, self._latest = self._latest, None
        if latest is not None:
            self.pass_on(latest)
            self._flowing = self._held is None and not self.incomplete

    def _tell_of_loss(self) -> None:
        if not self._told:
            self._told = True
            why, newest = self._why
            self._say("lost", {"from": self.offset + 1, "to": newest, "why": why})

    def _say(
        self,
        event: str,
        data: Any,
        encoding: Any = UNSET,
        *,
        rev: int | UnsetType = UNSET,
        position: Position | None = None,
    ) -> None:
        said = Event(id=self._id, event=event, data=data, encoding=encoding, rev=rev)
        if position is not None:
            said.epoch, said.offset = position
        self._outbox.put(self._codec.encode(said))
