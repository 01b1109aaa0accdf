"""Socket.IO's own client in Python, at a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import socketio
from asgiref.sync import sync_to_async
from pytest_django.fixtures import Settings
from websockets.asyncio.client import connect as websockets_connect

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.server import ServerThread
from tests.transports.socketio_client import PATIENCE, Client, at, gone, new_server, refusal
from wsrequest import EVERYONE, disconnect, notify, publish
from wsrequest.session.registry import registry

FORM = {"content-type": "application/x-www-form-urlencoded"}
LOGIN = {"url": "/log-in/", "data": {"name": "ada", "word": "secret"}, "headers": FORM}


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    running = new_server()
    yield running
    running.stop()


@pytest.fixture
async def client(server: ServerThread) -> AsyncIterator[Client]:
    async with at(server) as opened:
        yield opened


async def test_the_verbs(server: ServerThread) -> None:
    async with at(server) as client:
        html = {"content-type": "text/html; charset=utf-8"}
        answer = await client.ask("get", "/hello/")
        assert answer == {"body": "hello", "headers": html, "statusCode": 200}
        note = {"slug": "io", "text": "one"}
        made = await client.ask("post", "/api/notes/", data=note, token="ada")
        assert (made["statusCode"], made["body"]["slug"]) == (201, "io")
        changed = {"text": "two"}
        answer = await client.ask("patch", "/api/notes/io/", data=changed, token="ada")
        assert answer["body"]["text"] == "two"
        answer = await client.ask("delete", "/api/notes/io/", token="ada")
        assert answer == {"body": None, "headers": answer["headers"], "statusCode": 204}
        found = await client.ask("get", "/echo/a", data={"q": "\xe4"}, headers={"X-A": "1"})
        assert found["body"]["get"] == {"q": ["\xe4"]}
        assert (await client.ask("get"))["body"]["code"] == "missing_url"
        assert (await client.socket.call("get", "no object"))["statusCode"] == 400


async def test_a_token_to_connect_with(server: ServerThread) -> None:
    async with at(server, auth={"token": "ada"}) as client:
        note = {"slug": "token", "text": "x"}
        assert (await client.ask("post", "/api/notes/", data=note))["statusCode"] == 201
        assert (await client.ask("auth", token=None))["statusCode"] == 204
        assert (await client.ask("delete", "/api/notes/token/"))["statusCode"] == 401
        assert (await client.ask("auth", token="ada"))["statusCode"] == 204
        assert (await client.ask("delete", "/api/notes/token/"))["statusCode"] == 204


async def test_a_token_that_is_none(server: ServerThread) -> None:
    said = await refusal(server, auth={"token": "a\nb"})
    assert "base64url" in said["message"]
    assert (said["data"]["statusCode"], said["data"]["body"]["code"]) == (400, "bad_token")
    async with at(server, auth={"token": ""}) as client:
        assert (await client.ask("get", "/hello/"))["body"] == "hello"


async def test_cookies(client: Client, server: ServerThread) -> None:
    assert (await client.ask("get", "/whoami/"))["body"]["user"] == "AnonymousUser"
    answer = await client.ask("post", **LOGIN)
    assert answer["body"] == "welcome ada"
    assert "sessionid" in answer["cookies"]
    assert (await client.ask("get", "/whoami/"))["body"]["user"] == "ada"
    async with at(server, headers={"Cookie": "one=1"}) as other:
        assert (await other.ask("get", "/cookies/show/"))["body"] == {"cookies": [["one", "1"]]}


async def test_without_an_origin_django_checks_for_forgery(server: ServerThread) -> None:
    async with at(server, origin=None) as client:
        assert (await client.ask("post", **LOGIN))["statusCode"] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1"])
async def test_a_foreign_origin(server: ServerThread, origin: str) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with at(server, origin=origin):
            pass
    await gone(server)


async def test_a_trusted_origin(server: ServerThread, settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    async with at(server, origin="https://trusted.example") as client:
        assert (await client.ask("post", **LOGIN))["body"] == "welcome ada"


async def test_other_namespaces_are_not_served(server: ServerThread) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with at(server, namespaces=["/other"]):
            pass


async def test_bytes(client: Client) -> None:
    answer = await client.ask("put", "/echo/", data=b"\x00\xff")
    assert answer["body"]["body"]["start"] == repr(b"\x00\xff")
    png = await client.ask("get", "/odd/png/")
    assert png["body"][:4] == b"\x89PNG"
    file = {"filename": "a.txt", "content": b"hello"}
    multipart = {"content-type": "multipart/form-data"}
    answer = await client.ask("post", "/form/", data={"file": file}, headers=multipart)
    assert answer["body"]["files"]["file"][0][0] == "a.txt"


async def test_streams(client: Client) -> None:
    whole = await client.ask("get", "/stream/")
    assert whole["body"].startswith("one two ")
    answer = await client.ask("get", "/stream/", stream=True)
    assert (answer["body"], answer["statusCode"]) == (None, 200)
    about = {**answer["stream"], "url": "/stream/"}
    assert await client.told("chunk") == ("one ", about)
    assert await client.told("chunk") == ("two ", about)
    assert await client.told("end") == (None, about)
    broken = await client.ask("get", "/broken-stream/")
    assert broken["statusCode"] == 500
    assert "secret" not in json.dumps(broken)


async def test_a_stream_that_is_too_long(client: Client, gate: Gate) -> None:
    answer = await client.ask("get", f"/chunks/{gate.name}/1000000000/65536/")
    assert (answer["statusCode"], answer["body"]["limit"]) == (502, 2**20)
    await gate.left.reached(1)


async def test_a_stream_that_nobody_wants_any_more(client: Client, gate: Gate) -> None:
    url = f"/chunks/{gate.name}/1000000000/100/"
    answer = await client.ask("get", url, stream=True)
    await client.told("chunk")
    assert (await client.ask("unsubscribe", id=answer["stream"]["id"]))["statusCode"] == 204
    await gate.left.reached(1)


async def test_events_of_a_url(client: Client) -> None:
    answer = await client.ask("subscribe", "/hello/")
    assert answer["body"] == "hello"
    await sync_to_async(publish)("/hello/", {"n": 1}, event="told")
    data, about = await client.told("told")
    assert data == {"n": 1}
    position = answer["subscription"]
    assert about == {"id": position["id"], "url": "/hello/", "offset": position["offset"] + 1}
    assert (await client.ask("unsubscribe", "/hello/"))["statusCode"] == 204
    assert (await client.ask("unsubscribe", "/hello/"))["statusCode"] == 404
    await sync_to_async(publish)("/hello/", {"n": 2}, event="told")
    assert (await client.ask("get", "/hello/"))["body"] == "hello"
    assert not client.heard("told")


async def test_an_answer_that_stays_up_to_date(client: Client) -> None:
    note = {"slug": "live", "text": "one"}
    await client.ask("post", "/api/notes/", data=note, token="ada")
    answer = await client.ask("subscribe", "/api/notes/live/", live=True)
    assert answer["body"]["text"] == "one"
    changed = {"text": "two"}
    await client.ask("patch", "/api/notes/live/", data=changed, token="ada")
    replaced, about = await client.told("replace")  # shorter than what is to be patched
    assert replaced == {"slug": "live", "text": "two"}
    assert about["rev"] == 1


async def test_notices(client: Client) -> None:
    await sync_to_async(notify)(EVERYONE, "greeting", {"to": "all"})
    assert await client.told("greeting") == ({"to": "all"},)


async def test_more_than_can_be_begun_waits(client: Client, new_gate: Callable[[], Gate]) -> None:
    gate = new_gate()
    urls = [f"/agate/{gate.name}/"] * 32 + ["/hello/"] * 600
    asked = [asyncio.create_task(client.ask("get", url)) for url in urls]
    await gate.entered.reached(32)
    gate.open()
    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*asked)
    assert {answer["statusCode"] for answer in answers} == {200}


async def test_a_stream_waits_for_a_slow_reader(server: ServerThread, gate: Gate) -> None:
    pieces, kib = 1000, 1024
    url = f"ws://{server.host}/socket.io/?EIO=4&transport=websocket"
    async with websockets_connect(url, proxy=None, max_queue=1, ping_interval=None) as raw:
        await raw.recv()
        await raw.send("40")
        await raw.recv()
        ask = {"url": f"/achunks/{gate.name}/{pieces}/{64 * kib}/", "stream": True}
        await raw.send("42" + json.dumps(["get", ask]))
        before = -1
        await gate.entered.reached(1)
        async with asyncio.timeout(PATIENCE):
            while gate.entered.count != before:
                before = gate.entered.count
                await asyncio.sleep(0.3)
        assert before < pieces
        raw.transport.abort()
    await gate.left.reached(1)


async def test_who_goes_is_gone(server: ServerThread, gate: Gate) -> None:
    async with at(server) as client:
        await client.ask("subscribe", "/hello/")
        asked = asyncio.create_task(client.ask("get", f"/agate/{gate.name}/"))
        await gate.entered.reached(1)
        assert len(registry.members) == 1
    await gate.left.reached(1)
    asked.cancel()
    await gone(server)


@pytest.mark.parametrize("code", [4003, 4100])
async def test_the_server_closes(server: ServerThread, code: int) -> None:
    async with at(server) as client:
        (hello,) = await client.told("hello")
        await sync_to_async(disconnect)(hello["connection"], code=code)
        assert await client.told("closing") == ({"code": code},)
        async with asyncio.timeout(PATIENCE):
            await client.left
    await gone(server)


async def test_beside_the_projects_own_socket(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request("/hello/"))["data"] == "hello"


async def test_polling(server: ServerThread) -> None:
    """By hand: Python's client leaves its connections to the garbage collector."""
    async with httpx.AsyncClient(trust_env=False, base_url=server.http) as browser:
        url = "/socket.io/?EIO=4&transport=polling"
        opened = await browser.get(url)
        url += "&sid=" + json.loads(opened.text[1:])["sid"]

        async def say(packet: str) -> None:
            assert (await browser.post(url, content=packet)).text == "OK"

        async def hear(start: str) -> Any:
            while True:
                for packet in (await browser.get(url, timeout=PATIENCE)).text.split("\x1e"):
                    if packet.startswith(start):
                        return json.loads(packet.removeprefix(start))

        await say("40" + json.dumps({"token": "ada"}))
        assert "sid" in await hear("40")
        await say("421" + json.dumps(["get", {"url": "/hello/"}]))
        assert (await hear("431"))[0]["body"] == "hello"
        note = {"slug": "polled", "text": "x"}
        ask = {"url": "/api/notes/", "data": note}
        await say("422" + json.dumps(["post", ask]) + "\x1e423" + json.dumps(["get", ask]))
        assert (await hear("432"))[0]["statusCode"] == 201
        await say("1")
    await gone(server)


async def test_polling_from_another_site(server: ServerThread) -> None:
    url = f"{server.http}/socket.io/?EIO=4&transport=polling"
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers


async def test_nobody_makes_up_a_handshake(client: Client, server: ServerThread) -> None:
    """Socket.IO's library hands on whatever a client emits, also what is named as its own events are."""
    host = server.http.removeprefix("http://").encode()
    scope = {"path": "/", "client": ["6.6.6.6", 1], "headers": [[b"host", host], [b"cookie", b""]]}
    (real,) = registry.members
    for forged in ({"asgi.scope": scope}, {}, None):
        assert await client.socket.call("connect", forged, timeout=PATIENCE) is None
    assert await client.socket.call("disconnect", "client disconnect", timeout=PATIENCE) is None
    assert (await client.ask("get", "/hello/"))["body"] == "hello"
    assert list(registry.members) == [real]
