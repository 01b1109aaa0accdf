"""How many subscriptions a connection may have."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.support.memory import MemoryConnection, connection

ERROR = "This connection has as many subscriptions as it may have; cancel one first."


async def subscribe(peer: MemoryConnection, name: str) -> Any:
    peer.transport.push({"id": name, "method": "SUBSCRIBE", "url": f"/thing/{name}/"})
    return await peer.transport.pull()


@pytest.mark.parametrize("most", [1, 3])
async def test_subscriptions(settings: Settings, most: int) -> None:
    settings.WSREQUEST = {"MAX_SUBSCRIPTIONS": most}
    async with connection() as peer, connection() as another:
        for number in range(most):
            answer = await subscribe(peer, f"s{number}")
            assert (answer["status"], "subscription" in answer) == (200, True)
        refused = await subscribe(peer, "one-more")
        assert (refused["id"], refused["status"]) == ("one-more", 429)
        assert refused["data"] == {"error": ERROR, "code": "too_many_subscriptions"}
        # It is a limit of the connection, and of subscriptions.
        assert (await subscribe(another, "s0"))["status"] == 200
        peer.transport.push({"id": "one-more", "url": "/thing/a/"})
        assert (await peer.transport.pull())["status"] == 200
        # One that has ended makes room, and so does one that was never begun.
        peer.transport.push({"cancel": "s0"})
        assert (await peer.transport.pull())["end"] is True
        peer.transport.push({"id": "no", "method": "SUBSCRIBE", "url": "/moved/"})
        assert (await peer.transport.pull())["status"] == 302
        assert (await subscribe(peer, "one-more"))["status"] == 200
        assert (await subscribe(peer, "s0"))["status"] == 429
