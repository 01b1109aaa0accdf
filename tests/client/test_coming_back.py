"""The connection is cut, the server killed and started again: what goes on, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.client.conftest import PATIENCE, until
from tests.faults.proxy import Proxy
from tests.project.gates import Gate
from tests.subscribe import people, urls
from tests.support.server import ServerProcess, ServerThread
from wsrequest.client import Connection, connect
from wsrequest.client.options import seconds_in


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back as soon as real time allows."""
    monkeypatch.setattr("wsrequest.client.options.FIRST_BACK_OFF", 0.02)
    monkeypatch.setattr("wsrequest.client.options.LONGEST_BACK_OFF", 0.2)


@pytest.fixture
async def proxy(server: ServerThread) -> AsyncIterator[Proxy]:
    async with Proxy(server.port).running() as proxy:
        yield proxy


@pytest.fixture
async def connection(proxy: Proxy) -> AsyncIterator[Connection]:
    async with connect(f"ws://127.0.0.1:{proxy.port}/ws/") as connection:
        connection.http.timeout = httpx.Timeout(PATIENCE)
        yield connection


@pytest.fixture
async def other(server: ServerThread) -> AsyncIterator[Connection]:
    """Somebody whose connection holds."""
    async with connect(server.ws) as connection:
        connection.http.timeout = httpx.Timeout(PATIENCE)
        yield connection


async def say(connection: Connection, url: str, *data: Any) -> None:
    await connection.http.post("/say/", params={"url": url}, json=data)


async def cut(proxy: Proxy, connection: Connection) -> None:
    before = connection.id
    proxy.cut()
    await until(lambda: connection.id != before)


# --- requests ---


async def test_a_safe_request_is_sent_again(connection, proxy, gate: Gate):
    task = asyncio.create_task(connection.http.get(f"/gate/{gate.name}/"))
    await gate.entered.reached()
    proxy.cut()
    await gate.entered.reached(2)
    gate.open()
    assert (await task).status_code == 200


async def test_an_unsafe_request_is_not(connection, proxy, gate: Gate):
    task = asyncio.create_task(connection.http.post(f"/act/{gate.name}/"))
    await gate.entered.reached()
    proxy.cut()
    with pytest.raises(httpx.RemoteProtocolError, match="may have been run"):
        await task
    gate.open()
    assert (await connection.http.get("/hello/")).text == "hello"
    assert gate.entered.count == 1


async def test_one_with_a_key_runs_once_and_is_answered(connection, proxy, gate: Gate):
    key = {"idempotency_key": gate.name}
    task = asyncio.create_task(connection.http.post(f"/act/{gate.name}/", extensions=key))
    await gate.entered.reached()
    await cut(proxy, connection)
    gate.open()
    response = await task
    assert (response.text, response.headers["idempotency-replayed"]) == ("done", "true")
    assert gate.entered.count == 1


async def test_a_stream_ends_with_an_error(connection, proxy, gate: Gate):
    async with connection.http.stream("GET", f"/agated-stream/{gate.name}/") as response:
        await gate.entered.reached()
        proxy.cut()
        with pytest.raises(httpx.RemoteProtocolError, match="closed the connection with 1006"):
            await response.aread()


async def test_a_request_that_breaks_every_connection_is_given_up(connection, proxy, gate: Gate):
    task = asyncio.create_task(connection.http.get(f"/agate/{gate.name}/"))
    for number in range(1, 6):
        await gate.entered.reached(number)
        proxy.cut()
    with pytest.raises(httpx.RemoteProtocolError):
        await task
    assert gate.entered.count == 5


async def test_a_cancelled_request_is_not_sent_again(connection, proxy, gate: Gate):
    task = asyncio.create_task(connection.http.get(f"/agate/{gate.name}/"))
    await gate.entered.reached()
    proxy.stall()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    proxy.flow()
    await cut(proxy, connection)
    assert (await connection.http.get("/hello/")).text == "hello"
    assert gate.entered.count == 1


async def test_a_request_while_nobody_is_there_waits_for_its_connect_timeout(connection, proxy):
    target, proxy.target = proxy.target, 1
    proxy.cut()
    await until(lambda: connection.state != "open")
    with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
        await connection.http.get("/hello/", timeout=httpx.Timeout(PATIENCE, connect=0.1))
    task = asyncio.create_task(connection.http.get("/hello/"))
    await asyncio.sleep(0)
    proxy.target = target
    assert (await task).text == "hello"


async def test_a_silent_server_is_left(proxy, monkeypatch):
    """Three heartbeats without a word: the network has swallowed it."""
    monkeypatch.setattr("wsrequest.protocol.client.ClientConnection.due", lambda self: 0.0)
    async with connect(f"ws://127.0.0.1:{proxy.port}/ws/") as connection:
        before = connection.id
        connection._link.hello.heartbeat = 0.5
        proxy.stall()
        await until(lambda: connection.state != "open" or connection.id != before)
        proxy.flow()
        await until(lambda: connection.state == "open" and connection.id != before)


# --- subscriptions ---


async def test_events_over_cuts_come_once_and_in_order(connection, proxy, other, url):
    number = 0
    async with connection.subscribe(url) as events:
        for _ in range(5):
            await say(other, url, *range(number, number + 10))
            proxy.cut()
            await say(other, url, *range(number + 10, number + 20))
            number += 20
            heard = [(await anext(events)).data for _ in range(20)]
            assert heard == list(range(number - 20, number))
        assert events.position.offset == number


