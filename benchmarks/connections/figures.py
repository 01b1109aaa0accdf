"""What must come out, and what came out of the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.results import Spread


@dataclass
class Figure:
    """A figure with its target, one value a round. Without ``at_most`` it is told for comparison."""

    group: str
    claim: str
    unit: str
    at_most: float | None = None
    below: bool = False
    values: list[float] = field(default_factory=list)

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)

    @property
    def met(self) -> bool | None:
        if self.at_most is None:
            return None
        median = self.spread.median
        return median < self.at_most if self.below else median <= self.at_most

    @property
    def bound(self) -> str:
        if self.at_most is None:
            return ""
        return f"{'<' if self.below else '≤'} {self.at_most:g}{self.unit}"


@dataclass
class Figures:
    """All of them, in the order in which they were first seen."""

    all: dict[tuple[str, str], Figure] = field(default_factory=dict)
    #: What is not a number: (claim, whether it held).
    facts: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        group: str,
        claim: str,
        value: float,
        *,
        unit: str = "",
        at_most: float | None = None,
        below: bool = False,
    ) -> None:
        figure = self.all.setdefault(
            (group, claim), Figure(group, claim, unit, at_most=at_most, below=below)
        )
        figure.values.append(value)

    def groups(self) -> dict[str, list[Figure]]:
        found: dict[str, list[Figure]] = {}
        for figure in self.all.values():
            found.setdefault(figure.group, []).append(figure)
        return found

    def missed(self) -> Sequence[Figure]:
        return [figure for figure in self.all.values() if figure.met is False]
