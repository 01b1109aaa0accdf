"""notify() and disconnect(), from other threads and from another process: they reach whom they are for, once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.urls import get_resolver
from pytest_django.fixtures import Settings

from tests.subscribe.people import Person
from tests.support.client import MSGPACK, Peer, connect
from tests.support.database import database, tables
from tests.support.redis_server import RedisServer
from tests.support.server import ROOT, ServerThread
from wsrequest import EVERYONE, adisconnect, anotify, disconnect, notify

__all__ = ["database", "tables"]


@pytest.fixture
def server(database: None, project: None, settings: Settings) -> Iterator[ServerThread]:
    settings.ROOT_URLCONF = "tests.subscribe.people"
    get_resolver().url_patterns  # noqa: B018 (imported here: the first request would do it on the loop)
    running = ServerThread().start()
    yield running
    running.stop()


@asynccontextmanager
async def crowd(server: ServerThread, *names: str, **options: Any) -> AsyncIterator[list[Peer]]:
    """Connections of which the server knows whose they are."""
    async with AsyncExitStack() as stack:
        peers = []
        for name in names:
            headers = {"authorization": f"JWT {name}"}
            peer = await stack.enter_async_context(connect(server.ws, headers=headers, **options))
            await peer.request(f"/people/{name}/")
            peers.append(peer)
        yield peers


def on_a_thread(say: Callable[..., None], *arguments: Any, **options: Any) -> Any:
    return asyncio.to_thread(say, *arguments, on_commit=False, **options)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_a_notice_to_a_user(server: ServerThread, codec: str) -> None:
    options = {"subprotocols": [MSGPACK]} if codec == "msgpack" else {}
    async with crowd(server, "ann", "ann", "bob", **options) as (one, two, bob):
        await on_a_thread(notify, Person("ann"), "mail", {"new": 3, "more": [1.5, None, "é"]})
        for peer in (one, two):
            assert await peer.next() == {
                "event": "mail",
                "data": {"new": 3, "more": [1.5, None, "é"]},
            }
            await peer.still_answers()
        await bob.still_answers()


async def test_a_notice_to_one_connection(server: ServerThread) -> None:
    async with crowd(server, "ann", "ann") as (one, two):
        assert one.hello is not None
        await on_a_thread(notify, one.hello["data"]["connection"], "mail", 1)
        await on_a_thread(notify, "a connection of another process", "mail", 2)
        assert await one.next() == {"event": "mail", "data": 1}
        for peer in (one, two):
            await peer.still_answers()


async def test_a_notice_to_everyone_but_seed_connections(server: ServerThread) -> None:
    async with (
        crowd(server, "ann", "bob") as peers,
        connect(server.ws) as nobody,
        connect(server.ws, seed=True) as seed,
    ):
        await seed.plain("/open/")
        await on_a_thread(notify, EVERYONE, "news", None)
        for peer in (*peers, nobody):
            assert await peer.next() == {"event": "news", "data": None}
            await peer.still_answers()
        await seed.still_answers()


async def test_seed_connections_can_be_disconnected(server: ServerThread) -> None:
    headers = {"authorization": "JWT ann"}
    async with connect(server.ws, seed=True, headers=headers) as seed:
        await seed.plain("/people/ann/")
        await on_a_thread(disconnect, Person("ann"), code=4300)
        assert await seed.close_code() == 4300


async def test_a_user_is_disconnected(server: ServerThread) -> None:
    async with crowd(server, "ann", "ann", "bob") as (one, two, bob):
        await on_a_thread(disconnect, Person("ann"))
        assert [await one.close_code(), await two.close_code()] == [4010, 4010]
        await bob.still_answers()


async def test_one_connection_is_disconnected(server: ServerThread) -> None:
    async with crowd(server, "ann", "ann") as (one, two):
        assert one.hello is not None
        await on_a_thread(disconnect, one.hello["data"]["connection"], code=4199)
        assert await one.close_code() == 4199
        await two.still_answers()


async def test_from_another_event_loop(server: ServerThread) -> None:
    """This test's own; the server has one on another thread."""
    async with crowd(server, "ann", "bob") as (ann, bob):
        await anotify(Person("ann"), "mail", 1, on_commit=False)
        assert await ann.next() == {"event": "mail", "data": 1}
        await adisconnect(Person("bob"), on_commit=False)
        assert await bob.close_code() == 4010
        await ann.still_answers()


async def test_a_user_by_session_and_whoever_it_is_then(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/enter/eve/", method="POST")
        user = await sync_to_async(get_user_model().objects.get)(username="eve")
        await on_a_thread(notify, user, "mail", 1)
        assert await peer.next() == {"event": "mail", "data": 1}
        await peer.request("/leave/", method="POST")
        await on_a_thread(notify, user, "mail", 2)
        await peer.still_answers()


SAY = """
import django
django.setup()
from wsrequest import disconnect, notify
notify(7, "mail", 1)
disconnect(8)
"""


async def test_from_another_process(database: None, project: None, settings: Settings) -> None:
    with RedisServer() as valkey:
        settings.ROOT_URLCONF = "tests.subscribe.people"
        backend = "wsrequest.push.brokers.redis.RedisBroker"
        options = {"url": valkey.url}
        settings.WSREQUEST = {"BROKERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
        get_resolver().url_patterns  # noqa: B018 (as above)
        running = await asyncio.to_thread(ServerThread().start)
        try:
            async with crowd(running, "7", "8") as (one, other):
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-W", "error", "-c", SAY),
                    cwd=ROOT,
                    env={
                        **os.environ,
                        "DJANGO_SETTINGS_MODULE": "tests.push.redis_settings",
                        "WSREQUEST_TEST_BROKER": valkey.url,
                    },
                )
                assert await process.wait() == 0
                assert await one.next() == {"event": "mail", "data": 1}
                assert await other.close_code() == 4010
                await one.still_answers()
        finally:
            await asyncio.to_thread(running.stop)
