"""A server, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest
from django.test import override_settings
from django.urls import get_resolver

from tests.subscribe import people
from tests.support.database import database, tables
from tests.support.fixtures import gate, new_gate
from tests.support.server import ServerThread
from wsrequest.client import Connection, SyncWebSocketTransport, WebSocketTransport, connect

__all__ = ["database", "gate", "new_gate", "tables"]

#: Seconds that a test waits for what must come.
PATIENCE = 60.0


async def until(condition: Callable[[], object]) -> None:
    """For what tells nobody that it has happened."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def no_state_of_another_test() -> None:
    """The views of these urls keep some, which tests of subscriptions in this process change, too."""
    people.forget()


@pytest.fixture(autouse=True, scope="module")
def project() -> Iterator[None]:
    """A module has one server, and that one broker: with each change of the setting there would be a new one."""
    topics = {"/thing/*": {"PRESENCE": True}, "/people/*": {"HISTORY_SIZE": 3}}
    with override_settings(ROOT_URLCONF="tests.client.urls", WSREQUEST={"TOPICS": topics}):
        yield


@pytest.fixture(scope="module")
def server(project: None, database: None) -> Iterator[ServerThread]:
    get_resolver().url_patterns  # noqa: B018 (imported here: the first HTTP request would do it on the loop)
    running = ServerThread().start()
    yield running
    running.stop()


_numbers = count()


@pytest.fixture
def name() -> str:
    """Of a thing or a board that no other test knows."""
    return f"t{next(_numbers)}"


@pytest.fixture
def url(name: str) -> str:
    return f"/thing/{name}/"


class Threaded:
    """A synchronous client as tests use the asynchronous one: each call is made on a thread."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        called = getattr(self.client, name)
        if not callable(called):
            return called

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(called, *args, **options)

        return call

    @asynccontextmanager
    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        manager = self.client.stream(*args, **options)
        response = await asyncio.to_thread(manager.__enter__)
        try:
            yield Threaded(response)
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    async def aread(self) -> bytes:
        return await asyncio.to_thread(self.client.read)


NewClient = Callable[..., Awaitable[Any]]


#: The ways over the socket.
SOCKETS = ("socket", "msgpack", "sync")


@pytest.fixture(params=["http", *SOCKETS])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def new_client(kind: str, server: ServerThread) -> AsyncIterator[NewClient]:
    """Makes clients whose requests go over HTTP, or over the socket; tests should not see which."""
    async with AsyncExitStack() as stack:

        async def new(**options: Any) -> Any:
            options = {"base_url": server.http, "timeout": PATIENCE} | options
            if kind == "sync":
                client = httpx.Client(transport=SyncWebSocketTransport(server.ws), **options)
                stack.push_async_callback(asyncio.to_thread, client.close)
                return Threaded(client)
            if kind == "http":
                transport: httpx.AsyncBaseTransport = httpx.ASGITransport(
                    server.application, raise_app_exceptions=False
                )
            elif kind == "uvicorn":
                transport = httpx.AsyncHTTPTransport()
            else:
                codec: Any = "json" if kind == "socket" else kind
                transport = WebSocketTransport(server.ws, codec=codec)
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, **options)
            )

        yield new


@pytest.fixture
async def client(new_client: NewClient) -> Any:
    return await new_client()


@pytest.fixture(params=["json", "msgpack"])
def codec(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def connection(server: ServerThread, codec: Any) -> AsyncIterator[Connection]:
    async with asyncio.timeout(PATIENCE * 2), connect(server.ws, codec=codec) as connection:
        connection.http.timeout = httpx.Timeout(PATIENCE)
        yield connection
