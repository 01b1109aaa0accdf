"""Changes Django's test client: to messages, or for the run over HTTP, only to be counted."""

from __future__ import annotations

import os
from typing import Any

from django.test import client as test_client

from overmessage import record

MODE_VARIABLE = "WSREQUEST_SUITES_MODE"


def over_messages() -> bool:
    """Whether this run sends messages; the other one sends what the test client sends."""
    return os.environ[MODE_VARIABLE] == "message"


def install() -> None:
    """Change the client in this process, and in those that it forks."""
    if over_messages():
        from overmessage import bridge

        bridge.install()
    else:
        count()


def count() -> None:
    """Log each request, and leave it as it is."""
    original = test_client.ClientHandler.__call__
    aoriginal = test_client.AsyncClientHandler.__call__

    def call(self: test_client.ClientHandler, environ: dict[str, Any]) -> Any:
        record.sent()
        return original(self, environ)

    async def acall(self: test_client.AsyncClientHandler, scope: dict[str, Any]) -> Any:
        record.sent()
        return await aoriginal(self, scope)

    test_client.ClientHandler.__call__ = call  # type: ignore[method-assign]
    test_client.AsyncClientHandler.__call__ = acall  # type: ignore[method-assign]
