"""A consumer among a project's own, over a real server and over Channels' communicator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from channels.exceptions import InvalidChannelLayerError
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from pytest_django.fixtures import Settings
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import InvalidStatus

from tests.support.client import LOG_IN, Peer, connect
from tests.support.server import ServerThread
from tests.transports.channels_site import News, make_application
from wsrequest.session.registry import registry

PATIENCE = 30
LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.fixture(scope="module")
def layers() -> Iterator[None]:
    with override_settings(CHANNEL_LAYERS=LAYERS):
        yield


@pytest.fixture(scope="module")
def server(database: None, layers: None) -> Iterator[ServerThread]:
    running = ServerThread(application=make_application()).start()
    yield running
    running.stop()


def at(server: ServerThread, path: str, **options: Any) -> Any:
    """A connection from the site's own page: Channels lets no other in."""
    return connect(f"ws://{server.host}{path}", origin=server.http, **options)


async def group_send(server: ServerThread, group: str, **message: Any) -> None:
    layer = get_channel_layer()
    assert layer is not None
    await server.acall(layer.group_send(group, message))


async def notice(peer: Peer) -> Any:
    return await peer.first(lambda message: "event" in message and "id" not in message)


async def test_messages_are_requests(server: ServerThread) -> None:
    async with at(server, "/ws/") as peer:
        assert (await peer.request("/echo/a?b=1"))["data"]["rest"] == "a"
        answer = await peer.request("/api/notes/", id=2)
        assert (answer["status"], answer["data"]["results"]) == (200, [])


async def test_a_session_is_used_and_made(server: ServerThread) -> None:
    async with at(server, "/ws/") as peer:
        assert (await peer.request("/whoami/", id=1))["data"]["user"] == "AnonymousUser"
        assert (await peer.request(id=2, **LOG_IN))["data"] == "welcome ada"
        assert (await peer.request("/whoami/", id=3))["data"]["user"] == "ada"


async def test_a_token_among_the_subprotocols(server: ServerThread) -> None:
    offered = ["wsrequest.v1.json", "wsrequest.token.YWRh"]
    async with at(server, "/ws/", subprotocols=offered) as peer:
        assert peer.socket.subprotocol == "wsrequest.v1.json"
        note = {"slug": "by-token", "text": "x"}
        answer = await peer.request("/api/notes/", method="POST", data=note)
        assert answer["status"] == 201
        gone = await peer.request("/api/notes/by-token/", id=2, method="DELETE")
        assert gone["status"] == 204


