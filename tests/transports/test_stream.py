"""Server-sent events and POSTs: what the suite of all transports does not ask, as no other transport has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any
from unittest.mock import ANY

import httpx
import pytest
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore
from django.test import override_settings
from pytest_django.fixtures import Settings

import wsrequest.transports.opening
from tests.support.client import MSGPACK, SUBPROTOCOL, Peer
from tests.support.redis_server import RedisServer
from tests.support.server import ServerThread
from tests.transports.shared.carrier import Refused, Site
from tests.transports.shared.carriers.stream import NO_TLS, StreamWire, open_stream

PATIENCE = 30

Open = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def site(server: ServerThread) -> Site:
    return Site(server.port)


def opening(site: Site, **options: Any) -> AbstractAsyncContextManager[Any]:
    defaults = {"subprotocol": SUBPROTOCOL, "origin": None, "headers": {}, "path": "/ws/"}
    return open_stream(site, **defaults | options)  # type: ignore[arg-type]


@pytest.fixture
async def wire(site: Site) -> AsyncIterator[StreamWire]:
    async with opening(site) as opened:
        yield opened


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.http, trust_env=False, verify=NO_TLS) as opened:
        yield opened


def frame(wire: StreamWire, text: str) -> bytes:
    return f"{wire.key}\n{text}".encode()


PING = '{"ping": 1}'


async def test_the_answer_is_for_nobody_to_keep_or_to_collect(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/ws/events/", content=SUBPROTOCOL) as response:
        headers = response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        first = await anext(response.aiter_bytes())
        assert first.startswith(b":" + b" " * 2048 + b"\n\n")


async def test_a_frame_without_a_connection(client: httpx.AsyncClient, wire: StreamWire) -> None:
    process, _, _ = wire.key.partition(".")
    for key in ("", "x", f"{process}.x", f"x{wire.key}"):
        response = await client.post("/ws/messages/", content=f"{key}\n{PING}")
        assert response.status_code == 410, key
    await wire.send(PING)
    await Peer(wire).first(lambda message: message == {"pong": 1})


@pytest.mark.parametrize("body", [b"", b"no line feed", b"x" * 200 + b"\n{}"])
async def test_a_body_that_is_none(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/ws/messages/", content=body)).status_code == 400


async def test_the_key_dies_with_its_connection(
    client: httpx.AsyncClient, site: Site, server: ServerThread
) -> None:
    async with opening(site) as wire:
        assert (await client.post("/ws/messages/", content=frame(wire, PING))).status_code == 204
        key = frame(wire, PING)
    await server.connections_gone()
    assert (await client.post("/ws/messages/", content=key)).status_code == 410


@pytest.fixture
def ada_s_session(server: ServerThread) -> str:
    ada = get_user_model().objects.get(username="ada")
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(ada.pk), ModelBackend.__module__
    session[BACKEND_SESSION_KEY] += ".ModelBackend"
    session[HASH_SESSION_KEY] = ada.get_session_auth_hash()
    session.save()
    key = session.session_key
    assert key is not None
    return key


@pytest.mark.parametrize(
    ("opened", "posted", "status"),
    [
        ("", "", 204),
        ("sessionid={}", "other=1; sessionid={}", 204),
        ("sessionid={}", "", 410),
        ("sessionid={}", "sessionid=other", 410),
        ("", "sessionid={}", 410),
    ],
)
async def test_the_key_is_good_with_the_session_of_its_connection(
    client: httpx.AsyncClient,
    site: Site,
    ada_s_session: str,
    opened: str,
    posted: str,
    status: int,
) -> None:
    had, sent = ({"Cookie": each.format(ada_s_session)} for each in (opened, posted))
    async with opening(site, headers=had) as wire:
        response = await client.post("/ws/messages/", content=frame(wire, PING), headers=sent)
        assert response.status_code == status


async def test_and_with_the_session_that_was_opened_on_it(
    client: httpx.AsyncClient, site: Site
) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with opening(site, origin=site.http) as wire:
        peer = Peer(wire)
        data = {"name": "ada", "word": "secret"}
        answer = await peer.request("/log-in/", method="POST", data=data, headers=form)
        assert answer["data"] == "welcome ada"
        # As a browser has it, once the cookies were handed over to it.
        handed = await peer.request("/echo/", id=2)
        cookie = f"sessionid={handed['data']['cookies']['sessionid']}"
        for headers, status in (
            ({"Cookie": cookie}, 204),
            ({}, 204),
            ({"Cookie": "sessionid=x"}, 410),
        ):
            response = await client.post(
                "/ws/messages/", content=frame(wire, PING), headers=headers
            )
            assert response.status_code == status, headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_frame_from_a_foreign_page(
    client: httpx.AsyncClient, wire: StreamWire, origin: str
) -> None:
    response = await client.post(
        "/ws/messages/", content=frame(wire, PING), headers={"Origin": origin}
    )
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


async def test_a_page_of_a_trusted_site_may_read_the_answers(
    client: httpx.AsyncClient, site: Site, settings: Settings
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    headers = {"Origin": "https://trusted.example"}
    async with client.stream("POST", "/ws/events/", headers=headers) as response:
        assert response.headers["access-control-allow-origin"] == headers["Origin"]
        assert response.headers["access-control-allow-credentials"] == "true"
    async with opening(site) as wire:
        told = await client.post("/ws/messages/", content=frame(wire, PING), headers=headers)
        assert told.headers["access-control-allow-origin"] == headers["Origin"]


@pytest.mark.parametrize(
    ("offered", "status"),
    [("wsrequest.v9.json", 400), ("wsrequest.token.a", 400), (SUBPROTOCOL, 200)],
)
async def test_subprotocols(site: Site, offered: str, status: int) -> None:
    try:
        async with opening(site, subprotocol=f"{offered}, other"):
            found = 200
    except Refused as refused:
        found = refused.status
    assert found == status


async def test_a_token_among_the_subprotocols(site: Site) -> None:
    async with opening(site, subprotocol=f"{SUBPROTOCOL},wsrequest.token.YWRh") as wire:
        assert (await Peer(wire).request("/echo/"))["data"]["meta"][
            "HTTP_AUTHORIZATION"
        ] == "JWT ada"


async def test_json_that_a_view_has_laid_out(wire: StreamWire) -> None:
    """It stands on several lines, and so in several lines of an event."""
    assert (await Peer(wire).request("/odd/spaced/"))["status"] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
@pytest.mark.parametrize("path", ["/ws/events/", "/ws/messages/"])
async def test_other_methods_are_djangos(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await client.request(method, path)).status_code == 404


@pytest.mark.parametrize("path", ["/events/", "/ws/more/events/", "/ws/events", "/wsevents/"])
async def test_other_paths_are_djangos(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path)).status_code in (404, 500)  # APPEND_SLASH can't redirect a POST


async def test_it_can_be_switched_off(client: httpx.AsyncClient, settings: Settings) -> None:
    settings.WSREQUEST = {"EVENT_STREAM": False}
    for path in ("/ws/events/", "/ws/messages/"):
        assert (await client.post(path)).status_code == 404


async def test_the_path_is_a_setting(site: Site, settings: Settings) -> None:
    settings.WSREQUEST = {"PATH": "/live/socket"}
    async with opening(site, path="/live/socket/") as wire:
        await wire.send(PING)
        await Peer(wire).first(lambda message: message == {"pong": 1})


async def test_comments_keep_a_silent_connection_awake(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    settings.WSREQUEST = {"PING_INTERVAL": 0.05}
    async with client.stream("POST", "/ws/events/") as response:  # a seed connection: nobody pings
        lines = response.aiter_lines()
        async with asyncio.timeout(PATIENCE):
            assert [await anext(lines) for _ in range(5)][2:] == ["event: open", *([ANY] * 2)]
            assert [await anext(lines) for _ in range(4)] == [":", ""] * 2


async def test_the_server_closes_a_client_that_is_silent(site: Site, settings: Settings) -> None:
    settings.WSREQUEST = {"PING_INTERVAL": 0.05}
    async with opening(site) as wire:
        assert await Peer(wire).close_code() == 4201


async def test_too_many_connections(site: Site, server: ServerThread, settings: Settings) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS": 1}
    async with opening(site):
        with pytest.raises(Refused) as caught:
            async with opening(site):
                pass
    assert (caught.value.status, caught.value.retry_after) == (503, "5")


async def test_a_client_that_goes_before_it_has_said_what_it_wants(server: ServerThread) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /ws/events/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nab")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await server.connections_gone()


class Pair:
    """Two servers, each with an event loop and a switchboard of its own, that share a broker."""

    def __init__(self, broker: str) -> None:
        backend = "wsrequest.push.brokers.redis.RedisBroker"
        self._brokers = {"default": {"BACKEND": backend, "OPTIONS": {"url": broker}}}
        self._settings = override_settings(WSREQUEST={"BROKERS": self._brokers})

    def __enter__(self) -> tuple[Site, Site]:
        self._settings.enable()
        self._servers = [ServerThread().start() for _ in range(2)]
        one, other = (Site(server.port) for server in self._servers)
        return one, other

    def __exit__(self, *details: object) -> None:
        for server in self._servers:
            server.stop()
        self._settings.disable()


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def pair(database: None, broker: RedisServer) -> Iterator[tuple[Site, Site]]:
    with Pair(broker.url) as sites:
        yield sites


async def post(site: Site, content: bytes, **headers: str) -> int:
    async with httpx.AsyncClient(base_url=site.http, trust_env=False, verify=NO_TLS) as client:
        return (await client.post("/ws/messages/", content=content, headers=headers)).status_code


async def test_frames_that_come_to_another_process(pair: tuple[Site, Site]) -> None:
    one, other = pair
    async with opening(one) as wire, opening(other, subprotocol=MSGPACK) as packed:
        for number in range(1, 11):
            message = f'{{"id": {number}, "url": "/echo/{number}"}}'
            assert await post(other, frame(wire, message)) == 202
        peer = Peer(wire)
        seen = [(await peer.answer(number))["data"]["rest"] for number in range(1, 11)]
        assert seen == [str(number) for number in range(1, 11)]
        assert await post(one, packed.key.encode() + b"\n\x81\xa4ping\x01") == 202
        await Peer(packed).first(lambda message: message == {"pong": 1})


async def test_with_another_session_they_end_the_connection(pair: tuple[Site, Site]) -> None:
    one, other = pair
    async with opening(one) as wire:
        assert await post(other, frame(wire, PING), Cookie="sessionid=stolen") == 202
        assert await Peer(wire).close_code() == 4202


async def test_too_many_of_them_are_a_flood(
    pair: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can make the client of another process wait."""
    monkeypatch.setattr(wsrequest.transports.opening, "INBOX_FRAMES", 8)
    one, other = pair
    async with opening(one) as wire, AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=other.http, trust_env=False, verify=NO_TLS)
        )
        gate = '{"url": "/agate/flood/"}'
        many = frame(wire, f"[{', '.join([gate] * 100)}]")
        code = asyncio.ensure_future(Peer(wire).close_code())
        async with asyncio.timeout(PATIENCE):
            while not code.done():
                assert (await client.post("/ws/messages/", content=many)).status_code in (202, 410)
        assert await code == 4029


async def test_where_the_broker_is_away(pair: tuple[Site, Site], broker: RedisServer) -> None:
    one, other = pair
    async with opening(one) as wire:
        broker.kill()
        try:
            assert await post(other, frame(wire, PING)) == 503
        finally:
            broker.start()
