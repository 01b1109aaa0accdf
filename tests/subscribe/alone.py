"""Subscriptions without a session around them: every step of theirs is a test's to take, and no thread has a part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable
from typing import Any, cast

from msgspec import Raw

from tests.subscribe.client import Follower
from tests.subscribe.shaky import ShakyBroker, ShakyListener
from wsrequest.conf import get_settings
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.identity import Who
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Request
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Retention
from wsrequest.push.hub import Hub
from wsrequest.push.publication import Publication, Touched, encoded
from wsrequest.push.topics import options_of
from wsrequest.session import terms
from wsrequest.session.asking import Asking
from wsrequest.session.outbox import Outbox
from wsrequest.session.rerun import Question, Reruns
from wsrequest.session.subscription import Subscription

BROKERS = {"default": {"BACKEND": "tests.subscribe.shaky.ShakyBroker"}}


async def rest() -> None:
    """Let everything run that can run on this loop, where no thread has a part."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # noqa: ASYNC110 (no event says so)
        await asyncio.sleep(0)


class World:
    """One process: a hub, its broker, and the application, whose state is one counter for each topic."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval: float = 1e6) -> None:
        self.hub = Hub(loop, lambda word: None, lambda: None)
        self.reruns = Reruns(asyncio.Semaphore(2), lambda: interval)
        self.broker = cast("ShakyBroker", broker_of())
        self.values: dict[str, int] = {}
        self.log: dict[str, dict[tuple[str, int], int]] = {}
        self.for_some: dict[str, dict[tuple[str, int], frozenset[str]]] = {}
        #: GETs that were begun and wait for their answer, as the value that they have read.
        self.gets: list[Get] = []
        self.rendering_waits = False
        self.forbidden: set[str | None] = set()

    @property
    def listener(self) -> ShakyListener:
        return self.broker.listeners[-1]

    def publish(self, topic: str, *to: str) -> None:
        value = self.values[topic] = self.values.get(topic, 0) + 1
        users = frozenset(to) if to else None
        position = self.broker.publish(
            topic,
            encoded(Publication("counted", Raw(json.dumps(value).encode()), users)),
            Retention(options_of(topic).history_size, 300),
        )
        self.log.setdefault(topic, {})[tuple(position)] = value
        if users is not None:
            self.for_some.setdefault(topic, {})[tuple(position)] = users

    def touch(self, topic: str) -> None:
        """The state changes without an event."""
        self.values[topic] = self.values.get(topic, 0) + 1
        self.broker.signal(topic, encoded(Touched()))

    async def get(self, url: str, user: str | None) -> Reply:
        """The view: it reads, and then takes its time."""
        get = Get(url, self.values.get(url, 0), user in self.forbidden)
        if self.rendering_waits:
            self.gets.append(get)
            await get.released
        who = Who(user, by_session=True)
        if get.is_refused:
            return Reply(403, {}, Raw(b'{"detail":"no"}'), identity=who)
        body = json.dumps({"value": get.value}).encode()
        return Reply(200, {}, Raw(body), identity=who)

    def render(self, number: int = 0) -> None:
        self.gets.pop(number).released.set_result(None)

    def render_all(self) -> None:
        self.rendering_waits = False
        while self.gets:
            self.render()

    def topics_left(self) -> list[str]:
        return [name for feed in self.hub._feeds.values() for name in feed._topics]

    def assert_empty(self) -> None:
        """Nothing has stayed behind of what has ended."""
        for feed in self.hub._feeds.values():
            assert not feed._topics
            assert not feed._opening
            assert not feed._closing
            assert not feed._catching_up
        assert not self.listener.topics
        assert not self.reruns._audiences
        assert not self.reruns._audience_of
        assert not self.reruns._waiting
        assert not self.reruns._checks


class Get:
    def __init__(self, url: str, value: int, is_refused: bool) -> None:
        self.url = url
        self.value = value
        self.is_refused = is_refused
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class LineAsking(Asking):
    """The GET of a subscription of a :class:`Line`."""

    __slots__ = ("line", "own_url")

    def __init__(self, line: Line, url: str) -> None:
        self.line = line
        self.own_url = url

    def question(self) -> Question:
        world, url, user = self.line.world, self.own_url, self.line.identity
        audience: Hashable = (url, user)
        return Question(audience, lambda: world.get(url, user))


class Line:
    """A connection: what a subscription needs of its session and of who keeps it, and the client at its other end."""

    observer = None

    def __init__(self, world: World, user: str | None = None, limit: int = 2**20) -> None:
        self.world = world
        self.hub, self.reruns = world.hub, world.reruns
        self.identity = user
        settings = get_settings()
        self.connection = Connection(
            JSONCodec(),
            terms.limits(settings),
            negotiated=True,
            now=0,
            ping_interval=None,
            rate=None,
            burst=1,
        )
        self.outbox = Outbox(limit, 2**30)
        self.outbox.attend(self)
        self.jar = CookieJar()
        self.factory = RequestFactory(Handshake(path="/ws/", headers=()), settings)
        self.subscriptions: dict[int, Subscription] = {}
        self.followers: dict[int, Follower] = {}
        self.topics: dict[int, str] = {}
        self.reads = True
        self.closed_with: int | None = None
        self.running: set[asyncio.Task[None]] = set()

    # The client.

    def subscribe(self, id: int, url: str, since: tuple[str, int] | None = None) -> Subscription:
        said: dict[str, Any] = {"id": id, "url": url, "method": "SUBSCRIBE"}
        if since is not None:
            said["since"] = {"epoch": since[0], "offset": since[1]}
        (message,) = self.connection.receive(json.dumps(said), 0)
        assert isinstance(message, Request)
        subscription = Subscription(self, self, message, self.factory, LineAsking(self, url))
        self.subscriptions[id] = subscription
        self.followers[id] = Follower(self.world.log.setdefault(url, {}))
        self.topics[id] = url
        task = asyncio.get_running_loop().create_task(
            subscription.open(lambda: self._start(subscription, url))
        )
        self._keep(task)
        return subscription

    def call(self, outbox: Outbox) -> None:
        """The client reads when it does."""

    def read(self) -> None:
        """Read all that there is."""
        while (messages := self.outbox.take()) is not None:
            self.outbox.sent()
            for message in messages if isinstance(messages, list) else [messages]:
                said = json.loads(message)
                follower = self.followers[said["id"]]
                follower.not_mine |= self._not_for(self.topics[said["id"]])
                follower.hear(said)

    def read_if_it_does(self) -> None:
        if self.reads:
            self.read()

    def _not_for(self, topic: str) -> set[tuple[str, int]]:
        if options_of(topic).slow == "latest":
            return set(self.world.log[topic])
        some = self.world.for_some.get(topic, {})
        return {at for at, users in some.items() if self.identity not in users}

    def become(self, user: str | None) -> None:
        """The connection is somebody else's. What was for its user until now may be told or not."""
        self.read()
        for number, follower in self.followers.items():
            follower.not_mine |= set(self.world.for_some.get(self.topics[number], {}))
            follower.muted = user in self.world.forbidden
        self.identity = user
        for subscription in tuple(self.subscriptions.values()):
            subscription.ask_again()

    def go(self) -> None:
        """The peer is gone."""
        self.outbox.discard()
        for subscription in tuple(self.subscriptions.values()):
            subscription.stop()

    # The session.

    def _start(self, subscription: Subscription, url: str) -> None:
        self._keep(asyncio.get_running_loop().create_task(self._run(subscription, url)))

    async def _run(self, subscription: Subscription, url: str) -> None:
        reply = await self.world.get(url, self.identity)
        try:
            subscription.respond(reply)
        finally:
            subscription.finished()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def answered(self, exchange: Any, message: bytes) -> None:
        self.outbox.put(message)

    def withdraw(self, exchange: Any) -> None: ...

    def finished(self, exchange: Any) -> None: ...

    def learn(self, era: int, identity: Any, status: int) -> None: ...

    # Who keeps the subscriptions.

    def ended(self, subscription: Subscription) -> None:
        self.subscriptions = {
            number: each for number, each in self.subscriptions.items() if each is not subscription
        }

    def close(self, code: int) -> None:
        self.closed_with = code
