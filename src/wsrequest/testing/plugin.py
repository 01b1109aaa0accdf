"""Fixtures for pytest, which finds them by itself. Nothing is imported before a test asks for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wsrequest.testing.client import AsyncWebSocketClient, WebSocketClient
    from wsrequest.testing.published import Captured


@pytest.fixture
def isolated_brokers() -> Iterator[None]:
    """Brokers in memory, for this test alone."""
    from wsrequest.testing.published import isolated_brokers

    with isolated_brokers():
        yield


@pytest.fixture
def websocket_client(isolated_brokers: None) -> Iterator[WebSocketClient]:
    """A :class:`wsrequest.testing.WebSocketClient`; it has the database where the test has."""
    from wsrequest.testing.client import WebSocketClient

    with WebSocketClient() as client:
        yield client


@pytest.fixture
def async_websocket_client(isolated_brokers: None) -> AsyncWebSocketClient:
    """A :class:`wsrequest.testing.AsyncWebSocketClient`. It is gone with the test's event loop."""
    from wsrequest.testing.client import AsyncWebSocketClient

    return AsyncWebSocketClient()


@pytest.fixture
def published() -> Iterator[Captured]:
    """What the test publishes: see :func:`wsrequest.testing.capture_published`."""
    from wsrequest.testing.published import capture_published

    with capture_published() as captured:
        yield captured