async def test_what_the_history_has_not_any_more_is_told(connection, proxy, other):
    people.state["a"] = "before"
    url = "/people/a/"
    async with connection.subscribe(url, headers={"authorization": "JWT ann"}) as events:
        await say(other, url, "heard")
        assert (await anext(events)).data == "heard"
        target, proxy.target = proxy.target, 1
        proxy.cut()
        await until(lambda: connection.state != "open")
        people.state["a"] = "after"
        await say(other, url, *range(10))
        proxy.target = target
        lost, replaced = await anext(events), await anext(events)
        assert (lost.name, lost.data["why"], lost.data["from"]) == ("lost", "history", 2)
        assert replaced.data == {"value": "after", "for": "ann"}
        await say(other, url, "next")
        assert (await anext(events)).data == "next"
        assert events.position.offset == 12


async def test_who_came_and_went_meanwhile(connection, proxy, server, url):
    async with (
        connect(server.ws) as bob,
        bob.subscribe(url),
        connection.subscribe(url, presence=True) as events,
    ):
        me = connection.id
        target, proxy.target = proxy.target, 1
        proxy.cut()
        await until(lambda: connection.state != "open")
        await bob.aclose()
        proxy.target = target
        told = []
        while len(told) < 3:  # and the old connection may still have to leave
            told.append(await anext(events))
        left = {event.data["connection"] for event in told if event.name == "leave"}
        assert left >= {me} or left >= {bob.id}
        assert connection.id in {each["connection"] for each in events.members}


async def test_live_over_a_cut(connection, proxy, other, name):
    async with connection.live(f"/boards/{name}/") as states:
        assert await anext(states) == []
        target, proxy.target = proxy.target, 1
        proxy.cut()
        await until(lambda: connection.state != "open")
        await other.http.post(f"/boards/{name}/", json=["meanwhile"])
        proxy.target = target
        assert await anext(states) == ["meanwhile"]
        await other.http.post(f"/boards/{name}/", json=["later"])
        assert await anext(states) == ["meanwhile", "later"]


async def test_an_old_subscription_bears_a_server_that_is_not_well(connection, proxy, name, url):
    async with connection.subscribe(url) as events:
        urls.state[f"{name} status"] = 503
        asked = urls.asked[name]
        proxy.cut()
        await until(lambda: urls.asked[name] >= asked + 3)
        urls.state[f"{name} status"] = 200
        await until(lambda: events._has_begun and not events.is_running)
        await say(connection, url, "well")
        while (event := await anext(events)).data != "well":
            assert event.name in ("lost", "replace")


async def test_a_subscription_that_waits_does_not_call_back_who_was_sent_away(
    connection, proxy, other, name, url, monkeypatch
):
    async with connection.subscribe(url) as events:
        urls.state[f"{name} status"] = 503
        proxy.cut()
        await until(lambda: events._timer is not None)
        # Until it asks again, the client shall have been sent away.
        monkeypatch.setattr("wsrequest.client.subscription.back_off", lambda tries: PATIENCE)
        again = events._timer
        await until(lambda: events._timer is not again)
        await other.http.get("/send-away/", params={"id": connection.id})
        with pytest.raises(httpx.RemoteProtocolError, match="4010"):
            await anext(events)
        assert events._timer.cancelled()
    assert connection.state == "closed"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        (None, 1),
        ("", 1),
        ("-1", 1),
        ("nan", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
    ],
)
def test_how_long_to_wait(said, seconds):
    assert seconds_in(said, 1) == seconds


async def test_a_subscription_that_may_not_be_any_more(connection, proxy, name, url):
    async with connection.subscribe(url) as events:
        urls.state[f"{name} status"] = 403
        proxy.cut()
        with pytest.raises(httpx.HTTPStatusError, match="can't be watched: 403"):
            await anext(events)


# --- closes that mean something ---


async def test_a_client_that_is_sent_away_stays_away(connection, other, url):
    events = connection.subscribe(url)
    async with events:
        await other.http.get("/send-away/", params={"id": connection.id})
        with pytest.raises(httpx.RemoteProtocolError, match="4010"):
            await anext(events)
        with pytest.raises(httpx.RemoteProtocolError, match="4010"):
            await connection.http.get("/hello/")
    assert connection.state == "closed"


# --- a server's end ---


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    return ServerProcess(tmp_path_factory.mktemp("client"), "tests.client")


async def test_a_server_that_is_stopped_and_one_that_is_killed(process: ServerProcess, url, name):
    await asyncio.to_thread(process.start)
    try:
        async with connect(process.ws, origin=process.http) as connection:
            connection.http.timeout = httpx.Timeout(PATIENCE)
            async with (
                connection.subscribe(url) as events,
                connection.live(f"/boards/{name}/") as states,
                aclosing(connection.notices()) as notices,
            ):
                await connection.http.post(f"/boards/{name}/", json=["first life"])
                while await anext(states) != ["first life"]:
                    pass
                for end in (process.stop, process.kill):
                    before = connection.id
                    await asyncio.to_thread(end)
                    waiting = asyncio.create_task(
                        connection.http.post("/say/?url=" + url, json=[1])
                    )
                    await asyncio.to_thread(process.start)
                    assert (await waiting).status_code == 200
                    assert connection.id != before
                    names = []
                    while "replace" not in names:
                        names += [
                            name
                            for event in [await anext(events)]
                            if (name := event.name) != "message"
                        ]
                    assert names[:2] == [
                        "lost",
                        "replace",
                    ]  # the events were in the memory of the old one
                    while await anext(states) != []:
                        pass
                    await connection.http.get("/tell/")
                    assert (await anext(notices)).event == "greeting"
    finally:
        await asyncio.to_thread(process.stop)
