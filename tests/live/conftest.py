"""A project whose GETs are watched, and a broker of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.live import urls
from tests.support.database import database, tables

__all__ = ["database", "tables"]


@pytest.fixture
def project(settings: Settings, database: None) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.live.urls"
    settings.WSREQUEST = {"LIVE_MIN_INTERVAL": 0.001}
    urls.asked.clear()
    urls.outside.clear()
    return
