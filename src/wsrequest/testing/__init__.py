"""Tools for the tests of a project that uses this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsrequest.testing.cases import WebSocketTestMixin
    from wsrequest.testing.client import AsyncWebSocketClient, WebSocketClient
    from wsrequest.testing.connection import Closed, Notice
    from wsrequest.testing.published import Captured, Said, capture_published, isolated_brokers
    from wsrequest.testing.same import assert_same_over_http
    from wsrequest.testing.stream import StreamFailed
    from wsrequest.testing.subscription import Event, Subscription

_HOMES = {
    "AsyncWebSocketClient": "wsrequest.testing.client",
    "Captured": "wsrequest.testing.published",
    "Closed": "wsrequest.testing.connection",
    "Event": "wsrequest.testing.subscription",
    "Notice": "wsrequest.testing.connection",
    "Said": "wsrequest.testing.published",
    "StreamFailed": "wsrequest.testing.stream",
    "Subscription": "wsrequest.testing.subscription",
    "WebSocketClient": "wsrequest.testing.client",
    "WebSocketTestMixin": "wsrequest.testing.cases",
    "assert_same_over_http": "wsrequest.testing.same",
    "capture_published": "wsrequest.testing.published",
    "isolated_brokers": "wsrequest.testing.published",
}
__all__ = [
    "AsyncWebSocketClient",
    "Captured",
    "Closed",
    "Event",
    "Notice",
    "Said",
    "StreamFailed",
    "Subscription",
    "WebSocketClient",
    "WebSocketTestMixin",
    "assert_same_over_http",
    "capture_published",
    "isolated_brokers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
