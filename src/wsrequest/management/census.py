"""Asking all processes what is live in them: each event loop that has had a connection answers, in parts."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from wsrequest.livequery.report import Audience, Part, part_in
from wsrequest.push.brokers.base import Broker, Position
from wsrequest.push.publication import LiveAsked, encoded

#: Audiences that are kept; more than that are counted only.
MOST_KEPT = 50_000


@dataclass
class Answer:
    """What one event loop has told."""

    head: Part
    parts: dict[int, list[Audience]] = field(default_factory=dict)

    @property
    def audiences(self) -> list[Audience]:
        return [audience for number in sorted(self.parts) for audience in self.parts[number]]

    @property
    def is_whole(self) -> bool:
        """Whether all that was to be told has come."""
        return len(self.parts) == self.head.parts


class Census:
    """The receiver of a listener of its own."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._room = MOST_KEPT

    @property
    def answers(self) -> list[Answer]:
        return sorted(self._answers.values(), key=lambda each: (each.head.process, each.head.loop))

    async def take(self, broker: Broker, most: int, seconds: float) -> None:
        """Ask, and hear what comes within so many seconds: nobody knows who there is to answer. Raises
        :class:`~wsrequest.errors.BrokerUnavailable`."""
        topic = f"@wsrequest.live/{secrets.token_hex(8)}"
        listener = broker.listen(asyncio.get_running_loop(), self)
        try:
            await listener.subscribe(topic)
            await listener.signal(None, encoded(LiveAsked(topic, most)))
            await asyncio.sleep(seconds)
        finally:
            await listener.close()

    # What the listener calls.

    def signal(self, topic: str | None, payload: bytes) -> None:
        if topic is None:
            return
        try:
            part = part_in(payload)
        except ValueError:
            return
        answer = self._answers.setdefault(part.loop, Answer(part))
        if part.part not in answer.parts and len(part.audiences) <= self._room:
            self._room -= len(part.audiences)
            answer.parts[part.part] = part.audiences

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        """Nothing is published there."""

    def interrupted(self) -> None:
        """What was missed is missing."""

    def resumed(self) -> None: ...
