"""Subscriptions, live answers and notices on a connection that holds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.client.conftest import PATIENCE, until
from tests.project.gates import Gate
from tests.subscribe import urls
from tests.support.server import ServerThread
from wsrequest.client import Connection, Position, connect, connect_sync


async def say(connection: Connection, url: str, *data: Any) -> None:
    await connection.http.post("/say/", params={"url": url}, json=data)


async def test_events_come_in_order(connection, url, name):
    values = [1, "two", {"three": [3.5, None, True]}, 2**70, "é"]
    async with connection.subscribe(url) as events:
        assert events.state == {"name": name, "state": None}
        assert events.position.offset == 0
        await say(connection, url, *values)
        heard = [await anext(events) for _ in values]
    assert [event.data for event in heard] == values
    assert [event.name for event in heard] == ["message"] * len(values)
    assert [event.position.offset for event in heard] == [1, 2, 3, 4, 5]
    assert events.position == heard[-1].position
    assert [event async for event in events] == []


async def test_a_subscription_begins_when_it_is_asked(connection, url):
    events = connection.subscribe(url, params={"a": 1}, headers={"x-a": "1"})
    task = asyncio.create_task(anext(events))
    await until(lambda: events.state is not None)
    await say(connection, url, "first")
    assert (await task).data == "first"
    await events.aclose()


async def test_since_goes_on_where_another_ended(connection, url):
    async with connection.subscribe(url) as events:
        await say(connection, url, 1)
        await anext(events)
        await say(connection, url, 2, 3)
    async with connection.subscribe(url, since=events.position) as events:
        assert [(await anext(events)).data for _ in range(2)] == [2, 3]


async def test_since_that_nobody_remembers(connection, url, name):
    urls.state[name] = "now"
    since = Position("of another life", 7)
    async with connection.subscribe(url, since=since) as events:
        lost, replaced = await anext(events), await anext(events)
    assert (lost.name, lost.data) == ("lost", {"from": 8, "to": None, "why": "epoch"})
    assert (replaced.name, replaced.data) == ("replace", {"name": name, "state": "now"})
    assert replaced.position.offset == 0


async def test_a_replace_has_the_new_state(connection, url, name):
    async with connection.subscribe(url) as events:
        urls.state[name] = "new"
        await connection.http.post("/poke/", params={"url": url})
        event = await anext(events)
    assert (event.name, event.data) == ("replace", {"name": name, "state": "new"})
    assert events.state == event.data


async def test_states_that_are_no_json(connection):
    async with connection.subscribe("/body/latin/") as text:
        assert text.state == "héllo"
    async with connection.subscribe("/body/bytes/") as binary:
        assert binary.state == bytes(range(256))
    async with connection.subscribe("/body/huge-number/") as numbers:
        assert numbers.state[0] == 123456789012345678901234567890
    async with connection.subscribe("/body/broken-json/") as broken:
        assert broken.state == b'{"a":'


async def test_what_can_t_be_got_can_t_be_watched(connection):
    with pytest.raises(
        httpx.HTTPStatusError, match=r"/answers/403/ can't be watched: 403 status 403"
    ) as caught:
        async with connection.subscribe("/answers/403/"):
            pass
    assert (caught.value.response.status_code, caught.value.response.text) == (403, "status 403")
    assert caught.value.request.method == "SUBSCRIBE"
    with pytest.raises(httpx.HTTPStatusError):
        await anext(connection.subscribe("/answers/503/"))
    with pytest.raises(ValueError, match="begins with a slash"):
        connection.subscribe("http://elsewhere/")


async def test_a_subscription_whose_url_is_no_more(connection, url, name):
    async with connection.subscribe(url) as events:
        urls.state[f"{name} status"] = 404
        await connection.http.post("/poke/", params={"url": url})
        with pytest.raises(httpx.HTTPStatusError, match="is over: 404") as caught:
            await anext(events)
        assert caught.value.response.json() == {"name": name, "state": None}
        with pytest.raises(httpx.HTTPStatusError):
            await anext(events)


async def test_presence(server: ServerThread, codec, url):
    async with connect(server.ws) as ann, connect(server.ws, codec=codec) as bob:  # noqa: SIM117
        async with ann.subscribe(url, presence=True) as events:
            assert [member["connection"] for member in events.members] == [ann.id]
            async with bob.subscribe(url, presence=True) as others:
                joined = await anext(events)
                assert (joined.name, joined.data["connection"]) == ("join", bob.id)
                assert len(events.members) == 2
                assert len(others.members) == 2
            left = await anext(events)
            assert (left.name, left.data["connection"]) == ("leave", bob.id)
            assert len(events.members) == 1


async def test_live_shows_the_newest_state(connection, name):
    async with connection.live(f"/boards/{name}/") as states:
        seen = [await anext(states)]
        for number in range(3):
            await connection.http.post(
                f"/boards/{name}/", json=[{"task": number, "notes": "x" * 50}]
            )
            seen.append(await anext(states))
        assert [len(state) for state in seen] == [0, 1, 2, 3]
        assert seen[3] == states.state == (await connection.http.get(f"/boards/{name}/")).json()


async def test_live_skips_what_nobody_read(connection, name):
    async with connection.live(f"/boards/{name}/") as states:
        await anext(states)
        for number in range(5):
            await connection.http.post(f"/boards/{name}/", json=[number])
        state = await anext(states)
        while len(state) < 5:
            state = await anext(states)
        assert state == [0, 1, 2, 3, 4]


async def test_an_update_that_does_not_follow_the_last_one_is_made_good(connection, name):
    """As after a fault of the client's own: the state is got anew, and nothing is shown that never was."""
    async with connection.live(f"/boards/{name}/") as states:
        await anext(states)
        states._following._rev = 7
        await connection.http.post(f"/boards/{name}/", json=["a"])
        while (state := await anext(states)) != ["a"]:
            assert state == []
        states._following.state = "nothing that the next patch fits"
        await connection.http.post(f"/boards/{name}/", json=["b" * 100])
        while (state := await anext(states)) != ["a", "b" * 100]:
            pass


