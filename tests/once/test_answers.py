"""What a repeat is answered, one after the other."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from pytest_django.fixtures import Settings
from websockets.asyncio.client import connect as websockets_connect

from tests.once.caches import WatchedCache
from tests.once.support import BOTH, HEADERS, KEY, ask, is_replay, opened, post, without_mark
from tests.once.urls import runs
from tests.project.gates import Gate
from tests.support.fixtures import Advance
from tests.support.memory import connection
from tests.support.server import ServerThread


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_repeat_gets_the_first_answer(server: ServerThread, prefix: str) -> None:
    async with opened(server) as peer, opened(server) as other:
        first = await ask(peer, f"{prefix}run/x/", data={"a": 1})
        again = await ask(peer, f"{prefix}run/x/", data={"a": 1})
        elsewhere = await ask(other, f"{prefix}run/x/", data={"a": 1})
        assert (first["status"], first["data"], is_replay(first)) == (201, {"run": 1}, False)
        assert is_replay(again)
        assert is_replay(elsewhere)
        assert without_mark(again) == without_mark(elsewhere) == first
    assert runs["x"] == 1


@pytest.mark.parametrize("prefix", BOTH)
async def test_another_key_is_another_request(server: ServerThread, prefix: str) -> None:
    async with opened(server) as peer:
        for key in (KEY, "x", "k" * 255, "a b\t€", None, None):
            assert not is_replay(await ask(peer, f"{prefix}run/x/", key=key))
    assert runs["x"] == 6


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
async def test_safe_methods_need_no_key(server: ServerThread, method: str) -> None:
    async with opened(server) as peer:
        for _ in range(2):
            assert not is_replay(await ask(peer, "/run/x/", method=method))
    assert runs["x"] == 2


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "BREW"])
async def test_every_other_method_may_have_one(server: ServerThread, method: str) -> None:
    async with opened(server) as peer:
        await ask(peer, "/run/x/", method=method)
        assert is_replay(await ask(peer, "/run/x/", method=method.lower()))


DIFFERENCES: list[dict[str, Any]] = [
    {"method": "PUT"},
    {"url": "/run/y/"},
    {"url": "/run/x/?page=2"},
    {"data": {"a": 2}},
    {"data": None},
    {"headers": {"content-type": "application/merge-patch+json"}},
    {"data": '{"a": 1}', "encoding": "text"},
]


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("prefix", BOTH)
async def test_a_key_stands_for_one_request(
    server: ServerThread, difference: dict[str, Any], prefix: str
) -> None:
    message = post(f"{prefix}run/x/", data={"a": 1})
    other = {**message, **difference, "id": 2}
    if "url" in difference:
        other["url"] = difference["url"].replace("/", prefix, 1)
    async with opened(server) as peer:
        await peer.send(message)
        await peer.answer(1)
        await peer.send(other)
        assert await peer.answer(2) == {
            "id": 2,
            "status": 422,
            "headers": {"content-type": "application/json"},
            "data": {
                "error": "This key was used for another request; choose another key.",
                "code": "key_reused",
            },
        }
        assert is_replay(await ask(peer, f"{prefix}run/x/", data={"a": 1}, id=3))
    assert runs["x"] == 1
    assert runs["y"] == 0


async def test_a_request_is_the_same_however_it_is_written(server: ServerThread) -> None:
    async with opened(server) as peer:
        for text in ('{"a": 1, "b": [2.5]}', '{"b":[2.50],"a":1}'):
            await peer.send_text(
                f'{{"id": 1, "method": "POST", "url": "/run/x/", "key": "k", "data": {text}}}'
            )
            await peer.answer(1)
        form = {"headers": {"content-type": "multipart/form-data"}, "data": {"a": "b"}}
        await ask(peer, "/run/y/", **form)
        assert is_replay(await ask(peer, "/run/y/", **form))
    assert (runs["x"], runs["y"]) == (1, 1)


async def test_a_repeat_over_another_codec(server: ServerThread) -> None:
    async with opened(server) as peer:
        await ask(peer, "/run/x/", data={"a": 1})
        await ask(peer, "/picture/y/", key="p")
        await ask(peer, "/run/z/", key="b", data="aGVsbG8=", encoding="base64")
    async with websockets_connect(
        server.ws, origin=server.http, subprotocols=["wsrequest.v1.msgpack"], proxy=None
    ) as socket:
        await socket.recv()

        async def repeat(url: str, **fields: Any) -> Any:
            await socket.send(msgspec.msgpack.encode(post(url, **fields)))
            return msgspec.msgpack.decode(await socket.recv())

        answer = await repeat("/run/x/", data={"a": 1})
        assert (answer["status"], answer["data"], is_replay(answer)) == (201, {"run": 1}, True)
        answer = await repeat("/picture/y/", key="p")
        assert (answer["data"], answer["headers"]["content-type"]) == (b"\x89PNG", "image/png")
        answer = await repeat("/run/z/", key="b", data="aGVsbG8=", encoding="base64")
        assert is_replay(answer)
        assert (await repeat("/run/z/", key="b", data=b"hullo"))["status"] == 422
    assert runs == {"x": 1, "y": 1, "z": 1}


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("code", [200, 204, 302, 400, 404, 409, 422])
async def test_what_is_kept(server: ServerThread, prefix: str, code: int) -> None:
    async with opened(server) as peer:
        first = await ask(peer, f"{prefix}status/x/{code}/")
        again = await ask(peer, f"{prefix}status/x/{code}/")
        assert without_mark(again) == first
        assert is_replay(again)
        assert first["status"] == code
    assert runs["x"] == 1


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("code", [401, 403, 408, 425, 429, 500, 503])
async def test_what_is_not_kept(server: ServerThread, prefix: str, code: int) -> None:
    async with opened(server) as peer:
        for _ in range(2):
            answer = await ask(peer, f"{prefix}status/x/{code}/")
            assert (answer["status"], is_replay(answer)) == (code, False)
    assert runs["x"] == 2


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("view", ["fail", "leave"])
async def test_a_view_that_raises_gives_its_key_back(
    server: ServerThread, prefix: str, view: str
) -> None:
    async with opened(server) as peer:
        for _ in range(2):
            assert (await ask(peer, f"{prefix}{view}/x/"))["status"] == 500
    assert runs["x"] == 2


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_stream_is_not_kept(server: ServerThread, prefix: str) -> None:
    async with opened(server) as peer:
        for number in (1, 2):
            head = await ask(peer, f"{prefix}stream/x/", id=number)
            assert head["more"]
            assert not is_replay(head)
            assert (await peer.answer(number))["chunk"] == f"run {number}"
            assert (await peer.answer(number))["end"] is True


async def test_a_stream_that_goes_on_does_not_hold_its_key(server: ServerThread) -> None:
    async with opened(server) as peer:
        assert (await ask(peer, "/endless/x/"))["more"]
        assert (await ask(peer, "/endless/x/", id=2))["more"]
    await server.connections_gone()


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_cancelled_view_gives_its_key_back(
    server: ServerThread, gate: Gate, prefix: str
) -> None:
    """An asynchronous one: a synchronous one runs on."""
    async with opened(server) as peer:
        await peer.send(post(f"/agate/{gate.name}/"))
        await gate.entered.reached(1)
        await peer.send({"cancel": 1})
        assert (await peer.answer(1))["status"] == 499
        await gate.cancelled.reached(1)
        gate.open()
        assert (await ask(peer, f"/agate/{gate.name}/", id=2))["data"] == {"run": 2}


async def test_so_does_one_that_takes_too_long(server: ServerThread, gate: Gate) -> None:
    async with opened(server) as peer:
        assert (await ask(peer, f"/agate/{gate.name}/", timeout=100))["status"] == 504
        await gate.cancelled.reached(1)
        gate.open()
        assert (await ask(peer, f"/agate/{gate.name}/", id=2))["data"] == {"run": 2}


@pytest.mark.parametrize("ended", ["cancel", "timeout"])
async def test_a_synchronous_view_runs_on_and_its_answer_is_kept(
    database: None, gate: Gate, advance: Advance, ended: str
) -> None:
    url = f"/gate/{gate.name}/"
    async with connection(headers=HEADERS) as peer:
        peer.transport.push(post(url, timeout=5000))
        await gate.entered.reached(1)
        if ended == "cancel":
            peer.transport.push({"cancel": 1})
        else:
            advance(5)
        assert (await peer.transport.pull())["status"] == (499 if ended == "cancel" else 504)
        peer.transport.push(post(url, id=2))
        await WatchedCache.looks.reached(1)
        gate.open()
        answer = await peer.transport.pull()
        assert (answer["data"], is_replay(answer)) == ({"run": 1}, True)


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_peer_that_was_cut_off_gets_its_answer(
    database: None, gate: Gate, prefix: str
) -> None:
    message = post(f"{prefix}gate/{gate.name}/")
    async with connection(headers=HEADERS) as peer:
        peer.transport.push(message)
        await gate.entered.reached(1)
        await peer.leave()
        gate.open()
        await gate.left.reached(1)
        async with connection(headers=HEADERS, pool=peer.pool) as again:
            again.transport.push(message)
            answer = await again.transport.pull()
            assert (answer["data"], is_replay(answer)) == ({"run": 1}, True)
    assert gate.cancelled.count == 0


@pytest.mark.parametrize("prefix", BOTH)
async def test_so_does_one_that_comes_back_before_the_view_has_ended(
    server: ServerThread, gate: Gate, prefix: str
) -> None:
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        peer.abort()
    async with opened(server) as peer:
        await peer.send(post(url))
        await WatchedCache.looks.reached(1)
        gate.open()
        answer = await peer.answer(1)
        assert (answer["data"], is_replay(answer)) == ({"run": 1}, True)
    assert gate.cancelled.count == 0


async def test_who_is_cut_off_has_no_more_time_than_others(
    server: ServerThread, gate: Gate, settings: Settings
) -> None:
    """Else whoever sends a key and leaves could keep views waiting for ever."""
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 1}
    async with opened(server) as peer:
        await peer.send(post(f"/agate/{gate.name}/"))
        await gate.entered.reached(1)
        peer.abort()
    await server.connections_gone()
    await gate.cancelled.reached(1)


async def test_the_answer_is_kept_for_so_long_only(
    server: ServerThread, settings: Settings
) -> None:
    settings.WSREQUEST = {"IDEMPOTENCY_TTL": 1}
    async with opened(server) as peer:
        assert not is_replay(await ask(peer, "/run/x/"))
        assert is_replay(await ask(peer, "/run/x/"))
        async with asyncio.timeout(20):
            while is_replay(answer := await ask(peer, "/run/x/")):
                pass
        assert answer["data"] == {"run": 2}


async def test_the_cache_is_the_one_that_is_named(server: ServerThread, settings: Settings) -> None:
    backend = "django.core.cache.backends.dummy.DummyCache"
    settings.CACHES = {**settings.CACHES, "nothing": {"BACKEND": backend}}
    settings.WSREQUEST = {"IDEMPOTENCY_CACHE": "nothing"}
    async with opened(server) as peer:
        for _ in range(2):
            assert not is_replay(await ask(peer, "/run/x/"))


# --- the cache fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", BOTH)
async def test_without_the_cache_nothing_runs(server: ServerThread, prefix: str) -> None:
    WatchedCache.broken.add("add")
    async with opened(server) as peer:
        assert (await ask(peer, f"{prefix}run/x/"))["status"] == 500
        assert runs["x"] == 0
        assert (await ask(peer, f"{prefix}run/x/", key=None))["status"] == 201


@pytest.mark.parametrize("prefix", BOTH)
async def test_an_answer_that_can_not_be_kept_is_given_and_nothing_runs_again(
    server: ServerThread, prefix: str, settings: Settings, caplog: Any
) -> None:
    settings.WSREQUEST = {"IDEMPOTENCY_WAIT": 0.1}
    WatchedCache.broken.add("set")
    async with opened(server) as peer:
        assert (await ask(peer, f"{prefix}run/x/"))["data"] == {"run": 1}
        again = await ask(peer, f"{prefix}run/x/")
        assert (again["status"], again["data"]["code"]) == (409, "key_busy")
    assert "could not be kept" in caplog.text
    assert runs["x"] == 1


async def test_a_key_that_can_not_be_given_back_changes_no_answer(
    server: ServerThread, caplog: Any
) -> None:
    WatchedCache.broken.add("delete")
    async with opened(server) as peer:
        assert (await ask(peer, "/status/x/503/"))["status"] == 503
    assert "could not be given back" in caplog.text
