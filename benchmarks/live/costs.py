"""What reads and writes cost in one process: ``costs ROUNDS GETS SAVES CORE SESSION``.

Prints what was measured as JSON: for each case one list of medians (seconds) a way, with a median for each round. The
ways of a case take turns, call by call, so that whatever else the machine does meets all of them. One of them is there
twice: what it differs from itself is the noise.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import django

from benchmarks import processes

WARM_UP = 30
BARE, AGAIN, INSTALLED, TRACKED = "bare", "again", "installed", "tracked"

Way = Callable[[], object]
Measured = dict[str, dict[str, list[float]]]


def main() -> None:
    rounds, gets, saves = map(int, sys.argv[1:4])
    os.sched_setaffinity(0, {int(sys.argv[4])})
    processes.raise_priority(os.getpid())
    django.setup()
    from benchmarks.live.costs_of_gets import cases_of_gets
    from benchmarks.live.costs_of_saves import cases_of_saves

    measured: Measured = {}
    wrappers = Wrappers()
    over_valkey = "BENCH_VALKEY" in os.environ
    for number in range(-1, rounds):  # the first one is to warm up
        if gets:
            for name, ways in cases_of_gets(sys.argv[5], wrappers):
                _take(measured, name, ways, gets, number)
        if saves:
            for name, ways in cases_of_saves(wrappers, over_valkey=over_valkey):
                _take(measured, name, ways, saves, number)
    print(json.dumps(measured))


def _take(measured: Measured, name: str, ways: Mapping[str, Way], times: int, number: int) -> None:
    found = alternately(ways, times if number >= 0 else WARM_UP)
    if number >= 0:
        for way, median in found.items():
            measured.setdefault(name, {}).setdefault(way, []).append(median)


def alternately(ways: Mapping[str, Way], times: int) -> dict[str, float]:
    """The median time of each."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    order = list(ways.items())
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            for way, call in order:
                began = time.perf_counter()
                call()
                taken[way].append(time.perf_counter() - began)
            order.append(order.pop(0))
    finally:
        gc.enable()
    return {way: statistics.median(each) for way, each in taken.items()}


class Wrappers:
    """The connection's ``execute_wrappers``, with and without ours."""

    def __init__(self) -> None:
        from django.db import connection

        connection.ensure_connection()
        self._connection: Any = connection
        self._ours = list(connection.execute_wrappers)
        if len(self._ours) != 1:
            raise RuntimeError(f"Not only ours: {self._ours}")

    def without(self, call: Way) -> Way:
        def bare() -> None:
            self._connection.execute_wrappers = []
            call()

        return bare

    def within(self, call: Way) -> Way:
        def installed() -> None:
            self._connection.execute_wrappers = self._ours
            call()

        return installed


if __name__ == "__main__":
    main()
