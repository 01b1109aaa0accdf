"""What one event loop hears of one broker's topics, made whole: nothing twice, and nothing lost without a word.

A broker delivers while its connection holds. A :class:`Topic` knows its position, so it sees by the next offset whether
something is missing, reads it from the history, and tells its subscribers only where that can't be done. After an
interruption every topic is asked for what it has missed: the event that was lost may have been the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from wsrequest import log
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Broker, Page, Position, Receiver
from wsrequest.push.news import News
from wsrequest.push.presence import Presence
from wsrequest.push.publication import Joined, Left, Touched, Word, word_in
from wsrequest.push.topics import options_of

#: Seconds without the broker after which subscribers are told that something may be lost.
PATIENCE = 2.0

#: Seconds until a broker that did not answer, but is not known to be away, is asked again.
AGAIN = 0.5

#: ... and one that answered, but does not know yet of an event that it has delivered.
LAG = 0.02

#: Seconds for which a topic without subscribers is still heard: most who leave come back.
LINGER = 5.0

#: Events that are read from the history at once.
PAGE = 256

#: Events that a topic keeps while it reads what came before them.
KEPT = 1024

#: Pages of a topic's history that are kept until its next event, and for so many seconds: those who lost their
#: connections together come back together.
PAGES = 64
PAGE_TIME = 5.0

#: Topics that catch up at once after an interruption.
CATCHING_UP = 16


class Subscriber(Protocol):
    """A subscription. All is called on its event loop, and must not raise."""

    def deliver(self, news: News) -> None:
        """The next event of the topic."""

    def lost(self, why: str, newest: int | None) -> None:
        """Events are missing, up to the offset ``newest`` (None: nobody knows yet). Nothing more is delivered, as far
        as this subscriber is concerned, before :meth:`found`."""

    def found(self) -> None:
        """The topic is sound (again), at its ``position``."""

    def touched(self) -> None:
        """What the url answers has changed."""


class Topic:
    """A topic that somebody here hears. Made by :meth:`Feed.join`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.options = options_of(name)
        #: After the event that was handed on last.
        self.position = Position("", 0)
        self.subscribers: dict[Subscriber, None] = {}
        #: How many hold it: subscribers, and those that are about to be.
        self.holders = 0
        #: Whether the position is known, and everything after it will be heard.
        self.sound = False
        #: Words may have been missed, which no history has.
        self.deaf = False
        #: Nobody knows for how long what is missing can't be had.
        self.out_of_reach = False
        # What came while it was not sound, numbered; and whether there was too much of it.
        self._kept: list[tuple[int, Position, bytes]] = []
        self._number = 0
        self._spilled = False
        self._pages: dict[Position, asyncio.Future[Recovered]] = {}

    def begin(self, position: Position) -> None:
        self.position = position

    def hear(self, position: Position, payload: bytes) -> bool:
        """The broker has delivered this. False where something before it is missing."""
        if self.sound:
            epoch, offset = self.position
            if position.epoch == epoch and position.offset <= offset:
                return True
            if position == (epoch, offset + 1):
                self.spread(position, payload)
                return True
        self._number += 1
        self._kept.append((self._number, position, payload))
        if len(self._kept) > KEPT:
            self._kept.clear()  # the history has them; where it has not, that will show
            self._spilled = True
        return not self.sound

    def spread(self, position: Position, payload: bytes) -> None:
        """Hand the next event on."""
        self.position = position
        self._pages.clear()
        news = News(self.name, position, payload)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(news)

    def look(self) -> int:
        """The position is about to be read, and what comes before it: a number for :meth:`settle`."""
        self._spilled = False
        return self._number

    def settle(self, looked: int = 0) -> bool:
        """Everything up to the position was handed on: now what came in meanwhile. False where, even so, something is
        missing. What had come before the position was ``looked`` for, of another epoch, is of a past one."""
        epoch = self.position.epoch
        kept = [each for each in self._kept if each[0] > looked or each[1].epoch == epoch]
        self._kept = []
        self.sound = True
        for index, (_, position, payload) in enumerate(kept):
            if not self.hear(position, payload):
                self._kept = kept[index:]
                self.sound = False
                return False
        self.sound = not self._spilled
        return self.sound

    def each(self, call: Callable[[Subscriber], None]) -> None:
        for subscriber in tuple(self.subscribers):
            call(subscriber)

    def lose(self, newest: Position) -> None:
        """What lies before this position can't be had any more."""
        same = newest.epoch == self.position.epoch
        self.position = newest
        self._pages.clear()
        why, last = ("history", newest.offset) if same else ("epoch", None)
        self.each(lambda subscriber: subscriber.lost(why, last))

    async def since(self, after: Position, read: Read) -> Recovered:
        """The next events after this position, read once for all that ask for the same."""
        page = self._pages.get(after)
        if page is None:
            if len(self._pages) >= PAGES:
                self._pages.clear()
            page = self._pages[after] = asyncio.ensure_future(self._recover(after, read))
            page.add_done_callback(_look)
        return await asyncio.shield(page)

    async def _recover(self, after: Position, read: Read) -> Recovered:
        try:
            page = await read(self.name, after, PAGE)
        except BaseException:
            self._pages.pop(after, None)
            raise
        asyncio.get_running_loop().call_later(PAGE_TIME, self._pages.pop, after, None)
        epoch = page.newest.epoch
        news = [News(self.name, Position(epoch, at), payload) for at, payload in page.entries]
        return Recovered(news, page.newest, page.whole)


