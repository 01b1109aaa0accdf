"""A database and a running server for each module; figures and throttles that begin anew for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.metrics import urls  # noqa: F401 (here, and not on an event loop)
from tests.metrics.recorder import Recorder
from tests.metrics.recorder import recorder as the_recorder
from tests.support.database import database, tables
from tests.support.fixtures import gate, new_gate, server
from wsrequest.log import throttle

__all__ = ["database", "gate", "new_gate", "recorder", "server", "tables"]


@pytest.fixture(autouse=True)
def no_throttle() -> None:
    """No test is silent because another one was loud."""
    throttle.reset()


@pytest.fixture
def recorder(settings: Settings) -> Iterator[Recorder]:
    """In force for the connections of this test; nothing that it is told may be unknown to the documentation."""
    settings.WSREQUEST = {"METRICS": "tests.metrics.recorder.recorder"}
    the_recorder.reset()
    yield the_recorder
    assert the_recorder.wrong == []
