"""Who writes down what a listener hears, so that a test can wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsrequest.push.brokers.base import Position

PATIENCE = 30  # seconds


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, Position, bytes]] = []
        self.signals: list[tuple[str | None, bytes]] = []
        self.turns: list[str] = []  # interrupted and resumed
        self._changed = asyncio.Event()

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        self.events.append((topic, position, payload))
        self._changed.set()

    def signal(self, topic: str | None, payload: bytes) -> None:
        self.signals.append((topic, payload))
        self._changed.set()

    def interrupted(self) -> None:
        self.turns.append("interrupted")
        self._changed.set()

    def resumed(self) -> None:
        self.turns.append("resumed")
        self._changed.set()

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for name, _, payload in self.events if name == topic]

    def offsets(self, topic: str) -> list[int]:
        return [position.offset for name, position, _ in self.events if name == topic]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
