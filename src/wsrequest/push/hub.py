"""Where the subscriptions of one event loop meet the brokers: one feed for each broker that is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsrequest.push.brokers import DEFAULT, broker_of
from wsrequest.push.brokers.base import Listener, Position
from wsrequest.push.feed import Feed, Recovered, Topic
from wsrequest.push.presence import Presence
from wsrequest.push.publication import Word
from wsrequest.push.topics import options_of


class Hub:
    """One for each event loop that has connections; everything is called on that loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[Word], None],
        missed: Callable[[], None],
    ) -> None:
        """``heard`` is told what is said to all rather than to a topic; ``missed``, that such words may have been."""
        self._loop = loop
        self._heard = heard
        self._missed = missed
        self._feeds: dict[str, Feed] = {}
        self._feed(DEFAULT)

    async def join(self, name: str) -> Topic:
        """A topic by its name, to be given back by :meth:`leave`; who wants its events enters ``topic.subscribers``.
        Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        return await self._feed(options_of(name).broker).join(name)

    def leave(self, topic: Topic) -> None:
        self._feed(topic.options.broker).leave(topic)

    async def recover(self, topic: Topic, after: Position) -> Recovered:
        """The next page of its events after this position. Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        return await self._feed(topic.options.broker).recover(topic, after)

    def listener(self, topic: Topic) -> Listener:
        """By which a topic is heard, for what else its broker knows of it."""
        return self._feed(topic.options.broker).listener

    def presence(self, topic: Topic) -> Presence:
        """Who is on the topics of its broker."""
        return self._feed(topic.options.broker).presence

    async def signal(self, topic: str | None, payload: bytes) -> None:
        """Say something in passing by the default broker, to all processes with None. Raises
        :class:`~wsrequest.errors.BrokerUnavailable`."""
        await self._feed(DEFAULT).listener.signal(topic, payload)

    async def close(self) -> None:
        """Hear nothing any more."""
        for feed in self._feeds.values():
            await feed.close()
        self._feeds.clear()

    def _feed(self, alias: str) -> Feed:
        feed = self._feeds.get(alias)
        if feed is None:
            feed = self._feeds[alias] = Feed(
                broker_of(alias), self._loop, self._heard, self._missed
            )
        return feed