@pytest.mark.parametrize("origin", ["http://evil.example", None])
async def test_channels_refuses_a_foreign_origin(server: ServerThread, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://{server.host}/ws/", origin=origin):
            pass
    assert caught.value.response.status_code == 403


async def test_another_port_is_foreign_to_us(server: ServerThread) -> None:
    """Channels compares host names, and lets it pass."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://{server.host}/ws/", origin="http://127.0.0.1:1"):
            pass
    assert b"CSRF_TRUSTED_ORIGINS" in caught.value.response.body


async def test_no_common_subprotocol(server: ServerThread) -> None:
    offered = ["chat"]
    async with at(server, "/ws/", subprotocols=offered, seed=True) as peer:
        assert await peer.close_code() == 4001


async def test_groups_reach_the_client(server: ServerThread) -> None:
    async with at(server, "/news/paris/") as paris, at(server, "/news/rome/") as rome:
        for peer in (paris, rome):
            await peer.still_answers()  # it is in its groups
        await group_send(server, "news-rome", type="news.told", text="ciao")
        await group_send(server, "everyone", type="news.told", text="all")
        assert (await notice(rome)) == {"event": "news", "data": "ciao"}
        assert (await notice(rome)) == {"event": "news", "data": "all"}
        assert (await notice(paris)) == {"event": "news", "data": "all"}
        assert (await paris.request("/hello/"))["data"] == "hello"


async def test_a_handler_waits_for_no_request(
    server: ServerThread, new_gate: Callable[[], Any]
) -> None:
    gate = new_gate()
    async with at(server, "/news/wien/") as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        await group_send(server, "news-wien", type="news.told", text="servus")
        assert (await notice(peer))["data"] == "servus"
        gate.open()
        assert (await peer.answer(1))["status"] == 200


async def test_groups_are_left(server: ServerThread) -> None:
    async with at(server, "/news/oslo/") as peer:
        await peer.still_answers()
        assert {"everyone", "news-oslo"} <= get_channel_layer().groups.keys()
        News.closed_with.clear()
        await peer.socket.close(4321)
    await server.connections_gone()
    layer = get_channel_layer()
    assert not layer.groups.get("everyone")
    assert "news-oslo" not in layer.groups
    assert News.closed_with == [4321]


@pytest.mark.parametrize(("told", "code"), [("news.broken", 1011), ("news.over", 1000)])
async def test_a_handler_ends_the_connection(server: ServerThread, told: str, code: int) -> None:
    async with at(server, "/news/bonn/") as peer:
        await peer.still_answers()
        await group_send(server, "news-bonn", type=told)
        assert await peer.close_code() == code
    await server.connections_gone()
    if code == 1011:
        (logged,) = server.complaints()
        assert "on purpose" in logged


async def test_connect_may_deny(server: ServerThread) -> None:
    async with at(server, "/news/nobody/", seed=True) as peer:
        assert await peer.close_code() == 4003
    await server.connections_gone()
    assert not registry.members


async def test_a_projects_own_consumer_publishes(server: ServerThread) -> None:
    async with at(server, "/ws/") as peer:
        answer = await peer.request("/hello/", id="hello", method="SUBSCRIBE")
        assert answer["subscription"]
        own = f"ws://{server.host}/own/"
        async with websockets_connect(own, origin=server.http, proxy=None) as socket:  # type: ignore[arg-type]
            await socket.send(json.dumps({"url": "/hello/", "data": {"n": 1}}))
            assert json.loads(await socket.recv()) == {"done": True}
        event = await peer.answer("hello")
        assert (event["event"], event["data"]) == ("told", {"n": 1})


class ScopeUser:
    """The middleware of the how-to."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        websocket = getattr(request, "websocket", None)
        found = websocket.state.get("scope", {}).get("user") if websocket else None
        if found is not None and not request.user.is_authenticated:
            user = type(found).objects.filter(pk=found.pk, is_active=True).first()
            request.user = user or request.user
        return self.get_response(request)


async def test_who_channels_finds_is_known_and_no_more(
    server: ServerThread, settings: Settings
) -> None:
    async with at(server, "/token/?token=ada") as peer:
        assert (await peer.request("/whoami/"))["data"]["user"] == "AnonymousUser"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.transports.test_channels.ScopeUser"]
    async with at(server, "/token/?token=ada") as peer:
        assert (await peer.request("/whoami/"))["data"]["user"] == "ada"
    async with at(server, "/token/?token=eve") as peer:
        assert (await peer.request("/whoami/"))["data"]["user"] == "AnonymousUser"


async def test_a_logout_holds_whatever_the_scope_says(server: ServerThread) -> None:
    """AuthMiddlewareStack has read the session when the connection was opened."""
    token = "a" * 32
    async with httpx.AsyncClient(trust_env=False, cookies={"csrftoken": token}) as client:
        await client.post(
            f"{server.http}/log-in/",
            data={"name": "ada", "word": "secret"},
            headers={"X-CSRFToken": token},
        )
        cookie = f"sessionid={client.cookies['sessionid']}"
    async with at(server, "/ws/", headers={"Cookie": cookie}) as peer:
        assert (await peer.request("/whoami/", id=1))["data"]["user"] == "ada"
        assert (await peer.request("/log-out/", id=2, method="POST"))["status"] == 200
        assert (await peer.request("/whoami/", id=3))["data"]["user"] == "AnonymousUser"


# --- Channels' own way of testing ---


def communicator(path: str, **options: Any) -> WebsocketCommunicator:
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    return WebsocketCommunicator(make_application(), path, headers=headers, **options)


async def test_the_communicator(database: None) -> None:
    peer = communicator("/ws/", subprotocols=["wsrequest.v1.json"])
    assert await peer.connect(PATIENCE) == (True, "wsrequest.v1.json")
    assert (await peer.receive_json_from(PATIENCE))["control"] == "hello"
    await peer.send_json_to({"id": 1, "url": "/hello/"})
    assert (await peer.receive_json_from(PATIENCE))["data"] == "hello"
    await peer.disconnect(timeout=PATIENCE)


async def test_the_communicator_is_told_of_a_group(database: None, layers: None) -> None:
    peer = communicator("/news/here/", subprotocols=["wsrequest.v1.json"])
    await peer.connect(PATIENCE)
    await peer.receive_json_from(PATIENCE)
    await get_channel_layer().group_send("news-here", {"type": "news.told", "text": "hello"})
    assert await peer.receive_json_from(PATIENCE) == {"event": "news", "data": "hello"}
    await peer.disconnect(timeout=PATIENCE)


async def test_groups_need_a_layer(database: None, settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {}
    peer = communicator("/news/here/")
    await peer.connect(PATIENCE)
    with pytest.raises(InvalidChannelLayerError):
        await peer.wait(PATIENCE)
    assert not registry.members
