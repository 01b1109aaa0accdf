"""What a listener's receiver heard, and how a test waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsrequest.push.brokers.base import Position

PATIENCE = 60


class Ear:
    """A receiver that notes everything."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Position, bytes]] = []
        self.signals: list[tuple[str | None, bytes]] = []
        #: "interrupted" and "resumed", as they were told.
        self.told: list[str] = []
        self._changed = asyncio.Event()

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        self.events.append((topic, position, payload))
        self._changed.set()

    def signal(self, topic: str | None, payload: bytes) -> None:
        self.signals.append((topic, payload))
        self._changed.set()

    def interrupted(self) -> None:
        self.told.append("interrupted")
        self._changed.set()

    def resumed(self) -> None:
        self.told.append("resumed")
        self._changed.set()

    def of(self, topic: str) -> list[tuple[Position, bytes]]:
        return [(position, payload) for name, position, payload in self.events if name == topic]

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for _, payload in self.of(topic)]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def heard(self, topic: str, count: int) -> list[tuple[Position, bytes]]:
        """So many events of this topic."""
        await self.until(lambda: len(self.of(topic)) >= count)
        return self.of(topic)
