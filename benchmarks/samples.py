"""One measurement, and what can be read off it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """What one contender did in one round. Times are in seconds."""

    requests: int
    seconds: float
    server_cpu: float
    generator_cpu: float
    latencies: list[float]
    body: bytes

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu(self) -> float:
        """Seconds of server CPU, user and system, per request."""
        return self.server_cpu / self.requests

    @property
    def server_busy(self) -> float:
        """The share of its core that the server used."""
        return self.server_cpu / self.seconds

    @property
    def generator_busy(self) -> float:
        """The share of its core that the generator used: near 1, it would be what is measured."""
        return self.generator_cpu / self.seconds

    def latency(self, quantile: float) -> float | None:
        """Return the time within which this share of the requests was answered."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
