"""Limits of a project, over Socket.IO. Each server has its own settings: brokers are made anew when they change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.support.server import ServerThread
from tests.transports.socketio_client import at, new_server, refusal


@pytest.fixture
def limited(database: None, settings: Settings) -> Iterator[ServerThread]:
    settings.WSREQUEST = {"MAX_CONNECTIONS": 1, "MAX_MESSAGE_BYTES": 2000}
    running = new_server()
    yield running
    running.stop()


@pytest.mark.parametrize("over", [0, 1])
async def test_a_large_message(limited: ServerThread, over: int) -> None:
    frame = '{"id": 1, "method": "post", "data": "", "url": "/exempt/"}'
    async with at(limited) as client:
        data = "x" * (2000 - len(frame) + over)
        answer = await client.ask("post", "/exempt/", data=data)
        assert answer["statusCode"] == (413 if over else 200)


async def test_a_refusal_says_why(limited: ServerThread) -> None:
    async with at(limited):
        said = await refusal(limited)
    assert "as many connections" in said["message"]
    assert said["data"]["statusCode"] == 503
    assert said["data"]["headers"]["retry-after"] == "5"
