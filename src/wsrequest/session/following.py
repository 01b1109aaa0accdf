"""What a subscription sends of its topic: each event once and in order, or the word that some are lost.

Events flow until something is in the way: a snapshot that is being taken, or a doubt whether the client still may have
them (they are *held*, and follow), a loss (they are dropped, and a fresh snapshot takes their place), or a client that
does not read (its topic's policy).
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from wsrequest.lifecycle.response import Reply
from wsrequest.livequery.answer import Update
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Event
from wsrequest.push.brokers.base import Position
from wsrequest.push.feed import Topic
from wsrequest.push.news import News
from wsrequest.session.outbox import Outbox

#: Fields of an event, beside the subscription's own.
FIELDS = 3


@lru_cache(256)
def _shared(head: bytes) -> bytes:
    """One object for all that number alike: what is said to thousands is compared with it."""
    return head


class Subscriber(Protocol):
    """Whose events they are."""

    def renew(self) -> None:
        """The client's state has to be replaced: call :meth:`Following.hold`, ask the url again, and then call
        :meth:`Following.replace` and :meth:`Following.resume`."""

    def touched(self) -> None:
        """What the url answers has changed, without an event that says so."""

    def is_slow(self, policy: str) -> None:
        """The client does not read. Said each time that something can't be sent for it."""


class Following:
    """One subscription's part of a topic, from the moment at which it begins to hold events.

    It is in one of four states: events are held (``_held`` is a list); or they flow; or they are lost
    (``incomplete``), until the next :meth:`hold`; or only the ``_latest`` waits for room, by the topic's policy.
    """

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
        "_touched",
        "_why",
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
        """Held from now on; call :meth:`begin` once the answer has been sent, and then :meth:`resume`."""
        self._owner = owner
        self._id = id
        self._codec = codec
        self._outbox = outbox
        self._head = _shared(codec.head(id, FIELDS))
        self.topic = topic
        #: The primary key of its user as a string; None for nobody.
        self.user: str | None = None
        #: Whether the client knows that it is subscribed.
        self.live = False
        #: Of the last event that the client has, or that its snapshot has.
        self.offset = topic.position.offset
        #: The position at which the snapshot stands.
        self.start = topic.position
        #: Whether events are missing that neither the client nor a snapshot has.
        self.incomplete = False
        self._told = False  # ... and the client knows
        self._why: tuple[str, int | None] = ("", None)
        self._touched = False
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
        self._stop()
        if self._room is not None:
            self._room.cancel()

    # What the topic says.

    def deliver(self, news: News) -> None:
        # Said of each event to each of perhaps thousands, so the usual case is written out.
        outbox = self._outbox
        if self._held is not None:
            self._keep(self._held, news)
        elif self._flowing and outbox.size < outbox.limit:
            if news.to is None and news.offset == self.offset + 1:
                self.offset = news.offset
                outbox.put(news.message(self._head, self._codec))
            else:
                self.pass_on(news)
        elif (self._flowing or self._latest is not None) and self._is_for_user(news):
            self._overflow(news)
        # else it is among what is lost: a snapshot takes its place

    def lost(self, why: str, newest: int | None) -> None:
        self._stop()
        self.incomplete = True
        self._why = why, newest
        if self.live:
            self._tell_of_loss()

    def found(self) -> None:
        if self.incomplete and self.live:
            self._owner.renew()

    def touched(self) -> None:
        if not self.live:
            self._touched = True  # the snapshot that is being taken may be an old one
        elif not self.incomplete:  # else there will be another one in any case
            self._owner.touched()

    # What the subscription says.

    def begin(self) -> None:
        """The answer has been sent, with ``offset``, and what comes after that has not."""
        self.live = True
        if self.incomplete:
            self._tell_of_loss()
            if self.topic.sound:
                self._owner.renew()
        elif self._touched:
            self._owner.touched()

    def move(self, topic: Topic) -> None:
        """Hear another topic from now on: the client needs another state."""
        self.topic.subscribers.pop(self, None)
        self.lost("user", None)
        self.topic = topic
        topic.subscribers[self] = None
        if self.live:
            self.hold()

    @property
    def owes_state(self) -> bool:
        """Whether the client waits for what takes the place of a loss."""
        return self._told

    def pause(self) -> None:
        """Send no event for the moment; :meth:`resume` sends what has happened meanwhile."""
        if self._held is None and not self.incomplete:
            self._held = [] if self._latest is None else [self._latest]
            self._held_bytes = sum(news.size for news in self._held)
            self._flowing, self._latest = False, None

    def hold(self) -> None:
        """A snapshot is about to be taken: what happens from here on is to follow it."""
        self.start = self.topic.position
        self.incomplete = False
        self.pause()

    def replace(self, reply: Reply) -> bool:
        """Send the snapshot that was taken after :meth:`hold`; nothing (False) where that is incomplete: :meth:`found`
        will ask for another one."""
        if self.incomplete or self._held is None:
            return False
        held, self._held = self._held, []
        for news in held:
            if news.offset > self.start.offset:
                self._held.append(news)
            elif not self._told:  # what the snapshot has goes before it
                self.pass_on(news)
        self._held_bytes = sum(news.size for news in self._held)
        self._renew("replace", reply.data, reply.encoding, self.start if self._told else None)
        if self._told:
            self._told = False
            self.offset = self.start.offset
        return True

    def update(self, update: Update) -> None:
        """Send what brings the client to its next state; events go on beside that."""
        self._renew(*update)

    def _renew(
        self, event: str, data: Any, encoding: Any, position: Position | None = None
    ) -> None:
        self._rev += 1
        self._say(event, data, encoding, rev=self._rev, position=position)

    def resume(self) -> None:
        """Send what was held, and let events flow."""
        if self._held is not None:
            held, self._held = self._held, None
            self._flowing = True
            for news in held:
                self.deliver(news)

    def pass_on(self, news: News) -> None:
        """Send the next event, where it is for this user and was not sent before."""
        skipped = news.offset - self.offset - 1
        if skipped < 0 or not self._is_for_user(news):
            return
        head = self._codec.head(self._id, FIELDS, skipped) if skipped else self._head
        self.offset = news.offset
        self._outbox.put(news.message(head, self._codec))

    def _is_for_user(self, news: News) -> bool:
        return news.to is None or self.user in news.to

    # Whatever is in the way.

    def _stop(self) -> None:
        """Drop what waits."""
        self._flowing = False
        self._held = self._latest = None

    def _keep(self, held: list[News], news: News) -> None:
        held.append(news)
        self._held_bytes += news.size
        if self._held_bytes > self._outbox.limit:
            if self.live and self._outbox.full:
                self._owner.is_slow(self.topic.options.slow)
            self.lost("slow", None)
            self.found()

    def _overflow(self, news: News) -> None:
        """There is no room for it."""
        policy = self.topic.options.slow
        self._owner.is_slow(policy)
        if policy == "latest":
            self._latest = news
            self._flowing = False
            if self._room is None:
                self._room = asyncio.get_running_loop().create_task(self._wait_for_room())
        elif policy == "resync":
            self.lost("slow", news.offset)
            self.found()
        else:
            self._stop()  # the connection is being closed

    async def _wait_for_room(self) -> None:
        await self._outbox.room()
        self._room = None
        latest, self._latest = self._latest, None
        if latest is not None:
            self.pass_on(latest)
            self._flowing = True

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
