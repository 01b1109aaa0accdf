"""What must come out, and what came out of the rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.results import Spread
from benchmarks.tables import spread_text, table


@dataclass(frozen=True)
class Target:
    """What the median must be. Without any of these it is told for comparison."""

    at_least: float | None = None
    at_most: float | None = None
    less_than: float | None = None

    def met(self, value: float) -> bool | None:
        if self.at_least is not None:
            return value >= self.at_least
        if self.at_most is not None:
            return value <= self.at_most
        return None if self.less_than is None else value < self.less_than

    @property
    def bound(self) -> tuple[str, float] | None:
        for sign, value in (("≥", self.at_least), ("≤", self.at_most), ("<", self.less_than)):
            if value is not None:
                return sign, value
        return None


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

    @property
    def row(self) -> tuple[str, ...]:
        """Claim, target, what came out, and whether that is met."""
        word = {True: "met", False: "**missed**", None: ""}[self.met]
        bound = self.target.bound
        target = "" if bound is None else f"{bound[0]} {self.form.format(bound[1])}"
        return self.claim, target, spread_text(self.spread, self.form), word


@dataclass
class Figures:
    """All of them, in the order in which they were first seen."""

    all: dict[tuple[str, str], Figure] = field(default_factory=dict)
    #: What is not a number: (claim, whether it held).
    facts: list[tuple[str, bool]] = field(default_factory=list)
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

    def untrue(self) -> list[str]:
        return [claim for claim, held in self.facts if not held]


def figures_table(figures: Iterable[Figure]) -> str:
    return table(("figure", "target", "median (min-max)", ""), (figure.row for figure in figures))


def facts_table(figures: Figures) -> str:
    return table(("", ""), ((claim, "yes" if held else "**no**") for claim, held in figures.facts))


def generator_table(figures: Figures) -> str:
    """To be printed where the clients' process may have been short of time."""
    shares = (
        (name, spread_text(Spread.of(values), "{:.2f}"))
        for name, values in figures.generator.items()
    )
    return (
        "## The generator\n\nThe share of its core that the client's process used: near 1, it would be what is"
        " measured.\n\n" + table(("while measuring", "median (min-max)"), shares)
    )
