"""Two servers whose data and events are in one database."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.push.postgres.server import PostgresServer
from tests.support.client import Peer, connect
from tests.support.server import ServerProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProcess]]:
    postgres_server.execute("CREATE DATABASE notes")
    where = postgres_server.parameters
    database = {
        "NAME": "notes",
        "USER": where["user"],
        "HOST": where["host"],
        "PORT": where["port"],
    }
    folder = tmp_path_factory.mktemp("postgres")
    environment = {"WSREQUEST_TEST_POSTGRES": json.dumps(database)}
    servers = [ServerProcess(folder, "tests.push.postgres.site", **environment) for _ in range(2)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


async def post(server: ServerProcess, text: str) -> int:
    async with httpx.AsyncClient() as client:
        response = await client.post(f"{server.http}/notes/", content=text, timeout=30)
    return response.status_code


async def event(peer: Peer, name: str) -> dict:
    return await peer.first(lambda message: message.get("event") == name)


async def test_everybody_hears_what_was_committed_and_nothing_else(both, postgres_server):
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(server.ws)) for server in both]
        for peer in peers:
            subscribed = await peer.request("/notes/", method="SUBSCRIBE")
            assert (subscribed["status"], subscribed["data"]) == (200, [])
        assert await post(both[0], "phantom") == 409
        assert await post(both[0], "one") == 200
        assert await post(both[1], "two") == 200
        for peer in peers:
            first, second = await event(peer, "message"), await event(peer, "message")
            assert (first["data"], second["data"]) == ("one", "two")
            assert second["offset"] == first["offset"] + 1 == 2
        # PostgreSQL comes back as after a crash: with the data, and without the history.
        await asyncio.to_thread(postgres_server.stop, signal.SIGQUIT)
        await asyncio.to_thread(postgres_server.start)
        for peer in peers:
            assert (await event(peer, "replace"))["data"] == ["one", "two"]
        assert await post(both[1], "three") == 200
        for peer in peers:
            assert (await event(peer, "message"))["data"] == "three"


async def test_all_are_asked_what_is_live(both):
    async with AsyncExitStack() as stack:
        for server in both:
            peer = await stack.enter_async_context(connect(server.ws))
            subscribed = await peer.request("/notes/", method="SUBSCRIBE", live=True)
            assert subscribed["status"] == 200
        command = [sys.executable, "-m", "django", "wslive", "--json", "--wait", "5"]
        done = await asyncio.to_thread(
            subprocess.run, command, env=both[0].environment, capture_output=True, check=True
        )
        processes = json.loads(done.stdout)["processes"]
        assert [[each["url"] for each in process["live"]] for process in processes] == [
            ["/notes/"],
            ["/notes/"],
        ]
