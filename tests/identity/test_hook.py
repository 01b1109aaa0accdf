"""The HANDSHAKE hook: the project's own word on whether a connection may be opened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.identity import hooks
from tests.identity.test_limits import log_in
from tests.identity.ways import cookie_of, session_of, token_entry
from tests.project.gates import Gate
from tests.support.client import SUBPROTOCOL, Peer, connect
from tests.support.server import ServerThread
from wsrequest.asgi import get_asgi_application
from wsrequest.session.registry import registry

HERE = "tests.identity.hooks"


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    hooks.seen.clear()
    yield
    hooks.seen.clear()


async def refusal(url: str, **options: Any) -> httpx.Response:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, **options):
            pass
    response = caught.value.response
    return httpx.Response(
        response.status_code, headers=dict(response.headers), content=bytes(response.body)
    )


@pytest.mark.parametrize("hook", ["note", "anote"])
async def test_it_is_a_view_of_the_handshake(
    server: ServerThread, settings: Settings, hook: str
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{hook}"}
    headers = {"Accept-Language": "de", "X-Room": "blue", "Cookie": "a=1", "X_Forged": "1"}
    url = f"{server.ws}?room=blue&room=red&word=%C3%A9"
    async with connect(url, headers=headers, origin=server.http) as peer:
        assert peer.hello is not None
        (seen,) = hooks.seen
        assert seen["websocket"] == peer.hello["data"]["connection"]
    assert (seen["method"], seen["path"], seen["body"]) == ("GET", "/ws/", b"")
    assert seen["query"] == {"room": ["blue", "red"], "word": ["é"]}
    assert (seen["user"], seen["session"]) == ("AnonymousUser", None)
    assert (seen["host"], seen["ip"]) == (server.host, "127.0.0.1")
    assert seen["cookies"] == {"a": "1"}
    assert seen["headers"]["accept-language"] == "de"
    assert seen["headers"]["x-room"] == "blue"
    assert seen["headers"]["origin"] == server.http
    assert seen["headers"]["sec-websocket-protocol"] == SUBPROTOCOL
    assert "x-forged" not in seen["headers"]


@pytest.mark.parametrize("hook", ["members_only", "amembers_only"])
async def test_it_knows_who_comes(server: ServerThread, settings: Settings, hook: str) -> None:
    async with connect(server.ws, origin=server.http) as first:
        await log_in(first)
        cookie = cookie_of(first)
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{hook}"}
    refused = await refusal(server.ws)
    assert (refused.status_code, refused.text) == (401, "The connection was refused.\n")
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await refusal(server.ws, headers={"Cookie": "sessionid=made-up"})).status_code == 401
    async with connect(server.ws, headers=cookie) as peer:
        assert (await peer.request("/whoami/"))["data"]["user"] == "ada"


@pytest.mark.parametrize("prefix", ["", "a"])
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("kind=denied", 403),
        ("kind=missing", 404),
        ("kind=broken", 500),
        ("kind=redirect", 302),
        ("kind=false", 500),
        ("kind=stream&status=418", 418),
        ("status=400", 400),
        ("status=429", 429),
        ("status=503", 503),
        ("status=304", 304),
        ("status=101", 403),
    ],
)
async def test_anything_else_than_a_yes_refuses(
    server: ServerThread, settings: Settings, prefix: str, query: str, status: int
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{prefix}by_query"}
    refused = await refusal(f"{server.ws}?{query}")
    assert refused.status_code == status
    assert "secret" not in refused.text
    assert "location" not in refused.headers


@pytest.mark.parametrize("prefix", ["", "a"])
async def test_a_hook_that_returns_no_response_is_told_what_to_return(
    server: ServerThread, settings: Settings, caplog: pytest.LogCaptureFixture, prefix: str
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{prefix}by_query"}
    await refusal(f"{server.ws}?kind=false")
    assert "The HANDSHAKE hook returned bool. Return None to let the connection in" in caplog.text


@pytest.mark.parametrize("prefix", ["", "a"])
@pytest.mark.parametrize("query", ["kind=json", "kind=stream&status=200", "status=204"])
async def test_a_2xx_is_a_yes(
    server: ServerThread, settings: Settings, prefix: str, query: str
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{prefix}by_query"}
    async with connect(f"{server.ws}?{query}") as peer:
        await peer.still_answers()


async def test_it_may_be_an_object(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.door"}
    assert (await refusal(server.ws)).status_code == 403
    async with connect(f"{server.ws}?word=sesame") as peer:
        await peer.still_answers()


async def test_a_server_that_cannot_refuse_by_http(settings: Settings, database: None) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.members_only"}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/ws/",
        "headers": [(b"host", b"testserver")],
        "subprotocols": [SUBPROTOCOL],
    }
    await get_asgi_application()(scope, receive, send)
    assert sent == [
        {"type": "websocket.accept", "subprotocol": SUBPROTOCOL},
        {"type": "websocket.close", "code": 4003, "reason": "The connection was refused."},
    ]


async def test_origin_and_host_are_asked_first(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note"}
    assert (await refusal(server.ws, origin="http://evil.example")).status_code == 403
    settings.ALLOWED_HOSTS = ["other.example"]
    assert (await refusal(server.ws)).status_code == 403
    assert hooks.seen == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"PREPEND_WWW": True}, 301),
        ({"SECURE_SSL_REDIRECT": True}, 301),
        ({"MIDDLEWARE": ["tests.identity.test_hook.closed_for_today"]}, 503),
    ],
)
async def test_the_middleware_has_its_say(
    server: ServerThread, settings: Settings, change: dict[str, Any], status: int
) -> None:
    for name, value in change.items():
        setattr(settings, name, value)
    async with connect(server.ws) as peer:  # no hook and no session: nobody is asked
        assert peer.hello is not None
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note"}
    assert (await refusal(server.ws)).status_code == status
    assert hooks.seen == []


def closed_for_today(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        from django.http import HttpResponse

        return HttpResponse(status=503)

    return middleware


async def test_middleware_that_asks_for_a_login_is_for_views(
    server: ServerThread, settings: Settings
) -> None:
    """Whether one has to be logged in is the hook's own business."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note"}
    async with connect(server.ws) as peer:
        assert (await peer.request("/hello/"))["status"] == 302