Read = Callable[[str, Position, int], Coroutine[Any, Any, Page]]


class Recovered(NamedTuple):
    """A page of the history, as subscribers are handed it; see :class:`~wsrequest.push.brokers.base.Page`."""

    news: Sequence[News]
    newest: Position
    whole: bool


def _look(task: asyncio.Future[Any]) -> None:
    """Where nobody waits any more, nobody sees the exception either."""
    if not task.cancelled():
        task.exception()


class Feed(Receiver):
    """The topics of one broker that somebody on this loop hears."""

    def __init__(
        self,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[Word], None],
        missed: Callable[[], None],
    ) -> None:
        """``heard`` is told what is said to the whole process; ``missed``, that nobody knows what was."""
        self._loop = loop
        self._heard = heard
        self._missed = missed
        self._topics: dict[str, Topic] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._catching_up: dict[Topic, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(CATCHING_UP)
        self._away = False
        self._interruptions = 0
        self._patience: asyncio.TimerHandle | None = None
        self.listener = broker.listen(loop, self)
        #: Who is on its topics.
        self.presence = Presence(self.listener)

    async def join(self, name: str) -> Topic:
        """The topic, sound and held. Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        while closing := self._closing.get(name):
            await asyncio.wait((closing,))
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name)
            task = self._opening[name] = self._loop.create_task(self._open(topic))
            task.add_done_callback(_look)
        topic.holders += 1
        try:
            if name in self._opening:
                await asyncio.shield(self._opening[name])
            if self._away or topic.out_of_reach:
                raise BrokerUnavailable
        except BaseException:
            self.leave(topic)
            raise
        return topic

    def leave(self, topic: Topic) -> None:
        """One holder less. Where it was the last, the topic is heard a little longer."""
        topic.holders -= 1
        self._close_later(topic)

    async def recover(self, topic: Topic, after: Position) -> Recovered:
        """The next page of events after a position. Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        return await topic.since(after, self.listener.history)

    async def close(self) -> None:
        """Hear nothing any more."""
        if self._patience is not None:
            self._patience.cancel()
        for task in (*self._catching_up.values(), *self._opening.values()):
            task.cancel()
        self._topics.clear()
        self.presence.close()
        await self.listener.close()

    # What the listener calls.

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        known = self._topics.get(topic)
        if known is not None and not known.hear(position, payload):
            self._catch_up(known)

    def signal(self, topic: str | None, payload: bytes) -> None:
        try:
            word = word_in(payload)
        except ValueError:
            log.word_unreadable(topic)
            return
        if topic is None:
            self._heard(word)
        elif (known := self._topics.get(topic)) is not None:
            if isinstance(word, Touched):
                known.each(lambda subscriber: subscriber.touched())
            elif isinstance(word, Joined | Left):
                self.presence.heard(topic, word)

    def interrupted(self) -> None:
        self._away = True
        self._interruptions += 1
        for topic in self._topics.values():
            topic.sound, topic.deaf = False, True
        for task in self._catching_up.values():
            task.cancel()
        self._catching_up.clear()
        if self._patience is None:
            self._patience = self._loop.call_later(PATIENCE, self._tell)

    def resumed(self) -> None:
        self._away = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        for topic in self._settled():
            self._catch_up(topic)
        self.presence.resumed()
        self._missed()

    def _tell(self) -> None:
        """The broker has been away for so long that waiting in silence would not be honest."""
        for topic in self._settled():
            topic.each(lambda subscriber: subscriber.lost("broker", None))

    def _settled(self) -> Iterator[Topic]:
        return (topic for topic in tuple(self._topics.values()) if topic.name not in self._opening)

    async def _open(self, topic: Topic) -> None:
        interruptions = self._interruptions
        try:
            position = await self.listener.subscribe(topic.name)
        except BaseException:
            del self._topics[topic.name]
            raise
        finally:
            del self._opening[topic.name]
        topic.begin(position)
        # After an interruption what the position does not have may have been missed, even if all is well by now.
        if interruptions != self._interruptions or not topic.settle():
            self._catch_up(topic)
        self._close_later(topic)  # whoever wanted it may be gone

    def _close_later(self, topic: Topic) -> None:
        if not topic.holders:
            self._loop.call_later(LINGER, self._close, topic)

    def _close(self, topic: Topic) -> None:
        name = topic.name
        if topic.holders or self._topics.get(name) is not topic or name in self._opening:
            return
        del self._topics[name]
        if (task := self._catching_up.pop(topic, None)) is not None:
            task.cancel()
        closing = self._closing[name] = self._loop.create_task(self.listener.unsubscribe(name))
        closing.add_done_callback(lambda _: self._closing.pop(name))

    def _catch_up(self, topic: Topic) -> None:
        """Read what is missing. While the broker is away that has to wait."""
        topic.sound = False
        running = self._catching_up.get(topic)
        if not self._away and (running is None or running.done()):
            task = self._loop.create_task(self._read(topic))
            self._catching_up[topic] = task

            def ended(task: asyncio.Task[None]) -> None:
                if self._catching_up.get(topic) is task:
                    del self._catching_up[topic]

            task.add_done_callback(ended)

    async def _read(self, topic: Topic) -> None:
        while not await self._read_page(topic):
            pass
        topic.out_of_reach = False
        topic.each(lambda subscriber: subscriber.found())
        if topic.deaf:
            topic.deaf = False
            topic.each(lambda subscriber: subscriber.touched())

    async def _read_page(self, topic: Topic) -> bool:
        """Whether that was all that is missing."""
        try:
            async with self._places:
                looked = topic.look()
                page = await self.listener.history(topic.name, topic.position, PAGE)
        except Exception as error:  # noqa: BLE001 (logged, and tried again)
            if not isinstance(error, BrokerUnavailable):
                log.history_unreadable(topic.name, error)
            if not topic.out_of_reach:
                topic.out_of_reach = True
                topic.each(lambda subscriber: subscriber.lost("broker", None))
            await asyncio.sleep(AGAIN)
            return False
        if not page.whole:
            topic.lose(page.newest)
        for entry in page.entries:
            topic.spread(Position(page.newest.epoch, entry.offset), entry.payload)
        if page.whole and topic.position.offset < page.newest.offset and page.entries:
            return False  # there is another page
        if topic.settle(looked):
            return True
        if page.whole and not page.entries:
            await asyncio.sleep(LAG)
        return False
