"""A token bucket: how many messages a peer may send, as numbers. Time comes in as seconds on the caller's clock."""

from __future__ import annotations


class TokenBucket:
    """``burst`` tokens at once, and ``rate`` more each second (https://en.wikipedia.org/wiki/Token_bucket)."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def left(self, now: float) -> int:
        """How many can be taken at this moment."""
        return int(min(self._burst, self._tokens + (now - self._filled_at) * self._rate))

    def take(self, now: float) -> float:
        """Take a token; 0 if there was one, else the seconds until there will be."""
        tokens = self._tokens + (now - self._filled_at) * self._rate
        self._filled_at = now
        if tokens > self._burst:
            tokens = self._burst
        if tokens >= 1:
            self._tokens = tokens - 1
            return 0
        self._tokens = tokens
        return (1 - tokens) / self._rate
