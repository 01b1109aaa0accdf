"""WebSockets of a Tornado server: what its handler does that no other transport has to."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from pytest_django.fixtures import Settings
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from tests.project.gates import Gate
from tests.support.client import MSGPACK, Peer, connect
from tests.transports.test_handshake import refusal
from tests.transports.tornado_server import TornadoThread, server
from wsrequest import publish
from wsrequest.session.session import Session
from wsrequest.transports.opening import INBOX_FRAMES
from wsrequest.transports.tornado import WebSocketHandler
from wsrequest.transports.tornado.handshake import handshake_of

__all__ = ["server"]

PATIENCE = 30


async def test_messagepack(server: TornadoThread) -> None:
    async with connect(server.ws(), subprotocols=[MSGPACK]) as peer:
        assert (await peer.request("/hello/"))["data"] == "hello"
        assert all(isinstance(frame, bytes) for frame in peer.frames)


async def test_a_view_runs_beside_the_loop(server: TornadoThread, gate: Gate) -> None:
    async with connect(server.ws()) as waiting, connect(server.ws()) as other:
        await waiting.send({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached()
        assert (await other.request("/hello/"))["data"] == "hello"
        gate.open()
        assert (await waiting.answer(1))["status"] == 200


async def test_what_is_known_of_the_request(server: TornadoThread) -> None:
    """Paths and queries as they were sent, and what a proxy says to a server that has ``xheaders``."""
    headers = {"X-Real-Ip": "192.0.2.7", "X-Scheme": "https", "User-Agent": "a peer"}
    async with connect(server.ws("/ws/gr%C3%B6%C3%9Fe?a=%26"), headers=headers) as peer:
        seen = (await peer.request("/echo/"))["data"]
    assert (seen["address"], seen["secure"]) == ("192.0.2.7", True)
    assert seen["meta"]["SERVER_PORT"] == str(server.port)
    assert seen["meta"]["HTTP_USER_AGENT"] == "a peer"


async def test_a_unix_socket(server: TornadoThread) -> None:
    """Nobody's address is known there: a limit for each would be one for all."""
    async with unix_connect(
        server.socket, f"ws://{server.host}/ws/", compression=None, ping_interval=None
    ) as socket:
        seen = (await Peer(socket).plain("/echo/"))["data"]
    assert not seen["address"]
    assert seen["host"] == server.host


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
async def test_a_foreign_origin_is_refused_before_the_upgrade(
    server: TornadoThread, origin: str
) -> None:
    response = await refusal(server.ws(), origin=origin)
    assert response.status_code == 403
    assert "CSRF_TRUSTED_ORIGINS" in response.text


async def test_a_browser_of_tornados_own_rule(server: TornadoThread) -> None:
    """Tornado believes Sec-Fetch-Site; Django's settings are asked all the same, and have the last word."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    response = await refusal(server.ws(), origin="http://evil.example", headers=headers)
    assert response.status_code == 403
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with connect(server.ws(), origin=server.http, headers=headers) as peer:
        await peer.still_answers()


async def test_too_many_connections(server: TornadoThread, settings: Settings) -> None:
    await server.is_empty()
    settings.WSREQUEST = {"MAX_CONNECTIONS": 1}
    async with connect(server.ws()):
        response = await refusal(server.ws())
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


async def test_no_common_subprotocol(server: TornadoThread) -> None:
    """A browser shows no status: it is told by a close code, whatever it says meanwhile."""
    offered = ["wsrequest.token.YWRh", "chat"]
    async with connect(server.ws(), seed=True, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == "chat"
        with contextlib.suppress(ConnectionClosed):
            for _ in range(2 * INBOX_FRAMES):
                await peer.socket.send("{}")
        assert await peer.close_code() == 4001


async def test_a_token_among_the_subprotocols(server: TornadoThread) -> None:
    offered = ["wsrequest.v1.json", "wsrequest.token.YWRh"]
    async with connect(server.ws(), subprotocols=offered) as peer:
        assert peer.socket.subprotocol == "wsrequest.v1.json"
        note = {"slug": "by-token", "text": "x"}
        answer = await peer.request("/api/notes/", method="POST", data=note)
        assert answer["status"] == 201


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 400, "Upgrade"),
        ({"Upgrade": "websocket"}, 400, "Connection"),
        ({"Upgrade": "websocket", "Connection": "upgrade"}, 426, ""),
        (
            {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Version": "13"},
            400,
            "Invalid",
        ),
    ],
)
async def test_what_is_no_handshake(
    server: TornadoThread, headers: dict[str, str], status: int, text: str
) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        response = await client.get(f"{server.http}/ws/", headers=headers)
    assert response.status_code == status
    assert text in response.text
    await server.is_empty()


async def test_a_handler_of_a_projects_own(server: TornadoThread, settings: Settings) -> None:
    settings.WSREQUEST = {"HANDSHAKE": "tests.transports.test_tornado.knows_the_handler"}
    assert (await refusal(server.ws("/keyed/"))).status_code == 401
    assert (await refusal(server.ws("/ws/"))).status_code == 403
    async with connect(server.ws("/keyed/?key=word")) as peer:
        await peer.still_answers()


def knows_the_handler(request):
    """A HANDSHAKE hook."""
    from django.core.exceptions import PermissionDenied

    if request.websocket.state["handler"].current_user != "ada":
        raise PermissionDenied


_asked: Gate


async def waits_at_a_gate(request):
    """A HANDSHAKE hook."""
    await _asked.apass()


async def test_who_goes_before_being_let_in(
    server: TornadoThread, settings: Settings, gate: Gate
) -> None:
    global _asked
    _asked = gate
    await server.is_empty()
    settings.WSREQUEST = {"HANDSHAKE": "tests.transports.test_tornado.waits_at_a_gate"}
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /ws/ HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        % server.host.encode()
    )
    await gate.entered.reached()
    writer.transport.abort()
    gate.open()
    await server.is_empty()


async def test_a_client_is_not_read_while_too_much_waits(
    server: TornadoThread, new_gate: Callable[[], Gate], settings: Settings
) -> None:
    """Nothing is lost meanwhile."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    gate, count = new_gate(), 3 * INBOX_FRAMES
    async with connect(server.ws()) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        for key in range(2, count):
            await peer.send({"id": key, "url": f"/echo/{key}"})
        await gate.entered.reached()
        gate.open()
        for key in range(2, count):
            assert (await peer.answer(key))["data"]["rest"] == str(key)


