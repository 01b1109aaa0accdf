"""What a client makes of what a subscription tells it, and what it holds the server to.

The application is a counter: each publication raises it, and says its new value; the url answers the present value. So
whoever has missed something without being told has a wrong value in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Follower:
    """One subscription, as the application callback of a client sees it. ``log`` is what was published: by epoch and
    offset, the value."""

    log: dict[tuple[str, int], Any]
    #: Positions that may be skipped: they were for others.
    not_mine: set[tuple[str, int]] = field(default_factory=set)
    #: Nothing of the url may be told any more.
    muted: bool = False
    value: Any = None
    epoch: str = ""
    offset: int = 0
    rev: int = 0
    recovered: bool | None = None
    #: Whether the server has said that something is lost, and has not yet made it good.
    in_loss: bool = False
    losses: list[str] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)
    answer: Any = None
    ended: Any = None

    def hear(self, message: Any) -> None:
        """One message of the subscription."""
        assert self.ended is None, f"after the end: {message}"
        if self.answer is None:
            self._begin(message)
        elif "end" in message:
            self.ended = message
        elif message["event"] == "lost":
            self._lose(message["data"])
        elif message["event"] == "replace":
            self._replace(message)
        else:
            self._take(message)

    @property
    def live(self) -> bool:
        return self.answer is not None and self.ended is None

    def _begin(self, message: Any) -> None:
        assert "status" in message, f"before the answer: {message}"
        self.answer = message
        subscription = message.get("subscription")
        if subscription is None:
            self.ended = message
            return
        self.value = message["data"]["value"]
        self.epoch, self.offset = subscription["epoch"], subscription["offset"]
        self.recovered = subscription.get("recovered")
        assert subscription["rev"] == 0

    def _lose(self, data: Any) -> None:
        assert not self.in_loss, "told twice"
        assert data["from"] == self.offset + 1
        self.in_loss = True
        self.losses.append(data["why"])

    def _replace(self, message: Any) -> None:
        assert not self.muted, message
        self.rev += 1
        assert message["rev"] == self.rev
        assert ("offset" in message) is self.in_loss, message
        if self.in_loss:
            self.in_loss = False
            self.epoch, self.offset = message["epoch"], message["offset"]
        self.value = message["data"]["value"]

    def _take(self, message: Any) -> None:
        assert not self.muted, message
        assert not self.in_loss, f"between lost and replace: {message}"
        skipped = message.get("skip", 0)
        assert message["offset"] == self.offset + skipped + 1, (message, self.offset)
        for offset in range(self.offset + 1, message["offset"]):
            assert (self.epoch, offset) in self.not_mine, f"{offset} was not for others"
        self.offset = message["offset"]
        position = self.epoch, self.offset
        assert position not in self.events, f"{position} twice"
        self.events.append(position)
        assert self.log[position] == message["data"], position
        self.value = message["data"]
