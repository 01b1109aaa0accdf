"""What is the transport's own: one connection, its timeouts, and its errors."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings

from tests.client.conftest import PATIENCE, until
from tests.project.gates import Gate
from tests.support.server import ServerThread
from wsrequest.client import SyncWebSocketTransport, WebSocketTransport, connect, exchange


@pytest.fixture
async def client(server: ServerThread) -> AsyncIterator[httpx.AsyncClient]:
    async with new(server.ws) as client:
        yield client


def new(url: str, mounts: Any = None, **options: Any) -> httpx.AsyncClient:
    transport = WebSocketTransport(url, **options)
    return httpx.AsyncClient(
        transport=transport, base_url=transport.base_url, mounts=mounts, timeout=PATIENCE
    )


def link_of(client: httpx.AsyncClient) -> Any:
    return client._transport._link  # type: ignore[attr-defined]


async def test_all_requests_share_one_connection(client):
    answers = await asyncio.gather(*(client.get("/connection/") for _ in range(50)))
    assert {answer.text for answer in answers} == {link_of(client).hello.connection}


# --- where requests may go ---


async def test_requests_to_others_are_refused_or_mounted(server):
    async with new(server.ws) as client:
        for url in ("http://elsewhere/", f"https://{server.host}/", "http://127.0.0.1:1/", "/x/"):
            with pytest.raises(httpx.UnsupportedProtocol, match="serves requests to"):
                await client.send(httpx.Request("GET", url))
        with pytest.raises(httpx.LocalProtocolError, match="Host"):
            await client.get("/hello/", headers={"host": "elsewhere"})
    other = httpx.MockTransport(lambda request: httpx.Response(200, text="from elsewhere"))
    async with new(server.ws, mounts={"http://elsewhere": other}) as client:
        assert (await client.get("http://elsewhere/")).text == "from elsewhere"
        assert (await client.get("/hello/")).text == "hello"


@pytest.mark.parametrize("url", ["http://host/ws/", "ws:///ws/", "host"])
async def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="is no address of a WebSocket"):
        WebSocketTransport(url)


async def test_what_is_no_codec(server):
    with pytest.raises(ValueError, match="'json' or 'msgpack', not 'xml'"):
        WebSocketTransport(server.ws, codec="xml")  # type: ignore[arg-type]


# --- no connection ---


async def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with new(f"ws://127.0.0.1:{port}/ws/") as client:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError, match="No connection to ws://127"):
                await client.get("/hello/")


async def test_a_server_that_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with new(f"ws://127.0.0.1:{silent.getsockname()[1]}/ws/") as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/hello/", timeout=0.1)


async def test_a_refusal_says_why(server, settings: Settings):
    async with new(server.ws.replace("/ws/", "/elsewhere/")) as client:
        with pytest.raises(httpx.ConnectError, match="404: There is no WebSocket at this path"):
            await client.get("/hello/")
    async with new(server.ws, origin="http://elsewhere") as client:
        with pytest.raises(httpx.ConnectError, match="403: This Origin may not"):
            await client.get("/hello/")
    settings.WSREQUEST = {"MAX_CONNECTIONS_PER_ADDRESS": 1}
    async with connect(server.ws), new(server.ws) as client:
        with pytest.raises(httpx.ConnectError, match="503: This server has as many"):
            await client.get("/hello/")


async def test_a_redirect_of_the_handshake_is_not_followed():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere/\r\nRetry-After: soon\r\n")
        writer.write(b"Content-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    moved = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with moved, new(f"ws://127.0.0.1:{moved.sockets[0].getsockname()[1]}/") as client:
        with pytest.raises(httpx.ConnectError, match="301, to ws://elsewhere/: write that address"):
            await client.get("/hello/")


async def test_a_websocket_that_speaks_something_else():
    from websockets.asyncio.server import serve

    async def chat(socket: Any) -> None:
        await socket.send("welcome")
        await socket.wait_closed()

    spoken: Any = ["wsrequest.v1.json"]
    async with serve(chat, "127.0.0.1", 0, subprotocols=spoken) as other:  # noqa: SIM117
        async with new(f"ws://127.0.0.1:{other.sockets[0].getsockname()[1]}/") as client:
            with pytest.raises(
                httpx.RemoteProtocolError, match=r"does not speak wsrequest\.v1\.json"
            ):
                await client.get("/hello/")


async def test_a_server_that_forgets_how_to_speak():
    from websockets.asyncio.server import serve

    async def babble(socket: Any) -> None:
        hello = {"connection": "c", "limits": {"in_flight": None}}
        await socket.send(json.dumps({"control": "hello", "data": hello}))
        await socket.recv()
        await socket.send("?")
        await socket.wait_closed()

    spoken: Any = ["wsrequest.v1.json"]
    async with serve(babble, "127.0.0.1", 0, subprotocols=spoken) as other:
        port = other.sockets[0].getsockname()[1]
        async with new(f"ws://127.0.0.1:{port}/") as client:
            with pytest.raises(httpx.RemoteProtocolError, match="1002: This is no message"):
                await client.post("/hello/")


async def test_an_answer_that_is_not_what_it_says():
    from websockets.asyncio.server import serve

    async def lie(socket: Any) -> None:
        await socket.send(json.dumps({"control": "hello", "data": {"connection": "c"}}))
        for number in (1, 2):
            await socket.recv()
            head = {"id": number, "status": 200, "headers": {"x-euro": "\u20ac"}, "more": True}
            cookies = {"odd;name": {"value": "1"}}
            await socket.send(json.dumps(head | {"cookies": cookies}))
            await socket.send(json.dumps({"id": number, "chunk": "?", "encoding": "base64"}))
        await socket.wait_closed()

    spoken: Any = ["wsrequest.v1.json"]
    async with serve(lie, "127.0.0.1", 0, subprotocols=spoken) as other:
        port = other.sockets[0].getsockname()[1]
        async with new(f"ws://127.0.0.1:{port}/") as client:
            for _ in range(2):
                async with client.stream("GET", "/hello/") as response:
                    assert "set-cookie" not in response.headers
                    with pytest.raises(httpx.RemoteProtocolError, match="not what it says"):
                        await response.aread()


async def test_a_connection_that_comes_back_when_it_is_asked(server, settings: Settings):
    settings.WSREQUEST = {"IDLE_ANONYMOUS_TIMEOUT": 0.2}
    async with connect(server.ws) as connection:
        before = connection.id
        await until(lambda: connection.state == "closed")
        assert (await connection.http.get("/connection/")).text != before


async def test_a_token_that_can_t_be_got(server):
    def broken() -> str:
        raise LookupError("no key")

    async with new(server.ws, token=broken) as client:
        with pytest.raises(httpx.ConnectError, match="The token could not be got"):
            await client.get("/hello/")


# --- timeouts ---


async def test_no_place_among_those_in_flight(server, settings: Settings, gate: Gate):
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with new(server.ws) as client:
        first = asyncio.create_task(client.get(f"/agate/{gate.name}/"))
        await gate.entered.reached()
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/hello/", timeout=httpx.Timeout(PATIENCE, pool=0.05))
        others = [asyncio.create_task(client.get("/hello/")) for _ in range(5)]
        gate.open()
        assert (await first).status_code == 200
        assert [(await other).text for other in others] == ["hello"] * 5


async def test_a_server_s_own_timeout_is_an_answer(server, settings: Settings, gate: Gate):
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 0.05}
    async with new(server.ws) as client:
        response = await client.get(f"/agate/{gate.name}/")
        assert (response.status_code, response.json()["code"]) == (504, "timeout")


async def test_the_server_knows_the_timeout(client, gate: Gate):
    """A blocking view can't be cancelled: that its request is over, the server knows by the timeout alone."""
    fields = client._transport._fields(httpx.Request("GET", f"{client.base_url}"), b"", 0.0123)
    assert fields["timeout"] == 13