async def test_one_who_goes_while_too_much_waits(
    server: TornadoThread, gate: Gate, settings: Settings
) -> None:
    await server.is_empty()
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connect(server.ws()) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        for key in range(2, 3 * INBOX_FRAMES):
            await peer.send({"id": key, "url": "/hello/"})
        await gate.entered.reached()
        peer.abort()
        gate.open()
    await server.is_empty()


@pytest.mark.parametrize(("size", "status"), [(2000, 200), (2001, 413), (4000, 413)])
async def test_a_large_message(
    server: TornadoThread, settings: Settings, size: int, status: int
) -> None:
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 2000}
    async with connect(server.ws()) as peer:
        head, tail = '{"id": 1, "method": "POST", "url": "/exempt/", "data": "', '"}'
        await peer.send_text(head + "x" * (size - len(head) - len(tail)) + tail)
        assert (await peer.next())["status"] == status
        await peer.still_answers()


async def test_a_message_that_is_far_too_large(server: TornadoThread, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 2000}
    async with connect(server.ws()) as peer:
        await peer.send_text("x" * 4001)
        assert await peer.close_code() == 1009


async def test_a_connection_that_fails_is_closed(
    server: TornadoThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: Session) -> None:
        raise ZeroDivisionError

    async with connect(server.ws(), seed=True) as peer:
        await peer.still_answers()
        monkeypatch.setattr(Session, "run", run)
        async with connect(server.ws(), seed=True) as failing:
            assert await failing.close_code() == 1011
        await peer.still_answers()
    await server.complained("ZeroDivisionError")


async def test_nobody_waits_for_room_where_all_is_over(
    server: TornadoThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tornado goes on to read what its buffer holds."""
    sent, full, waiting = threading.Event(), threading.Event(), []

    async def run(self: Session) -> None:
        for event in (sent, full):
            await asyncio.to_thread(event.wait, PATIENCE)
        raise ZeroDivisionError

    async def when_there_is_room(self: WebSocketHandler, message: str | bytes) -> None:
        waiting.append(message)
        full.set()
        await wait_for_room(self, message)

    wait_for_room = WebSocketHandler._when_there_is_room
    monkeypatch.setattr(Session, "run", run)
    monkeypatch.setattr(WebSocketHandler, "_when_there_is_room", when_there_is_room)
    async with connect(server.ws(), seed=True) as peer:
        for _ in range(3 * INBOX_FRAMES):
            await peer.send_text("{}")
        sent.set()
        assert await peer.close_code() == 1011
    await server.complained("ZeroDivisionError")
    assert len(waiting) == 1


async def test_events_and_the_end_of_a_loop(database: None, tmp_path: Path) -> None:
    """It ends without a signal: by ``loop_ends()``."""
    server = await asyncio.to_thread(TornadoThread(tmp_path).start)
    async with connect(server.ws()) as peer:
        answer = await peer.request("/notes/", id="notes", method="SUBSCRIBE")
        assert answer["status"] == 200
        await asyncio.to_thread(publish, "/notes/", {"n": 1}, event="told")
        event = await peer.answer("notes")
        assert (event["event"], event["data"]) == ("told", {"n": 1})
        ending = asyncio.create_task(asyncio.to_thread(server.stop))
        await peer.first(lambda message: message.get("control") == "goaway")
        assert await peer.close_code() == 4200
        await ending


def test_sockjs_need_not_be_installed() -> None:
    code = (
        "import sys; sys.modules['sockjs.tornado'] = None\n"
        "import django; django.setup()\n"
        "from wsrequest.transports import tornado\n"
        "tornado.WebSocketHandler\n"
        "for name in ('SockJSRouter', 'Nothing'):\n"
        "    try: getattr(tornado, name)\n"
        "    except (ImportError, AttributeError) as error: print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ModuleNotFoundError", "AttributeError"]


def test_a_client_that_is_gone_already() -> None:
    context, stream = SimpleNamespace(address=("192.0.2.7", 9)), SimpleNamespace(socket=None)
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/ws/?a=b", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "example.org"}),
        connection=SimpleNamespace(context=context, stream=stream),  # type: ignore[arg-type]
    )
    request.remote_ip = "192.0.2.7"
    handshake = handshake_of(request)
    assert (handshake.client, handshake.server) == (("192.0.2.7", 9), None)
    assert (handshake.path, handshake.query_string) == ("/ws/", b"a=b")