async def test_without_a_hook_a_stale_session_is_no_reason_to_refuse(
    server: ServerThread, settings: Settings
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.identity.test_hook.closed_for_today"]
    async with connect(server.ws, headers={"Cookie": "sessionid=made-up"}) as peer:
        assert (await peer.request("/hello/"))["status"] == 503


@pytest.mark.parametrize("hook", ["at_gate", "aat_gate"])
async def test_a_slow_one(server: ServerThread, settings: Settings, gate: Gate, hook: str) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.{hook}", "HANDSHAKE_TIMEOUT": 0.2}
    refused = await refusal(f"{server.ws}?gate={gate.name}")
    assert refused.status_code == 503
    assert "too long" in refused.text
    assert int(refused.headers["retry-after"]) > 0
    if hook == "aat_gate":
        await gate.cancelled.reached()
    await server.connections_gone()
    assert registry.members == set()
    gate.open()
    async with connect(f"{server.ws}?gate={gate.name}") as peer:
        await peer.still_answers()


async def test_a_slow_one_without_a_limit(
    server: ServerThread, settings: Settings, gate: Gate
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.at_gate", "HANDSHAKE_TIMEOUT": None}

    async def open_one() -> None:
        async with connect(f"{server.ws}?gate={gate.name}") as peer:
            await peer.still_answers()

    opening = asyncio.create_task(open_one())
    await gate.entered.reached()
    assert not opening.done()
    gate.open()
    await opening


async def test_one_that_waits_counts_as_a_connection(
    server: ServerThread, settings: Settings, gate: Gate
) -> None:
    await server.connections_gone()
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.at_gate", "MAX_CONNECTIONS": 1}

    async def open_one() -> None:
        async with connect(f"{server.ws}?gate={gate.name}"):
            pass

    opening = asyncio.create_task(open_one())
    await gate.entered.reached()
    assert (await refusal(f"{server.ws}?gate={gate.name}")).status_code == 503
    gate.open()
    await opening


async def shown(peer: Peer) -> Any:
    return (await peer.request("/cookies/show/"))["data"]


async def test_its_cookies_go_into_the_jar(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.set_cookies"}
    async with connect(server.ws) as peer:
        assert "from_hook" in str(await shown(peer))
    refused = await refusal(f"{server.ws}?refuse=1")
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


async def test_its_session_is_the_connections(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.count_visit"}
    async with connect(server.ws) as peer:
        cookie = cookie_of(peer)
        assert cookie["Cookie"].startswith("sessionid=")
        assert "sessionid" in str(await shown(peer))
    async with connect(server.ws, headers=cookie) as peer:
        assert cookie_of(peer) == cookie


async def test_it_may_greet(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.greet"}
    async with connect(server.ws) as peer:
        assert await peer.next() == {"event": "greeting", "data": {"codec": "json"}}
    async with connect(server.ws, seed=True) as seed:
        await seed.still_answers()


async def test_nothing_of_it_stays_for_the_messages(
    server: ServerThread, settings: Settings
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.activate"}
    async with connect(server.ws) as peer:
        for url in ("/say-yes/", "/asay-yes/"):
            assert (await peer.request(url))["data"] == "en-us: Yes"


async def test_its_state_is_the_connections(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note"}
    async with connect(server.ws) as peer:
        assert session_of(peer).websocket.state == {"met": True}


async def test_the_token_of_the_slot_is_the_one_it_sees(
    server: ServerThread, settings: Settings
) -> None:
    """An expired one is not in the slot, and so not in the request."""
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note"}
    expired = "JWT a.eyJleHAiOjF9.c"
    async with connect(server.ws, headers={"Authorization": "JWT a"}):
        pass
    async with connect(server.ws, headers={"Authorization": expired}):
        pass
    assert [seen["headers"].get("authorization") for seen in hooks.seen] == ["JWT a", None]


@pytest.mark.parametrize("place", [0, 1])
async def test_a_token_among_the_subprotocols_is_in_no_report_of_an_error(
    server: ServerThread, settings: Settings, place: int
) -> None:
    """Django blackens Authorization there, and knows nothing of subprotocols."""
    settings.WSREQUEST = {"HANDSHAKE": f"{HERE}.note_with_report"}
    offered = [SUBPROTOCOL]
    offered.insert(place, token_entry("hush"))
    async with connect(server.ws, subprotocols=offered):
        (seen,) = hooks.seen
    assert seen["headers"]["authorization"] == "JWT hush"
    assert seen["headers"]["sec-websocket-protocol"] == SUBPROTOCOL
    assert "hush" not in seen["report"]
    assert token_entry("hush") not in seen["report"]