async def test_what_is_not_live(connection):
    with pytest.raises(httpx.HTTPStatusError) as caught:
        async with connection.live("/not-live/"):
            pass
    assert caught.value.response.json()["code"] == "not_live"


async def test_more_events_than_anybody_reads(connection, monkeypatch, url):
    """They are not kept: the subscription is made again when there is room, and nothing is missing."""
    monkeypatch.setattr("wsrequest.client.subscription.MOST_EVENTS", 5)
    async with connection.subscribe(url) as events:
        for number in range(40):
            await say(connection, url, number)
        assert len(events._events) == 5
        assert [(await anext(events)).data for _ in range(40)] == list(range(40))
        await say(connection, url, "last")
        assert (await anext(events)).data == "last"


async def test_a_cancelled_wait_for_the_first_answer(connection, gate: Gate, name):
    async def enter() -> None:
        async with connection.subscribe(f"/agate/{gate.name}/"):
            pass

    task = asyncio.create_task(enter())
    await gate.entered.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gate.cancelled.reached()
    await until(lambda: not connection._link.table.exchanges)


async def test_closing_the_connection_ends_subscriptions_and_notices(server: ServerThread, url):
    async with asyncio.timeout(PATIENCE):
        async with connect(server.ws) as connection:
            events = connection.subscribe(url)
            notices = connection.notices()
            waiting = [asyncio.create_task(anext(each, "over")) for each in (events, notices)]  # type: ignore[call-overload]
            await until(lambda: events.state is not None)
            await notices.aclose()
        assert [await each for each in waiting] == ["over", "over"]


async def test_notices(connection):
    async with connection.notices() as notices, connection.notices() as others:
        await connection.http.get("/tell/")
        assert await anext(notices) == await anext(others) == ("greeting", {"to": "you"})
        await connection.http.get("/tell/")
        async for notice in notices:
            assert (notice.event, notice.data) == ("greeting", {"to": "you"})
            break
    assert connection._link.on_notice == []


async def test_a_fault_of_the_client_is_logged(connection, caplog):
    connection._link.table.put(connection._link.codec.encode(urls.state))
    await until(lambda: "The server refused a message of this client: 400" in caplog.text)


def test_without_a_loop(server: ServerThread, url, name):
    with connect_sync(server.ws) as connection:
        assert connection.http.get("/hello/").text == "hello"
        with connection.subscribe(url) as events, connection.live(f"/boards/{name}/") as states:
            connection.http.post("/say/", params={"url": url}, json=[1, 2])
            heard = []
            for event in events:
                heard.append(event.data)
                if event.data == 2:
                    break
            assert heard == [1, 2]
            assert events.position.offset == 2
            for state in states:
                if state:
                    break
                connection.http.post(f"/boards/{name}/", json=["task"])
            assert states.state == ["task"]
        with connection.notices() as notices:
            connection.http.get("/tell/")
            assert next(iter(notices)).event == "greeting"
    with connect_sync(server.ws) as connection:
        connection.authenticate("abc")
        while "authorization" not in connection.http.get("/described/").json()["headers"]:
            pass
    with pytest.raises(httpx.ConnectError):
        connect_sync(server.ws.replace("/ws/", "/elsewhere/")).__enter__()
