"""The broker in memory, whose listeners can be made to wait, to lose what they should hear, and to lose touch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Page, Position, Receiver
from wsrequest.push.brokers.memory import MemoryBroker, MemoryListener


class ShakyBroker(MemoryBroker):
    """``listeners``: all that were made."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[ShakyListener] = []

    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> ShakyListener:
        listener = ShakyListener(self, loop, receiver)
        self.listeners.append(listener)
        with self.lock:
            self._listeners.append(listener)
        return listener

    def forget_everything(self) -> None:
        """As a server that was restarted empty: topics begin anew, in another epoch."""
        with self.lock:
            self._topics.clear()


class ShakyListener(MemoryListener):
    """What it is asked for waits twice, before it is done and before that is known, at any step in ``stops``."""

    def __init__(
        self, broker: ShakyBroker, loop: asyncio.AbstractEventLoop, receiver: Receiver
    ) -> None:
        super().__init__(broker, loop, receiver)
        self.away = False
        self.lose_next = 0
        self.stops: set[str] = set()
        self.waiting: list[tuple[str, asyncio.Future[None]]] = []
        #: Called when something waits.
        self.reached = asyncio.Event()
        self.failure: Exception | None = None
        self.histories = 0

    # What a test does.

    def interrupt(self) -> None:
        """The connection is lost, and it is noticed."""
        self.away = True
        self.receiver.interrupted()

    def resume(self) -> None:
        self.away = False
        self.receiver.resumed()

    async def arrived(self, step: str) -> None:
        """Wait until something waits at this step."""
        async with asyncio.timeout(20):
            while step not in (at for at, _ in self.waiting):
                self.reached.clear()
                await self.reached.wait()

    def let_go(self, number: int = 0) -> None:
        """What waits for longest goes on, or the one with this number."""
        _, future = self.waiting.pop(number)
        if not future.done():
            future.set_result(None)

    def let_all_go(self) -> None:
        self.stops.clear()
        while self.waiting:
            self.let_go()

    # The seam.

    def hear(self, payload: bytes, tell: Callable[[], None]) -> None:
        if self.away:
            return
        if self.lose_next:
            self.lose_next -= 1
            return
        super().hear(payload, tell)

    async def subscribe(self, topic: str) -> Position:
        await self._step("subscribe")
        position = await super().subscribe(topic)
        try:
            await self._step("position")
        except BaseException:
            self.topics.discard(topic)
            raise
        return position

    async def unsubscribe(self, topic: str) -> None:
        await self._pause("unsubscribe")
        await super().unsubscribe(topic)

    async def history(self, topic: str, after: Position, limit: int) -> Page:
        self.histories += 1
        await self._step("history")
        page = await super().history(topic, after, limit)
        await self._step("page")
        return page

    async def _step(self, name: str) -> None:
        if self.failure is not None:
            raise self.failure
        await self._pause(name)
        if self.away:
            raise BrokerUnavailable

    async def _pause(self, name: str) -> None:
        if name in self.stops:
            future = asyncio.get_running_loop().create_future()
            self.waiting.append((name, future))
            self.reached.set()
            await future
