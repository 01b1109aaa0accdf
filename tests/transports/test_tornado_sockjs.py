"""SockJS: what it does that no other transport has to. Requests and everything else are in the shared suite."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from pytest_django.fixtures import Settings
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed

from tests.project.gates import Gate
from tests.support.client import LOG_IN, Peer, connect
from tests.transports.shared.carrier import Site
from tests.transports.shared.carriers.tornado import (
    opens,
    sockjs_polling,
    sockjs_streaming,
    sockjs_websocket,
)
from tests.transports.tornado_server import TornadoThread, server
from wsrequest.errors import ConfigurationError
from wsrequest.session.session import Session as Connection
from wsrequest.transports.opening import INBOX_FRAMES
from wsrequest.transports.tornado import SockJSConnection

__all__ = ["server"]

PATIENCE = 30
WAYS = {
    "websocket": opens(sockjs_websocket),
    "streaming": opens(sockjs_streaming),
    "polling": opens(sockjs_polling),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@asynccontextmanager
async def at(
    server: TornadoThread,
    way: str,
    path: str = "/sockjs",
    subprotocol: str | None = None,
    origin: str | None = None,
    **headers: str,
) -> AsyncIterator[Peer]:
    options = {"subprotocol": subprotocol, "origin": origin, "headers": headers}
    async with WAYS[way](Site(server.port), path=path, **options) as wire:  # type: ignore[arg-type]
        yield Peer(wire)  # type: ignore[arg-type]


@asynccontextmanager
async def polling(
    server: TornadoThread, path: str = "/sockjs/000/session", **headers: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that polls as it likes."""
    async with httpx.AsyncClient(
        base_url=f"{server.http}{path}",
        headers=headers,
        timeout=PATIENCE,
        trust_env=False,
        verify=False,
    ) as client:
        yield client


async def poll(client: httpx.AsyncClient, **headers: str) -> str:
    return (await client.post("/xhr", headers=headers)).text.rstrip("\n")


async def say(client: httpx.AsyncClient, *messages: Any, **headers: str) -> int:
    frames = [json.dumps(message) for message in messages]
    return (await client.post("/xhr_send", json=frames, headers=headers)).status_code


def messages_of(frame: str) -> list[Any]:
    assert frame[0] == "a", frame
    return [json.loads(text) for text in json.loads(frame[1:])]


async def test_who_negotiates_is_greeted(server: TornadoThread, way: str) -> None:
    async with at(server, way, "/v1", subprotocol=None) as peer:
        assert (await peer.next())["control"] == "hello"
        await peer.send({"id": 1, "url": "/hello/"}, {"id": 2, "url": "/ahello/"})
        assert {(await peer.answer(key))["data"] for key in (1, 2)} == {"hello"}


async def test_a_connection_of_a_projects_own(server: TornadoThread) -> None:
    async with websockets_connect(server.ws("/greeting/000/x/websocket")) as socket:
        assert [await socket.recv() for _ in range(2)] == ["o", 'a["connected"]']
        await socket.send('["{\\"url\\": \\"/hello/\\"}"]')
        (answer,) = messages_of(str(await socket.recv()))
        assert answer["data"] == "hello"


async def test_its_plain_websocket_is_a_websocket(server: TornadoThread) -> None:
    async with connect(server.ws("/sockjs/websocket")) as peer:
        assert peer.socket.subprotocol == "wsrequest.v1.json"
        await peer.still_answers()


@pytest.mark.parametrize(
    "path",
    ["iframe.html", "iframe-0.3.4.html", *(f"0/s/{way}" for way in ("jsonp", "jsonp_send"))]
    + [f"0/s/{way}" for way in ("eventsource", "htmlfile")],
)
async def test_nothing_is_there_by_which_any_page_may_come(
    server: TornadoThread, path: str
) -> None:
    async with polling(server, "/sockjs/") as client:
        assert (await client.get(path)).status_code == 404
        assert (await client.post(path)).status_code == 404
        assert (await client.get("info")).json()["websocket"] is True


async def test_the_router_of_sockjs_tornado_is_refused(server: TornadoThread) -> None:
    async def made() -> Any:
        from sockjs.tornado import SockJSRouter  # warns of itself where it is the first

        router = SockJSRouter(SockJSConnection, "/open")
        return router.create_session("x")

    with pytest.raises(ConfigurationError, match=r"wsrequest\.transports\.tornado\.SockJSRouter"):
        await server.acall(made())


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_foreign_origin(server: TornadoThread, way: str, origin: str) -> None:
    async with at(server, way, origin=origin) as peer:
        assert await peer.close_code() == 4003


