"""The project inside of another ASGI application: FastAPI, which is Starlette, in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from pytest_django.fixtures import Settings

from tests.support.client import SUBPROTOCOL, Peer, connect
from tests.support.server import ServerThread
from tests.transports.shared.carrier import Site
from tests.transports.shared.carriers.stream import open_stream
from tests.transports.test_handshake import refusal
from wsrequest.asgi import get_asgi_application


def in_front_of_django(at: str) -> FastAPI:
    """A FastAPI application with a route and a WebSocket of its own; everything at or below ``at`` is Django's."""
    front = FastAPI()

    @front.get("/own/")
    async def own() -> str:
        return "FastAPI"

    @front.websocket("/own-socket/")
    async def own_socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({"by": "FastAPI"})
        await socket.close()

    front.mount(at, get_asgi_application())
    return front


@pytest.fixture(scope="module", params=["", "/django"], ids=["at-the-root", "below"])
def mounted(request: pytest.FixtureRequest, database: None) -> Iterator[tuple[ServerThread, str]]:
    running = ServerThread(application=in_front_of_django(request.param or "/")).start()
    yield running, request.param
    running.stop()


async def test_each_answers_for_itself(mounted: tuple[ServerThread, str]) -> None:
    server, at = mounted
    async with httpx.AsyncClient(base_url=server.http, trust_env=False, verify=False) as client:
        assert (await client.get("/own/")).json() == "FastAPI"
        assert (await client.get(f"{at}/hello/")).text == "hello"
    async with connect(f"ws://{server.host}/own-socket/", seed=True) as peer:
        assert await peer.next() == {"by": "FastAPI"}


async def test_urls_are_as_over_http(mounted: tuple[ServerThread, str]) -> None:
    server, at = mounted
    async with (
        connect(f"ws://{server.host}{at}/ws/", origin=server.http) as peer,
        httpx.AsyncClient(base_url=server.http, trust_env=False, verify=False) as client,
    ):
        over_http = (await client.get(f"{at}/echo/x")).json()
        seen = (await peer.request(f"{at}/echo/x"))["data"]
        for key in ("path", "path_info", "prefix", "reversed", "full_path", "absolute"):
            assert seen[key] == over_http[key], key
        assert seen["reversed"] == f"{at}/hello/"
        subscribed = await peer.request(f"{at}/notes/", id="notes", method="SUBSCRIBE")
        assert subscribed["subscription"]["offset"] == 0


async def test_event_streams(mounted: tuple[ServerThread, str]) -> None:
    server, at = mounted
    async with open_stream(
        Site(server.port), subprotocol=SUBPROTOCOL, origin=None, headers={}, path=f"{at}/ws/"
    ) as wire:
        assert (await Peer(wire).request(f"{at}/hello/"))["data"] == "hello"


async def test_refusals_get_through(mounted: tuple[ServerThread, str]) -> None:
    server, at = mounted
    assert (await refusal(f"ws://{server.host}{at}/elsewhere/")).status_code == 404
    url = f"ws://{server.host}{at}/ws/"
    assert (await refusal(url, origin="http://evil.example")).status_code == 403


@pytest.mark.parametrize("path", ["/app/ws/", "/ws/"])
async def test_djangos_own_prefix(server: ServerThread, settings: Settings, path: str) -> None:
    """FORCE_SCRIPT_NAME, for a proxy that strips the prefix or one that does not."""
    settings.FORCE_SCRIPT_NAME = "/app"
    async with connect(f"ws://{server.host}{path}") as peer:
        seen = (await peer.request("/app/echo/"))["data"]
        assert (seen["reversed"], seen["path"]) == ("/app/hello/", "/app/echo/")
    async with open_stream(
        Site(server.port), subprotocol=SUBPROTOCOL, origin=None, headers={}, path=path
    ) as wire:
        assert (await Peer(wire).request("/app/hello/"))["data"] == "hello"
    assert (await refusal(f"ws://{server.host}/app{path}x")).status_code == 404
