"""The subscriptions of one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from django.http import HttpRequest
from msgspec import structs

from wsrequest.conf import Settings
from wsrequest.errors import TooManyLive, TooManySubscriptions
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.messages import Request
from wsrequest.protocol.tokens import expiry
from wsrequest.session import asking
from wsrequest.session.asking import Asking
from wsrequest.session.attendance import Attendance, Introduction
from wsrequest.session.exchange import Exchange, Owner
from wsrequest.session.subscription import Subscription
from wsrequest.session.switchboard import Switchboard
from wsrequest.session.updates import Updates

#: Seconds that a GET may take which is run again, where REQUEST_TIMEOUT is longer or not set.
LONGEST = 30.0


class Session(Owner, asking.Session, Protocol):
    """What subscriptions need of their connection."""

    identity: str | None
    loop: asyncio.AbstractEventLoop

    def run_call(self, call: Call, exchange: Exchange) -> None:
        """Let the exchange be told what becomes of the call."""

    def close(self, code: int) -> None: ...


class Subscriptions:
    """Made with the first SUBSCRIBE of a connection."""

    def __init__(self, session: Session, switchboard: Switchboard, settings: Settings) -> None:
        self.hub = switchboard.hub
        self.reruns = switchboard.reruns
        self._queries = switchboard.queries
        self._session = session
        self._most = settings.max_subscriptions
        self._most_live = settings.max_live
        self._live = settings.live
        self._seconds = min(settings.request_timeout or LONGEST, LONGEST)
        self._members: set[Subscription] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._expiries: dict[Subscription, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, message: Request, factory: RequestFactory) -> Subscription | None:
        """A new one, that is to be opened; None where it was refused."""
        get = Asking(self._session, structs.replace(message, method="GET"), self._seconds)
        subscription = Subscription(self._session, self, message, factory, get)
        if len(self._members) >= self._most:
            subscription.fail(TooManySubscriptions())
            return None
        if message.live:
            if sum(each.message.live for each in self._members) >= self._most_live:
                subscription.fail(TooManyLive())
                return None
            subscription.updates = Updates(subscription, get, self._queries, allowed=self._live)
        self._members.add(subscription)
        self._watch_token(subscription)
        return subscription

    def _watch_token(self, subscription: Subscription) -> None:
        """A message may have brought a token of its own: when that has expired, the url is asked again."""
        message = subscription.message
        token = message.token or (message.headers or {}).get("authorization", "")
        expires = expiry(token.rpartition(" ")[2])
        if expires is not None:
            left = max(0.0, expires - time.time())
            timer = self._session.loop.call_later(left, subscription.ask_again)
            self._expiries[subscription] = timer

    def open(self, subscription: Subscription) -> None:
        """Let it hold its url's events, and then run its GET."""
        opening = self._session.loop.create_task(
            subscription.open(lambda: self._start(subscription))
        )
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def ask_again(self) -> None:
        """Who the connection is has changed."""
        for subscription in tuple(self._members):
            subscription.ask_again()

    def cookies_changed(self) -> None:
        """The connection has other cookies. Who it is may be what it was: logged in again, say, after a session that
        was ended elsewhere."""
        for subscription in tuple(self._members):
            if subscription.updates is not None:
                subscription.updates.moved()
            elif (following := subscription.following) and following.user != self.identity:
                subscription.ask_again()

    def step_out(self) -> None:
        """The connection is about to go: others are not to see it there any more."""
        for subscription in self._members:
            if subscription.attendance is not None:
                subscription.attendance.go_away()

    def stop(self) -> None:
        """The peer is gone."""
        for subscription in tuple(self._members):
            subscription.stop()

    # Called by Subscription.

    @property
    def identity(self) -> str | None:
        return self._session.identity

    async def ask_alone(self, subscription: Subscription) -> Reply:
        call = subscription.asking.call(Naming(subscription, self._session.loop))
        if subscription.updates is not None:
            subscription.updates.watch(call)
        return await subscription.asking.ask(call)

    async def introduce(self, subscription: Subscription, attendance: Attendance) -> Reply:
        return await subscription.asking.ask(subscription.asking.call(Introduction(attendance)))

    def ended(self, subscription: Subscription) -> None:
        self._members.discard(subscription)
        if (timer := self._expiries.pop(subscription, None)) is not None:
            timer.cancel()

    def close(self, code: int) -> None:
        self._session.close(code)

    def _start(self, subscription: Subscription) -> None:
        call = self._session.call(subscription.asking.request, subscription.factory)
        call.subscription = Naming(subscription, self._session.loop)
        if subscription.updates is not None:
            subscription.updates.watch(call)
        self._session.run_call(call, subscription)


class Naming:
    """How a request's view names the topic that its subscription is to hear."""

    def __init__(self, subscription: Subscription, loop: asyncio.AbstractEventLoop) -> None:
        self._subscription = subscription
        self._loop = loop

    def hear(self, name: str) -> None:
        """Returns when the topic's events are held. To be called on any thread but the event loop's. Raises
        :class:`~wsrequest.errors.BrokerUnavailable`."""
        self._begin(name).result()

    async def ahear(self, name: str) -> None:
        """The same, on any event loop."""
        await asyncio.wrap_future(self._begin(name))

    def keep_live(self, allowed: bool, min_interval: float | None) -> None:
        """What the view says of being live. On any thread."""
        if (updates := self._subscription.updates) is not None:
            updates.allowed, updates.min_interval = allowed, min_interval

    def last_step(self, request: HttpRequest) -> Callable[[], None] | None:
        """What is to be done on a thread, as a part of this request, once its url has said yes; None: nothing."""
        attendance = self._subscription.attendance
        return None if attendance is None else attendance.last_step(request)

    def _begin(self, name: str) -> Future[None]:
        self._subscription.is_named = True
        return asyncio.run_coroutine_threadsafe(self._subscription.hear(name), self._loop)