async def test_a_stream_that_says_nothing(client, gate: Gate):
    async with client.stream("GET", f"/agated-stream/{gate.name}/", timeout=0.2) as response:
        with pytest.raises(httpx.ReadTimeout):
            await response.aread()
    assert (await client.get("/hello/")).text == "hello"


# --- ending things ---


async def test_a_cancelled_task_cancels_its_request(client, gate: Gate):
    task = asyncio.create_task(client.get(f"/agate/{gate.name}/"))
    await gate.entered.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gate.cancelled.reached()
    assert (await client.get("/connection/")).text == link_of(client).hello.connection


async def test_a_stream_that_is_closed_unread_is_cancelled(client, gate: Gate):
    async with client.stream("GET", f"/endless/{gate.name}/") as response:
        assert await anext(response.aiter_bytes())
    await gate.left.reached()
    assert (await client.get("/hello/")).text == "hello"


async def test_a_stream_that_breaks(client):
    async with client.stream("GET", "/parts/broken/") as response:
        with pytest.raises(httpx.RemoteProtocolError, match="cut the stream short with 500"):
            await response.aread()


async def test_closing_the_client(client, gate: Gate):
    task = asyncio.create_task(client.get(f"/agate/{gate.name}/"))
    await gate.entered.reached()
    await client.aclose()
    with pytest.raises(httpx.ReadError, match="aclose"):
        await task
    await gate.cancelled.reached()
    with pytest.raises(RuntimeError):
        await client.get("/hello/")


