"""The samples of a run, by contender and round, and the ratios between them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.plan import Contender, Target
from benchmarks.samples import Sample


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        listed = list(figures)
        return cls(statistics.median(listed), min(listed), max(listed))


@dataclass(frozen=True)
class Verdict:
    """A target, and the ratios that were measured."""

    target: Target
    ratio: Spread

    @property
    def met(self) -> bool:
        return self.target.met(self.ratio.median)


@dataclass(frozen=True)
class Connections:
    """What a number of requests left behind in the database, and how many of them failed."""

    server: str
    requests: int
    failed: int
    left_open: int


@dataclass
class Results:
    """Everything that a run has measured."""

    samples: dict[Contender, list[Sample]] = field(default_factory=dict)
    connections: list[Connections] = field(default_factory=list)

    def add(self, contender: Contender, sample: Sample) -> None:
        """Keep a sample, whose body must mean the same as every other contender's for that path."""
        for other, samples in self.samples.items():
            if other.path == contender.path and not same(samples[0].body, sample.body):
                raise RuntimeError(f"{contender} and {other} do not answer the same.")
        self.samples.setdefault(contender, []).append(sample)

    def spread(self, contender: Contender, figure: Callable[[Sample], float]) -> Spread:
        return Spread.of(figure(sample) for sample in self.samples[contender])

    def ratio(self, over: Contender, under: Contender, measure: str) -> Spread:
        """Return ``over / under`` round by round."""
        pairs = zip(self.samples[over], self.samples[under], strict=True)
        return Spread.of(getattr(a, measure) / getattr(b, measure) for a, b in pairs)

    def verdict(self, target: Target) -> Verdict:
        return Verdict(target, self.ratio(target.over, target.under, target.measure))


def same(one: bytes, other: bytes) -> bool:
    """Say whether two bodies are the same JSON."""
    return one == other or json.loads(one) == json.loads(other)
