"""What must come out, and what came out of the rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.results import Spread


@dataclass(frozen=True)
class Target:
    """What the median must be. Without either it is told for comparison."""

    at_least: float | None = None
    less_than: float | None = None

    def met(self, value: float) -> bool | None:
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.less_than is None else value < self.less_than

    @property
    def bound(self) -> tuple[str, float] | None:
        if self.at_least is not None:
            return "≥", self.at_least
        return None if self.less_than is None else ("<", self.less_than)


NONE = Target()


@dataclass
class Figure:
    """A figure, one value a round."""

    group: str
    claim: str
    form: str
    target: Target
    values: list[float] = field(default_factory=list)

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)

    @property
    def met(self) -> bool | None:
        return self.target.met(self.spread.median)


@dataclass
class Figures:
    """All of them, in the order in which they were first seen."""

    all: dict[tuple[str, str], Figure] = field(default_factory=dict)
    #: The share of its core that the generator used while something was measured: near 1, it would be what is measured.
    generator: dict[str, list[float]] = field(default_factory=dict)

    def add(self, group: str, claim: str, value: float, form: str, target: Target = NONE) -> None:
        """``form`` is a format, with the unit: "{:.2f} s"."""
        figure = self.all.setdefault((group, claim), Figure(group, claim, form, target))
        figure.values.append(value)

    def groups(self) -> dict[str, list[Figure]]:
        found: dict[str, list[Figure]] = {}
        for figure in self.all.values():
            found.setdefault(figure.group, []).append(figure)
        return found

    def missed(self) -> list[Figure]:
        return [figure for figure in self.all.values() if figure.met is False]
