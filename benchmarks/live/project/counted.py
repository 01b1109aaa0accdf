"""What METRICS is told of live GETs."""

from __future__ import annotations

from collections import Counter

#: By the name of the counter or gauge.
figures: Counter[str] = Counter()


class Counted:
    def count(self, name: str, value: float = 1, **labels: str) -> None:
        figures[name] += value  # type: ignore[assignment]

    def gauge(self, name: str, value: float, **labels: str) -> None:
        figures[name] = value  # type: ignore[assignment]

    def gauge_add(self, name: str, value: float, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...
