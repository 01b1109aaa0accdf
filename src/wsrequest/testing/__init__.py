"""Tools for the tests of a project that uses this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsrequest.testing.client import AsyncWebSocketClient, WebSocketClient
    from wsrequest.testing.connection import Closed, Notice
    from wsrequest.testing.stream import StreamFailed
    from wsrequest.testing.subscription import Event, Subscription

_HOMES = {
    "AsyncWebSocketClient": "wsrequest.testing.client",
    "Closed": "wsrequest.testing.connection",
    "Event": "wsrequest.testing.subscription",
    "Notice": "wsrequest.testing.connection",
    "StreamFailed": "wsrequest.testing.stream",
    "Subscription": "wsrequest.testing.subscription",
    "WebSocketClient": "wsrequest.testing.client",
}
__all__ = [
    "AsyncWebSocketClient",
    "Closed",
    "Event",
    "Notice",
    "StreamFailed",
    "Subscription",
    "WebSocketClient",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