async def test_the_transport_is_closed_for_good(server):
    transport = WebSocketTransport(server.ws)
    await transport.aclose()
    with pytest.raises(RuntimeError, match="make another one"):
        await transport.handle_async_request(httpx.Request("GET", server.http))


# --- what a message can't say ---


async def test_a_body_that_no_frame_takes(server, settings: Settings):
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 1000}
    async with new(server.ws) as client:
        assert (await client.post("/described/", content=b"x" * 500)).status_code == 200
        with pytest.raises(httpx.LocalProtocolError, match="the server reads 1000 at most"):
            await client.post("/described/", content=b"x" * 1000)
        assert (await client.get("/hello/")).text == "hello"


async def test_many_small_requests_fit_where_one_frame_takes_little(server, settings: Settings):
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 700}
    async with new(server.ws) as client:
        answers = await asyncio.gather(
            *(client.post("/described/", content=b"x" * 10 * number) for number in range(30))
        )
        assert [answer.status_code for answer in answers] == [200] * 30


async def test_one_who_is_too_fast_waits(server, settings: Settings):
    settings.WSREQUEST = {"MESSAGES_PER_SECOND": 20, "MESSAGE_BURST": 10}
    async with new(server.ws) as client:
        answers = await asyncio.gather(*(client.post("/described/") for _ in range(15)))
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.get("/answers/429/")).status_code == 429


async def test_a_fault_of_the_package_s_own_leaves_nobody_waiting(server, monkeypatch, caplog):
    def broken(self: Any) -> None:
        raise LookupError("on purpose")

    async with new(server.ws) as client:
        with monkeypatch.context() as patch:
            patch.setattr("wsrequest.client.table.Table.begin_anew", broken)
            with pytest.raises(httpx.RemoteProtocolError, match="The connection broke"):
                await client.get("/hello/")
        assert (await client.get("/hello/")).text == "hello"
    assert "on purpose" in caplog.text


async def test_a_cookie_that_comes_too_late(client):
    await client.get("/hello/")
    with pytest.raises(httpx.LocalProtocolError, match="The cookie 'late' can't be sent"):
        await client.get("/hello/", headers={"cookie": "late=1"})


async def test_a_secret_cookie_goes_before_the_client_s_own(client):
    client.cookies.set("secret", "old", domain="127.0.0.1")
    assert (await client.get("/biscuits/")).json() == {"secret": "old"}
    response = await client.get("/secret/")
    assert "set-cookie" not in response.headers
    assert (await client.get("/biscuits/")).json() == {"secret": "s"}


# --- keys, origins, tokens ---


async def test_a_key_makes_a_request_repeatable(client, gate: Gate):
    gate.open()
    url, key = f"/act/{gate.name}/", {"idempotency_key": "one"}
    assert (await client.post(url, extensions=key)).text == "done"
    again = await client.post(url, extensions=key)
    assert (again.text, again.headers["idempotency-replayed"]) == ("done", "true")
    assert gate.entered.count == 1


async def test_an_origin_makes_csrf_tokens_needless(server):
    async with new(server.ws) as client:
        assert (await client.post("/echo/x/")).status_code == 403
    async with new(server.ws, origin=server.http) as client:
        assert (await client.post("/echo/x/")).status_code == 200
        sent = {"origin": server.http}
        assert (await client.get("/described/", headers=sent)).json()["headers"].get("origin")


async def who(client: httpx.AsyncClient) -> str | None:
    found: str | None = (await client.get("/described/")).json()["headers"].get("authorization")
    return found


