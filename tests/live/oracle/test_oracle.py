"""After each of thousands of random steps, everybody holds what a GET of his own would answer, and never held more.

ORACLE_STEPS says how many steps there are in all, ORACLE_SEED which ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed as seeded, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.live.oracle.machine import Machine
from tests.live.oracle.world import World

#: Steps in all, and in an example.
STEPS, EXAMPLE = int(os.environ.get("ORACLE_STEPS") or 2_000), 50

LIVE = not os.environ.get("ORACLE_TOUCH")

pytestmark = pytest.mark.timeout(180 + STEPS)


@contextmanager
def world(folder: Path, number: int, *environments: dict[str, str], live: bool = LIVE) -> Iterator[World]:
    made = World(folder, number, {key: value for each in environments for key, value in each.items()}, live=live)
    try:
        yield made
    finally:
        made.stop()


def walk(world: World, steps: int, seed: int) -> None:
    world.wanted = steps
    chosen = settings(
        max_examples=max(1, steps // EXAMPLE),
        stateful_step_count=EXAMPLE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    machine = seeded(seed)(type("Oracle", (Machine,), {"world": world}))
    run_state_machine_as_test(machine, settings=chosen)
    print(f"{world.steps} steps: {world.patches} patches, {world.replaces} replaces, {world.ends} ends")
    assert world.steps >= steps


def test_sqlite_and_one_process(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, 1) as alone:
        walk(alone, STEPS // 4, seed)


def test_postgresql_and_one_process(
    tmp_path: Path, postgres_database: dict[str, str], seed: int
) -> None:
    with world(tmp_path, 1, postgres_database) as alone:
        walk(alone, STEPS // 4, seed + 1)


def test_sqlite_and_two_processes(tmp_path: Path, broker: dict[str, str], seed: int) -> None:
    with world(tmp_path, 2, broker) as both:
        walk(both, STEPS // 4, seed + 2)


def test_postgresql_and_two_processes(
    tmp_path: Path, postgres_database: dict[str, str], broker: dict[str, str], seed: int
) -> None:
    with world(tmp_path, 2, broker, postgres_database) as both:
        walk(both, STEPS // 4, seed + 3)
