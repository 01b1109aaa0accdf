"""What a client has missed that comes back with the position at which it was last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wsrequest.errors import BrokerUnavailable
from wsrequest.protocol.messages import Since
from wsrequest.push.brokers.base import Position
from wsrequest.push.feed import Recovered
from wsrequest.push.hub import Hub
from wsrequest.session.following import Following


class Recovery:
    """The events between the client's position and the one at which its snapshot stands, a page at a time."""

    def __init__(
        self,
        hub: Hub,
        following: Following,
        since: Since,
        may_send: Callable[[], Awaitable[None]],
    ) -> None:
        """``may_send`` returns when the next event may be sent."""
        self._hub = hub
        self._following = following
        self._may_send = may_send
        self._topic = following.topic
        self._start = following.start
        #: After the last event that the client has.
        self.after = Position(since.epoch, since.offset)
        self._page: Recovered | None = None

    async def begin(self) -> bool:
        """Whether all that was missed can be had."""
        if self.after == self._start:
            return True
        if self.after.epoch == self._start.epoch:
            self._page = await self._read()
        return self._page is not None

    async def go_on(self) -> None:
        """Send it; where the rest of it is gone by now, say so."""
        while self._page is not None and self.after.offset < self._start.offset:
            if not self._page.news:
                break
            for news in self._page.news:
                if news.offset > self._start.offset:
                    break  # it is held
                await self._may_send()
                if self._following.topic is not self._topic:
                    return
                self._following.pass_on(news)
                self.after = Position(self._start.epoch, news.offset)
            if self.after.offset < self._start.offset:
                self._page = await self._read()
        if self.after.offset < self._start.offset:
            self._following.lost("history", self._start.offset)

    async def _read(self) -> Recovered | None:
        """The next events; None where they can't be had."""
        try:
            page = await self._hub.recover(self._following.topic, self.after)
        except BrokerUnavailable:
            return None
        return page if page.whole else None
