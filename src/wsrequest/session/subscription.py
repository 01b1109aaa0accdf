"""A request that keeps answering: its GET is the snapshot, and then its topic's events follow.

From before the GET begins until its answer is sent, events are held: so each one is either in the snapshot or comes
after it, and none falls between. The same holds whenever the snapshot is taken again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import UNSET

from wsrequest import log
from wsrequest.errors import BrokerUnavailable, ExchangeError, NotWatchable, ViewFailed
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.messages import Request, Since, Subscribed
from wsrequest.push.brokers.base import Position
from wsrequest.push.feed import Topic
from wsrequest.push.topics import topic_of
from wsrequest.session.asking import Asking
from wsrequest.session.attendance import Attendance
from wsrequest.session.exchange import Exchange, Owner
from wsrequest.session.following import Following
from wsrequest.session.keeper import Keeper, Wanted
from wsrequest.session.recovery import Recovery
from wsrequest.session.rerun import Question
from wsrequest.session.updates import Updates


class Subscription(Exchange):
    """One SUBSCRIBE, from the message to the end."""

    __slots__ = (
        "__weakref__",
        "_accepted",
        "_asking",
        "_doubts",
        "_failure",
        "_in_doubt",
        "_keeper",
        "_learning",
        "_renaming",
        "_wanted",
        "_was_slow",
        "asking",
        "attendance",
        "following",
        "is_named",
        "updates",
    )

    def __init__(
        self,
        session: Owner,
        keeper: Keeper[Subscription],
        message: Request,
        factory: RequestFactory,
        asking: Asking,
    ) -> None:
        super().__init__(session, message, factory)
        self._keeper = keeper
        #: The GET by which the url is asked, now and later.
        self.asking = asking
        self.following: Following | None = None
        #: Whether its view has named the topic: for another user it may name another one.
        self.is_named = False
        self._renaming = False
        #: Its part in who is on the topic, where that is told; and what keeps it up to date, where it is live.
        self.attendance: Attendance | None = None
        self.updates: Updates | None = None
        self._failure: BrokerUnavailable | None = None
        # The url has said yes: from here on it is not the GET that the client waits for.
        self._accepted = False
        self._learning = False
        self._wanted = Wanted.NOTHING
        # Counts how often it was doubted that the client still may: an answer from before that says nothing.
        self._doubts = 0
        self._in_doubt = False
        self._asking: asyncio.Task[None] | None = None
        self._was_slow = False

    # The beginning.

    async def open(self, start: Callable[[], None]) -> None:
        """Begin to hold the url's events, and then ``start`` the GET."""
        try:
            await self.hear(topic_of(self.message.url or "/"))
        except BrokerUnavailable as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 (logged; every id is answered)
            log.failed(self.factory.connection_id, self.message, error)
            self.fail(ViewFailed())
        if self._ended:
            self.finished()
        else:
            start()

    async def hear(self, name: str) -> None:
        """Hold this topic's events from now on, and no other's. Raises
        :class:`~wsrequest.errors.BrokerUnavailable`."""
        try:
            await self._hear(name)
        except BrokerUnavailable as error:
            self._failure = error
            raise

    async def _hear(self, name: str) -> None:
        topic = await self._keeper.hub.join(name)
        if self._ended or self.message.id is None:
            self._keeper.hub.leave(topic)
            return
        self._failure = None
        if self._accepted:
            self._move(topic)
            return
        self._leave_topic()
        codec, outbox = self._session.connection.codec, self._session.outbox
        self.following = Following(self, self.message.id, codec, outbox, topic)
        self.attendance = self._attendance(topic)
        if self.attendance is not None and self.message.presence:
            await self.attendance.prepare()

    def _attendance(self, topic: Topic) -> Attendance | None:
        if not topic.options.presence or self.message.id is None:
            return None
        codec, outbox = self._session.connection.codec, self._session.outbox
        presence = self._keeper.hub.presence(topic)
        return Attendance(self, self.message.id, codec, outbox, topic, presence)

    def _move(self, topic: Topic) -> None:
        """The view names a topic for the connection's present user."""
        following, hub = self.following, self._keeper.hub
        if following is None or following.topic is topic or not self._renaming:
            hub.leave(topic)
            return
        hub.leave(following.topic)
        following.move(topic)
        if self.attendance is None:
            self.attendance = self._attendance(topic)
        if self.attendance is not None:
            self.attendance.move(topic, hub.presence(topic), wants=self.message.presence)

    def respond(self, reply: Reply) -> None:
        following = self.following
        if self._failure is not None:
            self.fail(self._failure)
        elif self._ended or following is None or not 200 <= reply.status < 300:
            super().respond(reply)
        else:
            # Whoever this answer shows the connection to be has just been asked for.
            self._learning = True
            self._learn(reply)
            self._learning = False
            if self.updates is not None and (refusal := self.updates.enter(reply)) is not None:
                self.fail(refusal)
                return
            self._stop_timer()
            following.user = self.user_of(reply)
            if self.attendance is not None:
                self.attendance.enter(following.user)
            since = self.message.since
            if since is None:
                self._answer(reply, following, following.start, None)
                self._begin(following)
            else:
                self._work(self._recover(reply, following, since))
            self._accepted = True

    async def begin(self, head: Reply) -> None:
        self._learn(head)
        self.fail(self._failure or NotWatchable())
        raise asyncio.CancelledError

    def finished(self) -> None:
        if self._accepted and not self._ended:  # the GET is done, and the subscription begins
            if self._observer is not None:
                self._observer.finished()
            self._session.finished(self)
        else:
            super().finished()

    def _answer(
        self, reply: Reply, following: Following, position: Position, recovered: bool | None
    ) -> None:
        subscribed = Subscribed(*position, recovered=UNSET if recovered is None else recovered)
        if self.attendance is not None:
            subscribed.presence = self.attendance.see()
        self._session.outbox.put(self._response(reply, subscription=subscribed))
        following.offset = position.offset
        self._streaming = True  # from here on it ends as a stream does
        self._tell(reply.status)
        if self.updates is None:
            self._keeper.reruns.watch(self)

    def _begin(self, following: Following) -> None:
        """The client has the snapshot, and what it had missed: go on from there."""
        self._asking = None
        following.begin()
        self._go_on()

    async def _recover(self, reply: Reply, following: Following, since: Since) -> None:
        """Answer, and send what has happened since the client was there last, if all of that can be had."""
        recovery = Recovery(self._keeper.hub, following, since, self._may_send)
        recovered = await recovery.begin()
        position = recovery.after if recovered else following.start
        self._answer(reply, following, position, recovered)
        if recovered:
            await recovery.go_on()
        self._begin(following)

    async def _may_send(self) -> None:
        """Wait until there is room, and no doubt that the client may have what is sent."""
        while self._wanted or self._session.outbox.full:
            if self._wanted:
                await self._ask_once()
            else:
                await self._session.outbox.room()

    # What the following wants.

    def renew(self) -> None:
        self._want(Wanted.SNAPSHOT)

    def touched(self) -> None:
        if self.updates is None:
            self._want(Wanted.SNAPSHOT)
        else:
            self.updates.due()

    def catch_up(self) -> None:
        if self._accepted and self._session.outbox.full:
            self.is_slow("latest")
        self._go_on()

    def is_slow(self, policy: str) -> None:
        if not self._was_slow:
            self._was_slow = True
            log.slow_consumer(self.factory.connection_id, self.message, policy)
        if self._observer is not None:
            self._observer.slow_consumer(policy)
        if policy == "close":
            self._keeper.close(4102)

    # Permission, and who asks for it.

    def question(self) -> Question:
        return self.asking.question()

    def ask_again(self) -> None:
        """Who the connection is has changed: send nothing more before the url has been asked whether it may."""
        if not self._learning:
            self._doubts += 1
            if self.attendance is not None:
                self.attendance.doubt()
            self._in_doubt = True
            if self.updates is not None:
                self.updates.leave()
            if self.following is not None:
                self.following.pause()
            self._want(Wanted.PERMISSION)

    def judge(self, reply: Reply) -> bool:
        """What the url has answered by now: whether the subscription goes on."""
        if self._ended or self.following is None or self.message.id is None:
            return False
        if reply.is_stream:
            self._cut_short(NotWatchable())
            return False
        if 200 <= reply.status < 300:
            user = self.user_of(reply)
            if self.is_named and user != self.following.user and not self._renaming:
                self.ask_again()
                return True
            self.following.user = user
            if self.attendance is not None:
                self.attendance.is_now(self.following.user)
            return True
        self._end(
            self._session.connection.send_ended(
                self.message.id, reply.status, reply.data, reply.encoding
            )
        )
        return False

    async def introduce(self, attendance: Attendance) -> Reply:
        return await self._keeper.introduce(self, attendance)

    def user_of(self, reply: Reply) -> str | None:
        return self._keeper.identity if reply.identity is UNSET else reply.identity.user

    def _want(self, wanted: Wanted) -> None:
        self._wanted = max(self._wanted, wanted)
        self._go_on()

    def _go_on(self) -> None:
        """Let events flow, or see to what is in the way."""
        following = self.following
        if following is None or not following.live or self._asking is not None:
            return
        if self._wanted or self._session.outbox.full:
            self._work(self._ask())
        else:
            self._resume(following)

    def _resume(self, following: Following) -> None:
        following.resume()
        if self.updates is not None and not (following.incomplete or following.owes_state):
            self.updates.send(following.update)

    async def _ask(self) -> None:
        """Ask the url until nothing more is wanted; then let events flow, as soon as there is room."""
        following = self.following
        assert following is not None
        while True:
            if self._wanted is not Wanted.PERMISSION:
                await self._session.outbox.room()
            if self._wanted:
                await self._ask_once()
                continue
            self._resume(following)
            if not self._wanted:  # else there was too much for the room
                break
        self._asking = None

    async def _ask_once(self) -> None:
        following = self.following
        assert following is not None
        wanted, doubts = self._wanted, self._doubts
        self._wanted = Wanted.NOTHING
        if wanted is Wanted.SNAPSHOT:
            following.hold()
        in_doubt, self._in_doubt = self._in_doubt, False
        self._renaming = self.is_named and in_doubt
        if self._renaming or (in_doubt and self.updates is not None):
            reply = await self._keeper.ask_alone(self)
        else:
            reply = await self._keeper.reruns.get(self)
        if doubts == self._doubts and not self._accept(reply, in_doubt=in_doubt):
            raise asyncio.CancelledError
        self._renaming = False
        if doubts != self._doubts:
            self._wanted = max(self._wanted, wanted)
        elif wanted is Wanted.SNAPSHOT or following.owes_state:
            self._replace(following, reply)

    def _replace(self, following: Following, reply: Reply) -> None:
        if following.replace(reply) and self.updates is not None:
            self.updates.replaced(reply, self._session.connection.codec)

    def _accept(self, reply: Reply, *, in_doubt: bool) -> bool:
        refusal: ExchangeError | None = self._failure  # of the topic that the view has named
        goes_on = refusal is None and self.judge(reply)
        if goes_on and in_doubt and self.updates is not None and not self._in_doubt:
            refusal = self.updates.enter(reply)
        if refusal is not None:
            self._cut_short(refusal)
        return not self._ended

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this at the subscription's own pace; it is cancelled with the subscription."""
        self._asking = asyncio.get_running_loop().create_task(work)
        self._asking.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.answer_lost(self.factory.connection_id, self.message, error)
            if not self._ended:
                self._cut_short(ViewFailed())

    # The end.

    def stop(self) -> None:
        super().stop()
        self._give_back()

    def _end(self, message: bytes) -> None:
        super()._end(message)
        self._give_back()

    def _give_back(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None and asking is not asyncio.current_task():
            asking.cancel()
        self._leave_topic()
        if self.updates is not None:
            self.updates.leave()
        self._keeper.reruns.forget(self)
        self._keeper.ended(self)

    def _leave_topic(self) -> None:
        if self.attendance is not None:
            self.attendance.leave()
            self.attendance = None
        if self.following is not None:
            self.following.leave()
            self._keeper.hub.leave(self.following.topic)
            self.following = None
