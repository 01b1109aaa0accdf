"""Limits of a project, over Socket.IO. Each server has its own settings: brokers are made anew when they change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings
from websockets.asyncio.client import connect

from tests.support.server import ServerThread
from tests.transports.socketio_client import at, gone, new_server, refusal
from wsrequest.session.registry import registry


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


async def test_who_takes_nothing_is_given_up(database: None) -> None:
    """Also while the engine can't read on, as there is no room for more requests, and so sees nobody leave."""
    running = new_server(ping_interval=1, ping_timeout=1)
    try:
        address = f"{running.ws.removesuffix('/ws/')}/socket.io/?EIO=4&transport=websocket"
        async with connect(address, max_queue=1, ping_interval=None, close_timeout=0) as socket:
            await socket.recv()
            await socket.send("40")
            await socket.recv()
            assert registry.members
            for number in range(400):
                await socket.send(f'42{number}["get", {{"url": "/large/text/"}}]')
            await gone(running)
            socket.transport.abort()
    finally:
        running.stop()
