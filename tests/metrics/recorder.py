"""Metrics that a test can look into, and wait for."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future

from wsrequest.metrics import INSTRUMENTS

PATIENCE = 20

Key = tuple[object, ...]


class Recorder:
    """What was counted, by name and labels; anything that INSTRUMENTS does not promise is an error."""

    def __init__(self) -> None:
        self._kinds = {instrument.name: instrument for instrument in INSTRUMENTS}
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.values: defaultdict[Key, float] = defaultdict(float)
        self.highest: defaultdict[Key, float] = defaultdict(float)
        self.observed: defaultdict[Key, list[float]] = defaultdict(list)
        self.wrong: list[str] = []
        self._waiting: list[tuple[Callable[[], bool], Future[None]]] = []

    # The seam.

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        self._note("counter", name, labels, value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._note("gauge", name, labels, value - self.values[_key(name, labels)])

    def gauge_add(self, name: str, value: float, **labels: str) -> None:
        self._note("gauge", name, labels, value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._note("histogram", name, labels, value)

    # The test's side.

    def value(self, name: str, **labels: str) -> float:
        return self.values[_key(name, labels)]

    def peak(self, name: str) -> float:
        """The highest value that a gauge has had."""
        return self.highest[_key(name, {})]

    def observations(self, name: str, **labels: str) -> list[float]:
        return self.observed[_key(name, labels)]

    def labelled(self, name: str) -> dict[tuple[str, ...], float]:
        """All values of this name, by the values of its labels."""
        return {
            tuple(value for _, value in labels): number
            for (own, *labels), number in self.values.items()
            if own == name and number
        }

    @property
    def names(self) -> set[object]:
        return {name for name, *_ in (*self.values, *self.observed)}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds; it is asked again after each figure."""
        future: Future[None] = Future()
        with self._lock:
            if condition():
                return
            self._waiting.append((condition, future))
        async with asyncio.timeout(PATIENCE):
            await asyncio.wrap_future(future)

    async def reached(self, name: str, number: float, **labels: str) -> None:
        await self.until(lambda: self.value(name, **labels) == number)

    def _note(self, kind: str, name: str, labels: dict[str, str], value: float) -> None:
        instrument = self._kinds.get(name)
        if instrument is None or instrument.kind != kind or set(labels) != set(instrument.labels):
            self.wrong.append(f"{kind} {name} {labels}")
        key = _key(name, labels)
        with self._lock:
            if kind == "histogram":
                self.observed[key].append(value)
            else:
                self.values[key] += value
                self.highest[key] = max(self.highest[key], self.values[key])
            done = [future for condition, future in self._waiting if condition()]
            self._waiting = [entry for entry in self._waiting if entry[1] not in done]
        for future in done:
            future.set_result(None)


def _key(name: str, labels: dict[str, str]) -> Key:
    return (name, *sorted(labels.items()))


class Broken:
    """Metrics that always fail."""

    def _fail(self, name: str, *args: float, **labels: str) -> None:
        raise RuntimeError("the figures can't be taken")

    count = gauge = gauge_add = observe = _fail


class Incomplete:
    def count(self, name: str, value: float = 1, **labels: str) -> None: ...


recorder = Recorder()