async def test_the_reason_of_a_refusal(server: TornadoThread) -> None:
    async with polling(server, Origin="http://evil.example") as client:
        assert await poll(client) == "o"
        code, reason = json.loads((await poll(client))[1:])
        assert code == 4003
        assert "CSRF_TRUSTED_ORIGINS" in reason


async def test_a_foreign_page_says_nothing(server: TornadoThread) -> None:
    """Even if it knows the url."""
    async with polling(server, "/sockjs/000/known") as client:
        assert await poll(client) == "o"
        ping = {"ping": 1}
        assert await say(client, ping, Origin="http://evil.example") == 403
        assert await say(client, ping, Origin=server.http) == 204
        assert messages_of(await poll(client)) == [{"pong": 1}]


async def test_another_session_says_and_hears_nothing(server: TornadoThread) -> None:
    mine, other = {"Cookie": "sessionid=mine"}, {"Cookie": "sessionid=other"}
    async with polling(server, "/sockjs/000/shared") as client:
        assert await poll(client, **mine) == "o"
        assert await say(client, {"ping": 1}, **other) == 404
        assert await say(client, {"ping": 1}) == 404
        assert await poll(client, **other) == 'c[2010,"Opened with another session"]'
        assert await say(client, {"ping": 2}, **mine) == 204
        assert messages_of(await poll(client, **mine)) == [{"pong": 2}]


def latest_session() -> str:
    try:
        return Session.objects.latest("expire_date").session_key
    finally:
        connection.close()


async def test_a_session_that_was_made_on_the_connection(server: TornadoThread) -> None:
    """The client may have its cookie by now, by CookieHandover; or not yet."""
    async with polling(server, "/v1/000/login", Origin=server.http) as client:
        assert await poll(client) == "o"
        assert messages_of(await poll(client))[0]["control"] == "hello"
        assert await say(client, {"id": 1, **LOG_IN}) == 204
        assert messages_of(await poll(client))[0]["data"] == "welcome ada"
        cookie = await asyncio.to_thread(latest_session)
        for headers in ({}, {"Cookie": f"sessionid={cookie}"}):
            assert await say(client, {"id": 2, "url": "/whoami/"}, **headers) == 204
            (answer,) = messages_of(await poll(client, **headers))
            assert answer["data"]["user"] == "ada"


FRAMES: list[tuple[str, list[Any]]] = [
    ('["{\\"ping\\": 1}", "{\\"ping\\": 2}"]', [{"pong": 1}, {"pong": 2}]),
    ('"{\\"ping\\": 1}"', [{"pong": 1}]),
    ('[{"ping": 1}]', [{"pong": 1}]),
    ('{"ping": 1}', [{"pong": 1}]),
    ('["", "{\\"ping\\": 1}"]', [{"pong": 1}]),
    ("[]", []),
    ('"\\ud800"', ["invalid_message"]),
    ('["\\ud800", 5, null, [[]]]', ["invalid_message"] * 4),
]


@pytest.mark.parametrize(("frame", "answers"), FRAMES)
@pytest.mark.parametrize("over", ["websocket", "xhr"])
async def test_odd_frames(server: TornadoThread, over: str, frame: str, answers: list[Any]) -> None:
    """Messages that are no text are taken as if they were; empty ones are none."""
    wanted = [*answers, {"pong": 9}]
    if over == "websocket":
        async with websockets_connect(server.ws("/sockjs/000/x/websocket")) as socket:
            await socket.send(frame)
            await socket.send('["{\\"ping\\": 9}"]')
            assert await socket.recv() == "o"
            got: list[Any] = []
            while len(got) < len(wanted):
                got += messages_of(str(await socket.recv()))
    else:
        async with polling(server, f"/sockjs/000/odd-{abs(hash(frame))}") as client:
            assert await poll(client) == "o"
            assert (await client.post("/xhr_send", content=frame)).status_code == 204
            assert await say(client, {"ping": 9}) == 204
            got = []
            while len(got) < len(wanted):
                got += messages_of(await poll(client))
    assert [each if "pong" in each else each["data"]["code"] for each in got] == wanted


async def test_what_is_no_frame(server: TornadoThread) -> None:
    """sockjs-tornado logs it."""
    async with websockets_connect(server.ws("/sockjs/000/x/websocket")) as socket:
        assert await socket.recv() == "o"
        await socket.send("{")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    async with polling(server, "/sockjs/000/broken") as client:
        assert await poll(client) == "o"
        assert (await client.post("/xhr_send", content="{")).status_code == 500
    await server.complained("JSONDecodeError")


async def test_nobody_is_there(server: TornadoThread) -> None:
    async with polling(server, "/sockjs/000/nobody") as client:
        assert await say(client, {"ping": 1}) == 404


