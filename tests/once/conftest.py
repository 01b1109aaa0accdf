"""A running server, and a cache that can be waited for; every key is given back at the end of a test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.core.cache import caches
from pytest_django.fixtures import Settings

from tests.once.caches import WatchedCache
from tests.once.urls import runs
from tests.project.gates import PATIENCE, Tally
from tests.support.database import database, tables
from tests.support.fixtures import advance, gate, new_gate, server
from wsrequest.lifecycle import once

__all__ = ["advance", "database", "gate", "new_gate", "server", "tables", "watched"]


@pytest.fixture(autouse=True)
def watched(settings: Settings) -> Iterator[type[WatchedCache]]:
    settings.ROOT_URLCONF = "tests.once.urls"
    settings.CACHES = {"default": {"BACKEND": "tests.once.caches.WatchedCache"}}
    runs.clear()
    cache = caches["default"]
    WatchedCache.looks = Tally()
    WatchedCache.broken.clear()
    WatchedCache.in_transaction.clear()
    yield WatchedCache
    cache.clear()
    # Of a view that was cancelled, the key is given back after its client was answered.
    deadline = time.monotonic() + PATIENCE
    while once._leaders:
        assert time.monotonic() < deadline, once._leaders
        time.sleep(0.01)
