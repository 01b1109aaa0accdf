"""What reads and writes cost in one process: ``costs ROUNDS GETS SAVES SECONDS CORE SESSION``.

Prints what was measured as JSON: for each case and way the medians of each round, in seconds: of the time that a call
took, and of the CPU time that the process used for it, in all threads. A case is measured for SECONDS at most. The
ways of a case take turns, so that whatever else the machine does meets all of them: GETs call by call; saves some at a
time, as other threads go on for a while with what a save has set off. One way is there twice: what it differs from
itself is the noise.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import django

from benchmarks import processes
from wsrequest.livequery import spreading

WARM_UP = 20
#: Saves at once, and the seconds after them in which other threads come to rest.
AT_ONCE, SETTLE = 50, 0.005
BARE, AGAIN, INSTALLED, TRACKED = "bare", "again", "installed", "tracked"

Way = Callable[[], object]
Measured = dict[str, dict[str, list[tuple[float, float]]]]


def main() -> None:
    rounds, gets, saves = map(int, sys.argv[1:4])
    seconds, core, session = float(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
    os.sched_setaffinity(0, {core})
    processes.raise_priority(os.getpid())
    django.setup()
    from benchmarks.live.costs_of_gets import cases_of_gets
    from benchmarks.live.costs_of_saves import cases_of_saves

    measured: Measured = {}
    wrappers = Wrappers()
    over_valkey = "BENCH_VALKEY" in os.environ

    def take(name: str, ways: Mapping[str, Way], times: int, at_once: int) -> None:
        found = alternately(ways, times, at_once, seconds)
        if number >= 0:
            for way, medians in found.items():
                measured.setdefault(name, {}).setdefault(way, []).append(medians)

    for number in range(-1, rounds):  # the first one is to warm up
        if gets:
            for name, ways in cases_of_gets(session, wrappers):
                take(name, ways, gets if number >= 0 else WARM_UP, 1)
        for name, ways in cases_of_saves(wrappers, over_valkey=over_valkey):
            take(name, ways, saves if number >= 0 else WARM_UP, AT_ONCE)
    print(json.dumps(measured))


def alternately(
    ways: Mapping[str, Way], times: int, at_once: int, seconds: float
) -> dict[str, tuple[float, float]]:
    """The median times of each."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    used: dict[str, list[float]] = {way: [] for way in ways}
    order = list(ways.items())
    until = time.perf_counter() + seconds
    gc.collect()
    gc.disable()
    try:
        for _ in range(max(1, times // at_once)):
            for way, call in order:
                cpu = time.process_time()
                for _ in range(at_once):
                    began = time.perf_counter()
                    call()
                    taken[way].append(time.perf_counter() - began)
                if at_once > 1:
                    spreading.flush()
                    time.sleep(SETTLE)
                used[way].append((time.process_time() - cpu) / at_once)
            random.shuffle(order)
            if time.perf_counter() > until:
                break
    finally:
        gc.enable()
    return {way: (statistics.median(taken[way]), statistics.median(used[way])) for way in ways}


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