async def test_a_token_and_headers_of_the_handshake(server):
    async with new(server.ws, token="abc", headers={"Accept-Language": "de"}) as client:
        assert await who(client) == "JWT abc"
        described = (await client.get("/described/")).json()
        assert described["headers"]["accept-language"] == "de"
        response = await client.get("/described/", headers={"authorization": "Bearer def"})
        assert response.json()["headers"]["authorization"] == "Bearer def"


async def test_a_token_is_got_anew_before_it_expires(server, settings: Settings):
    settings.WSREQUEST = {"EXPIRING_NOTICE": 10**10}
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 9999999999}).encode()).decode().rstrip("=")
    tokens = iter([f"x.{claims}.x", "second"])
    asked = asyncio.Event()

    async def provide() -> str:
        token = next(tokens)
        if token == "second":
            asked.set()
        return token

    async with new(server.ws, token=provide) as client:
        assert (await client.get("/hello/")).text == "hello"
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
            while await who(client) != "JWT second":
                pass


async def test_a_token_that_can_t_be_renewed_is_logged(server, settings: Settings, caplog):
    settings.WSREQUEST = {"EXPIRING_NOTICE": 10**10}
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 9999999999}).encode()).decode().rstrip("=")
    tokens = iter([f"x.{claims}.x"])
    async with new(server.ws, token=lambda: next(tokens)) as client, asyncio.timeout(PATIENCE):
        assert (await client.get("/hello/")).text == "hello"
        while "There is no new token" not in caplog.text:
            await client.get("/hello/")


# --- streams that are read slowly ---


async def test_requests_in_the_middle_of_a_stream(client, gate: Gate):
    """More than all buffers hold: one who reads a stream may ask for other things meanwhile."""
    size = 0
    async with client.stream("GET", f"/achunks/{gate.name}/100/65536/") as response:
        async for part in response.aiter_bytes():
            size += len(part)
            assert (await client.get("/hello/")).text == "hello"
    assert size == 100 * 65536


async def test_a_stream_that_nobody_reads_is_not_read_from_the_socket(client, gate: Gate):
    async with client.stream("GET", f"/achunks/{gate.name}/2000/65536/") as response:
        await gate.entered.reached()
        link = link_of(client)
        await until(lambda: link._is_paused)
        assert (await client.get("/hello/")).text == "hello"  # which lets it read on for a while
        size = sum([len(part) async for part in response.aiter_bytes()])
    assert size == 2000 * 65536


async def test_a_stream_is_given_up_before_it_takes_all_memory(client, gate: Gate, monkeypatch):
    monkeypatch.setattr("wsrequest.client.link.HARD_LIMIT", 2**21)
    async with client.stream("GET", f"/achunks/{gate.name}/1000/65536/") as response:
        async with asyncio.timeout(PATIENCE):
            while not gate.left.count:
                assert (await client.get("/hello/")).text == "hello"
        with pytest.raises(httpx.ReadError, match="were not read"):
            await response.aread()
    assert exchange.HARD_LIMIT > 2**21


# --- without a loop ---


def test_an_interrupted_call_is_cancelled(server, gate: Gate):
    """As Ctrl+C does; another signal is as good."""

    class Interrupted(BaseException):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    def when_entered() -> None:
        asyncio.run(gate.entered.reached())  # type: ignore[arg-type]
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # type: ignore[arg-type]

    before = signal.signal(signal.SIGUSR1, interrupt)
    helper = threading.Thread(target=when_entered)
    transport = SyncWebSocketTransport(server.ws)
    try:
        with httpx.Client(
            transport=transport, base_url=transport.base_url, timeout=PATIENCE
        ) as client:
            client.get("/hello/")
            helper.start()
            with pytest.raises(Interrupted):
                client.get(f"/agate/{gate.name}/")
            helper.join()
            asyncio.run(gate.cancelled.reached())  # type: ignore[arg-type]
            assert client.get("/hello/").text == "hello"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_synchronous_client_that_asks_nothing_starts_nothing(server):
    threads = set(threading.enumerate())
    transport = SyncWebSocketTransport(server.ws)
    transport.close()
    assert set(threading.enumerate()) == threads


async def test_a_connection_has_a_client(server):
    async with connect(server.ws) as connection:
        assert connection.state == "open"
        assert (await connection.http.get("/connection/")).text == connection.id
        assert connection.http is connection.http
    assert connection.state == "closed"
