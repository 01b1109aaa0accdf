"""What METRICS may be."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from django.test import override_settings

from tests.metrics.recorder import PATIENCE, Recorder
from wsrequest.conf import Settings, get_settings, problems
from wsrequest.metrics import metrics_in_force

HERE = "tests.metrics.recorder"
WANTED = (
    "must be a dotted path to a class, or an object, that has count, gauge, gauge_add, observe."
)


@pytest.mark.parametrize(
    "path",
    [
        None,
        f"{HERE}.Recorder",
        f"{HERE}.recorder",
        "wsrequest.contrib.prometheus.PrometheusMetrics",
    ],
)
def test_a_class_or_an_object_that_has_the_four_methods(path: str | None) -> None:
    with override_settings(WSREQUEST={"METRICS": path}):
        assert problems() == []
        assert get_settings().metrics == path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (5, WANTED),
        (object(), WANTED),
        (f"{HERE}.Incomplete", WANTED),
        (f"{HERE}.PATIENCE", WANTED),
        (f"{HERE}.Nothing", "can't be imported: "),
        ("nowhere.Metrics", "can't be imported: No module named 'nowhere'"),
        ("Metrics", "can't be imported: "),
    ],
)
def test_anything_else_is_said(path: object, problem: str) -> None:
    with override_settings(WSREQUEST={"METRICS": path}):
        (found,) = problems()
    assert found.startswith(f"WSREQUEST['METRICS'] {problem}")


class Slow(Recorder):
    """Two of these would take each other's names."""

    begun = threading.Semaphore(0)
    go_on = threading.Event()
    made: ClassVar[list[Slow]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        super().__init__()


def test_a_class_is_made_once_whoever_comes_first() -> None:
    settings = Settings(metrics=f"{__name__}.Slow")
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(metrics_in_force, settings) for _ in range(4)]
        assert Slow.begun.acquire(timeout=PATIENCE)
        another = Slow.begun.acquire(timeout=0.2)
        Slow.go_on.set()
        assert not another
        assert len({future.result(PATIENCE) for future in asked}) == 1
    assert len(Slow.made) == 1
