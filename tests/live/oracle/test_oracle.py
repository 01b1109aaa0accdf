"""After each of thousands of random steps, everybody holds what a GET of his own would answer, and never held more.

ORACLE_STEPS says how many steps there are in all, ORACLE_SEED which ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from tests.live.oracle.machine import Machine
from tests.live.oracle.world import World

#: Whether this is one of several runs, of which another one has the full number.
BRIEF = settings().max_examples < 100

#: Steps in all (a tenth of a second each), and rules in an example.
STEPS = int(
    os.environ.get("ORACLE_STEPS") or (200 if BRIEF else 2_000 if os.environ.get("CI") else 600)
)
EXAMPLE = 40

#: PostgreSQL takes twice as long for each.
ON_SQLITE, ON_POSTGRESQL = STEPS * 3 // 10, STEPS // 5

#: In which a planted mistake is found: mostly it takes less than 30.
SOON = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + STEPS)]

#: Of :mod:`tests.live.oracle.planted`; those after the first three where there is time for more.
MISTAKES = (
    "forgets_relations",
    "one_audience",
    "forgets_too_much",
    "forgets_deleted",
    "reads_too_little",
)
LONG = "ORACLE_STEPS" in os.environ


@contextmanager
def world(
    folder: Path, number: int, *environments: dict[str, str], **options: Any
) -> Iterator[World]:
    environment = {key: value for each in environments for key, value in each.items()}
    made = World(folder, number, environment, **options)
    try:
        yield made
    finally:
        made.stop()


def walk(world: World, steps: int, seed: int) -> None:
    """Fails with what went wrong first, and what led to it."""
    world.wanted = steps
    chosen = settings(
        max_examples=steps // EXAMPLE + 2,
        stateful_step_count=EXAMPLE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    machine = seeded(seed)(type("Oracle", (Machine,), {"world": world}))
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except (AssertionError, FlakyFailure) as error:
        if not world.failure:
            raise
        raise AssertionError(world.failure) from error
    print(
        f"{world.steps} steps: {world.patches} patches, {world.replaces} replaces,"
        f" {world.ends} ends"
    )
    assert world.steps >= steps


def test_sqlite_and_one_process(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, 1) as alone:
        walk(alone, ON_SQLITE, seed)


def test_postgresql_and_one_process(
    tmp_path: Path, postgres_database: dict[str, str], seed: int
) -> None:
    with world(tmp_path, 1, postgres_database) as alone:
        walk(alone, ON_POSTGRESQL, seed + 1)


def test_sqlite_and_two_processes(tmp_path: Path, broker: dict[str, str], seed: int) -> None:
    with world(tmp_path, 2, broker) as both:
        walk(both, ON_SQLITE, seed + 2)


def test_postgresql_and_two_processes(
    tmp_path: Path, postgres_database: dict[str, str], broker: dict[str, str], seed: int
) -> None:
    with world(tmp_path, 2, broker, postgres_database) as both:
        walk(both, ON_POSTGRESQL, seed + 3)


def test_what_is_not_live_and_touched_after_each_write(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, 1, live=False) as alone:
        walk(alone, 30, seed)


@pytest.mark.parametrize("mistake", MISTAKES if LONG else MISTAKES[:3])
def test_a_mistake_is_found(tmp_path: Path, mistake: str, seed: int) -> None:
    """Nobody has to wait as long for what never comes."""
    planted = {"WSREQUEST_TEST_PLANTED": mistake}
    with world(tmp_path, 1, planted, patience=3) as alone:
        with pytest.raises(AssertionError):
            walk(alone, SOON, seed)
        assert alone.failure
        print(f"{mistake} was found after {alone.steps} steps")
