"""Opening a connection to a real server, and what lives beside it there."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.support.client import connect
from tests.support.server import ServerThread


async def refusal(url: str, **options: object) -> httpx.Response:
    """The HTTP answer to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, **options):  # type: ignore[arg-type]
            pass
    response = caught.value.response
    return httpx.Response(
        response.status_code, headers=dict(response.headers), content=bytes(response.body)
    )


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost"],
)
async def test_a_foreign_origin_is_refused(server: ServerThread, origin: str) -> None:
    response = await refusal(server.ws, origin=origin)
    assert response.status_code == 403
    assert "CSRF_TRUSTED_ORIGINS" in response.text


async def test_the_origin_of_the_same_host_is_not(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        await peer.still_answers()


async def test_a_trusted_origin_is_not(server: ServerThread, settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["http://trusted.example"]
    async with connect(server.ws, origin="http://trusted.example") as peer:
        await peer.still_answers()


async def test_a_host_that_is_not_served(server: ServerThread, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["other.example"]
    assert (await refusal(server.ws)).status_code == 403


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/more/", "/hello/"])
async def test_another_path(server: ServerThread, path: str) -> None:
    assert (await refusal(f"ws://{server.host}{path}")).status_code == 404


async def test_the_path_is_a_setting(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"PATH": "/live/socket"}
    assert (await refusal(server.ws)).status_code == 404
    async with connect(f"ws://{server.host}/live/socket") as peer:
        await peer.still_answers()


async def test_an_unknown_subprotocol(server: ServerThread) -> None:
    async with connect(server.ws, seed=True, subprotocols=["wsrequest.v9.json"]) as peer:
        assert await peer.close_code() == 4001


async def test_too_many_connections(server: ServerThread, settings: Settings) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"MAX_CONNECTIONS": 2}
    async with connect(server.ws):
        async with connect(server.ws, seed=True):
            response = await refusal(server.ws)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
        await server.acall(server.connection_count_below(2))
        async with connect(server.ws) as peer:
            await peer.still_answers()


async def test_http_is_djangos(server: ServerThread) -> None:
    async with httpx.AsyncClient(base_url=server.http, trust_env=False, verify=False) as client:
        response = await client.get("/hello/")
        assert (response.status_code, response.text) == (200, "hello")
        assert (await client.get("/ws/")).status_code == 404


@pytest.fixture(scope="module")
def mounted(database: None) -> Iterator[ServerThread]:
    running = ServerThread(root_path="/mounted").start()
    yield running
    running.stop()


async def test_below_a_root_path(mounted: ServerThread) -> None:
    """A url is what `reverse()` gives: with the prefix."""
    async with (
        connect(mounted.ws) as peer,
        httpx.AsyncClient(base_url=mounted.http, trust_env=False, verify=False) as client,
    ):
        over_http = (await client.get("/echo/x")).json()
        for url in ("/mounted/echo/x", "/echo/x"):
            seen = (await peer.request(url))["data"]
            for key in ("path", "path_info", "prefix", "reversed", "full_path", "absolute"):
                assert seen[key] == over_http[key], key
        assert seen["reversed"] == "/mounted/hello/"
        assert (await peer.request("/mounted/redirect/"))["headers"][
            "location"
        ] == "/mounted/hello/"
        assert (await peer.request("/mounted/hello/"))["data"] == "hello"
