"""WebSockets over HTTP/3 (RFC 9220), as hypercorn serves them: the way there, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.client import MSGPACK, SUBPROTOCOL, Peer
from tests.support.framed import make_certificate, over_http3
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.transports.shared.carrier import Refused
from tests.transports.shared.carriers.asgi import APPLICATION, HYPERCORN
from tests.transports.shared.serving import Serving, environment, make_database
from tests.transports.shared.test_push import beside
from wsrequest import disconnect


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, broker: RedisServer) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("http3")
    certfile, keyfile = make_certificate(folder)

    def command(port: int) -> tuple[str, ...]:
        at = f"127.0.0.1:{port}"  # TCP and UDP
        tls = ("--certfile", str(certfile), "--keyfile", str(keyfile))
        places = ("--bind", "127.0.0.1:0", "--insecure-bind", at, "--quic-bind", at)
        return "-m", "hypercorn", *places, *tls, "--log-level", "warning", APPLICATION

    surroundings = environment(folder, broker.url, free_port())
    make_database(surroundings)
    serving = Serving(replace(HYPERCORN, command=command), surroundings)
    yield serving.site().port
    serving.close()


@pytest.mark.parametrize("subprotocol", [SUBPROTOCOL, MSGPACK, None])
async def test_messages(port: int, subprotocol: str | None) -> None:
    headers = {"Origin": f"https://127.0.0.1:{port}", "Cookie": "one=1"}
    async with over_http3(port, "/ws/", subprotocol, headers) as wire:
        assert wire.subprotocol == subprotocol
        peer = Peer(wire)
        seen = (await peer.request("/echo/", method="POST", data={"text": "x" * 200_000}))["data"]
        assert (seen["secure"], seen["cookies"]) == (True, {"one": "1"})
        assert seen["body"]["bytes"] > 200_000


async def test_events(port: int) -> None:
    headers = {"Origin": f"https://127.0.0.1:{port}"}
    async with over_http3(port, "/ws/", SUBPROTOCOL, headers) as wire:
        peer = Peer(wire)
        await peer.request("/log/http3/", id="log", method="SUBSCRIBE")
        await peer.send({"id": 1, "url": "/log/http3/", "method": "POST", "data": "x"})
        assert (await peer.answer("log"))["data"] == "x"


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/ws/", "https://evil.example", 403), ("/elsewhere/", None, 404)],
)
async def test_refusals(port: int, path: str, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    with pytest.raises(Refused) as caught:
        async with over_http3(port, path, SUBPROTOCOL, headers):
            pass
    assert caught.value.status == status


async def test_a_large_answer(port: int) -> None:
    async with over_http3(port, "/ws/", MSGPACK, {}) as wire:
        assert len((await Peer(wire).request("/large/binary/"))["data"]) == 2 * 2**20


async def test_a_close_code(port: int, broker: RedisServer) -> None:
    async with over_http3(port, "/ws/", SUBPROTOCOL, {}) as wire:
        peer = Peer(wire)
        hello = await peer.next()
        with beside(broker.url):
            await asyncio.to_thread(disconnect, hello["data"]["connection"])
        assert await peer.close_code() == 4010
