"""The public door is narrow, and stays as it is until somebody changes it on purpose, here."""

from __future__ import annotations

import importlib
import inspect

import pytest

PUBLIC = {
    "wsrequest": [
        "EVERYONE",
        "WebSocketRequest",
        "adisconnect",
        "anotify",
        "apresence",
        "apublish",
        "atouch",
        "depends_on",
        "disconnect",
        "emits",
        "live",
        "notify",
        "presence",
        "publish",
        "topic",
        "touch",
    ],
    "wsrequest.asgi": ["get_asgi_application"],
    "wsrequest.client": [
        "Connection",
        "Event",
        "Live",
        "Notice",
        "Position",
        "Subscription",
        "SyncConnection",
        "SyncWebSocketTransport",
        "WebSocketTransport",
        "connect",
        "connect_sync",
    ],
    "wsrequest.signals": ["connection_closed", "connection_opened"],
    "wsrequest.testing": [
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
    ],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these(module):
    assert importlib.import_module(module).__all__ == PUBLIC[module]


@pytest.mark.parametrize("module", PUBLIC)
def test_the_list_is_sorted(module):
    names = importlib.import_module(module).__all__
    assert list(names) == sorted(names)


@pytest.mark.parametrize("module", PUBLIC)
def test_nothing_else_looks_public(module):
    """What the package makes and shows without an underscore would be taken for public."""
    loaded = importlib.import_module(module)
    looks_public = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_")
        and str(getattr(value, "__module__", "")).partition(".")[0] == "wsrequest"
    }
    assert looks_public <= set(PUBLIC[module])
    assert set(PUBLIC[module]) <= set(dir(loaded))


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in PUBLIC for n in PUBLIC[m]])
def test_each_public_name_says_what_it_is(module, name):
    documented = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(documented)