@pytest.mark.parametrize("over", [0, 1])
async def test_a_body_that_is_too_large(
    server: TornadoThread, monkeypatch: pytest.MonkeyPatch, settings: Settings, over: int
) -> None:
    monkeypatch.setattr("wsrequest.transports.tornado.sockjs_session.INBOX_BYTES", 2000)
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 500}
    async with polling(server, f"/sockjs/000/large-{over}") as client:
        assert await poll(client) == "o"
        body = f'["{"x" * (2000 - 4 + over)}"]'
        try:
            status = (await client.post("/xhr_send", content=body)).status_code
        except (
            httpx.TransportError
        ):  # Tornado hangs up on what it has not read, and 400 may be lost with that
            status = 400
        assert status == (400 if over else 204)
        if over:  # none of it was taken, and the connection is as before
            assert await say(client, {"ping": 7}) == 204
        (message,) = messages_of(await poll(client))
        assert message == {"pong": 7} if over else message["status"] == 413


async def test_many_messages_in_one_body(server: TornadoThread) -> None:
    """As sockjs-client sends what has come together while it waited."""
    count = 3 * INBOX_FRAMES
    async with polling(server, "/sockjs/000/many") as client:
        assert await poll(client) == "o"
        assert await say(client, *({"ping": key} for key in range(count))) == 204
        got: list[Any] = []
        while len(got) < count:
            got += messages_of(await poll(client))
        assert [each["pong"] for each in got] == list(range(count))


async def test_a_client_is_not_read_while_too_much_waits(
    server: TornadoThread, way: str, gate: Gate, settings: Settings
) -> None:
    """Nothing is lost meanwhile."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    count = INBOX_FRAMES + 20
    async with at(server, way) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})

        async def ask() -> None:
            for key in range(2, count):
                await peer.send({"id": key, "url": f"/echo/{key}"})

        asking = asyncio.create_task(ask())
        await gate.entered.reached()
        gate.open()
        for key in range(2, count):
            assert (await peer.answer(key))["data"]["rest"] == str(key)
        await asking


async def test_a_client_that_does_not_poll(server: TornadoThread, gate: Gate) -> None:
    """A stream waits for it; and when it is long gone, it ends."""
    async with polling(server, "/greeting/000/gone") as client:
        assert await poll(client) == "o"
        assert await poll(client) == 'a["connected"]'
        url = f"/achunks/{gate.name}/1000000000/65536/"
        assert await say(client, {"id": 1, "url": url}) == 204
        assert messages_of(await poll(client))[0]["status"] == 200
    await gate.left.reached()
    await server.is_empty()
    assert gate.entered.count < 1000


async def test_two_that_poll(server: TornadoThread) -> None:
    async with polling(server, "/sockjs/000/twice") as client:
        assert await poll(client) == "o"
        first = asyncio.create_task(poll(client))
        second = asyncio.create_task(poll(client))
        done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result()[:6] for task in done] == ["c[2010"]
        assert await say(client, {"ping": 1}) == 204
        assert [await first, await second].count('a["{\\"pong\\":1}"]') == 1


async def test_who_polled_may_stream(server: TornadoThread) -> None:
    """And is seen to go."""
    async with polling(server, "/sockjs/000/both") as client:
        assert await poll(client) == "o"
        assert await say(client, {"ping": 1}) == 204
        async with client.stream("POST", "/xhr_streaming") as response:
            lines = response.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["h" * 2048, 'a["{\\"pong\\":1}"]']
        await server.is_empty()


async def test_a_close_code(server: TornadoThread, way: str, settings: Settings) -> None:
    settings.WSREQUEST = {"IDLE_ANONYMOUS_TIMEOUT": 0.05}
    async with at(server, way) as peer:
        assert await peer.close_code() == 4011


async def test_a_connection_that_fails_is_closed(
    server: TornadoThread, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: Connection) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "run", run)
    async with at(server, way) as peer:
        assert await peer.close_code() == 1011
    await server.is_empty()
    await server.complained("ZeroDivisionError")


_asked: Gate


async def waits_at_a_gate(request: Any) -> None:
    """A HANDSHAKE hook."""
    await _asked.apass()


async def test_who_goes_before_being_let_in(
    server: TornadoThread, way: str, settings: Settings, gate: Gate
) -> None:
    global _asked
    _asked = gate
    settings.WSREQUEST = {"HANDSHAKE": "tests.transports.test_tornado_sockjs.waits_at_a_gate"}
    async with at(server, way) as peer:
        await gate.entered.reached()
        peer.abort()
    gate.open()
    await server.is_empty()
