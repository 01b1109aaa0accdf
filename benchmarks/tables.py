"""Figures and tables, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Spread


def spread_text(spread: Spread, form: str) -> str:
    """Return the median, with lowest and highest in parentheses."""
    low, median, high = (form.format(x) for x in (spread.low, spread.median, spread.high))
    return f"{median} ({low}-{high})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
