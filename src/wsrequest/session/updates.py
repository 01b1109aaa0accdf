"""A live subscription's part in its query: what its client holds, and what it is to hold."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from wsrequest.errors import ExchangeError, NotLive, TooManyLiveAudiences
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.response import Reply
from wsrequest.livequery.answer import Answer, Update
from wsrequest.livequery.look import Look
from wsrequest.livequery.queries import Queries
from wsrequest.protocol.codec import Codec
from wsrequest.session.asking import Asking, bearing_of


class Owner(Protocol):
    """The subscription."""

    def judge(self, reply: Reply) -> bool:
        """This is what the url answers by now: whether the subscription goes on."""

    def catch_up(self) -> None:
        """There is a newer state: call :meth:`Updates.send` as soon as the client may have it, and has room."""


class Updates:
    """What keeps the client's state up to date; a :class:`~wsrequest.livequery.queries.Watcher`.

    The client gets the newest state only: what it had no room for in time is not sent.
    """

    __slots__ = (
        "_allowed",
        "_asking",
        "_is_due",
        "_look",
        "_newest",
        "_owner",
        "_queries",
        "allowed",
        "min_interval",
        "state",
    )

    def __init__(self, owner: Owner, asking: Asking, queries: Queries, *, allowed: bool) -> None:
        """``allowed``: whether a GET may be live of which its view says nothing."""
        self._owner = owner
        self._asking = asking
        self._queries = queries
        self._look: Look | None = None
        # Whether what the url answers has changed since the look began.
        self._is_due = False
        self._newest: Answer | None = None
        #: What the client holds; None until it has been answered.
        self.state: Answer | None = None
        self._allowed = allowed
        #: What the view says of being live; and the seconds between two runs at least, None for the setting's.
        self.allowed = allowed
        self.min_interval: float | None = None

    # Where it stands.

    def watch(self, call: Call) -> None:
        """This GET is about to be run for this subscription alone: see what it depends on. Then comes :meth:`enter`,
        or :meth:`leave`."""
        self.leave()
        self.allowed, self.min_interval = self._allowed, None
        self._look = Look(call, bearing_of(call), self._queries.begin())
        self._is_due = False

    def enter(self, reply: Reply) -> ExchangeError | None:
        """This is the answer to what was watched. The first one is what the client gets by itself; a later one is its
        newest state. Returns why it can't be kept up to date."""
        look = self._look
        assert look is not None and reply.varies is not None, "it was watched"
        try:
            if not self.allowed:
                return NotLive()
            answer = Answer(reply, look.call.codec)
            answer = self._queries.enter(self, look, reply.varies, answer)
            self.moved()  # where the credentials have changed meanwhile
        except TooManyLiveAudiences as error:
            return error
        finally:
            self._stop_looking()
        if self.state is None:
            self.state = answer
        else:
            self._newest = answer
            if self._is_due:
                self._queries.due(self)
        return None

    def leave(self) -> None:
        """It is over; or nothing more is to be sent before the client has been asked for anew."""
        self._stop_looking()
        self._queries.leave(self)
        self._newest = None

    def _stop_looking(self) -> None:
        look, self._look = self._look, None
        if look is not None:
            self._queries.end(look)

    def due(self) -> None:
        """What the url answers has changed."""
        self._is_due = True
        self._queries.due(self)

    def moved(self) -> None:
        """The connection has other credentials by now."""
        self._queries.moved(self)

    # What the client holds.

    def send(self, say: Callable[[Update], None]) -> None:
        """Bring the client to its newest state."""
        newest, self._newest = self._newest, None
        if newest is not None and self.state is not None:
            update = newest.update_from(self.state)
            self.state = newest
            if update is not None:
                say(update)

    def replaced(self, reply: Reply, codec: Codec) -> None:
        """The client has been sent this whole answer, which was not watched: where there is a newer one that it was not
        sent, another follows."""
        self.state = Answer(reply, codec)
        if self._newest is not None:
            self._newest = None
            self.due()

    # The watcher.

    @property
    def name(self) -> str:
        return self._asking.url

    def bearing(self) -> Hashable:
        return bearing_of(self._asking.call())

    def look(self, mark: int, *, rerun: bool) -> Look:
        call = self._asking.call()
        return Look(call, bearing_of(call), mark, rerun=rerun)

    async def ask(self, look: Look) -> Reply:
        try:
            return await self._asking.ask(look.call)
        finally:
            look.reads.answered()

    def judge(self, reply: Reply) -> bool:
        return self._owner.judge(reply)

    def show(self, answer: Answer) -> None:
        self._newest = answer
        if answer is not self.state:
            self._owner.catch_up()
