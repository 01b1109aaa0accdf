"""What METRICS may be."""

from __future__ import annotations

import pytest
from django.test import override_settings

from wsrequest.conf import get_settings, problems

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
