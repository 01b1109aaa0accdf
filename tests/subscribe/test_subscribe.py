"""SUBSCRIBE: the snapshot, then the events of the url, and nothing falls between."""

from __future__ import annotations

from typing import Any

import pytest

from tests.project.gates import gates
from tests.subscribe.urls import asked, state
from tests.support.memory import MemoryConnection, connection, settle
from wsrequest import apublish


async def pulled(peer: MemoryConnection, number: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    assert len(messages) == number
    return messages


async def subscribe(peer: MemoryConnection, url: str, *, id: int | str = 1, **fields: Any) -> Any:
    peer.transport.push({"id": id, "method": "SUBSCRIBE", "url": url, **fields})
    (answer,) = await pulled(peer, 1)
    return answer


@pytest.mark.parametrize("view", ["thing", "athing"])
async def test_the_answer_is_the_get_and_then_come_the_events(view: str) -> None:
    state["a"] = "old"
    async with connection() as peer:
        answer = await subscribe(peer, f"/{view}/a/")
        assert answer["status"] == 200
        assert answer["data"] == {"name": "a", "state": "old"}
        epoch = answer["subscription"]["epoch"]
        assert answer["subscription"] == {"epoch": epoch, "offset": 0, "rev": 0}
        await apublish(f"/{view}/a/", {"state": "new"}, event="changed")
        await apublish(f"/{view}/b/", {"state": "not yours"})
        await apublish(f"/{view}/a/", None)
        assert await pulled(peer, 2) == [
            {"id": 1, "event": "changed", "data": {"state": "new"}, "offset": 1},
            {"id": 1, "event": "message", "data": None, "offset": 2},
        ]
    assert asked == {"a": 1}


@pytest.mark.parametrize(
    ("url", "status"),
    [("/nowhere/", 404), ("/moved/", 302), ("/mine/", 302), ("/thing/a", 301)],
)
async def test_what_can_not_be_got_can_not_be_watched(url: str, status: int) -> None:
    async with connection() as peer:
        answer = await subscribe(peer, url)
        assert answer["status"] == status
        assert "subscription" not in answer
        await apublish(url, "secret")
        peer.transport.push({"id": 1, "url": "/thing/a/"})  # the id is free again
        (answer,) = await pulled(peer, 1)
        assert answer["data"]["name"] == "a"


@pytest.mark.parametrize("view", ["gate", "agate"])
async def test_what_happens_while_the_snapshot_is_rendered_follows_it(view: str) -> None:
    state["between"] = "old"
    gate = gates[f"between-{view}"]
    url = f"/{view}/between-{view}/"
    state[f"between-{view}"] = "old"
    async with connection() as peer:
        await apublish(url, "before")
        peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": url})
        await gate.entered.reached(1)
        await apublish(url, "during")
        await settle()
        assert peer.transport.pulled() == []
        gate.open()
        answer, event = await pulled(peer, 2)
        assert answer["data"] == {"state": "old"}
        assert answer["subscription"]["offset"] == 1
        assert event == {"id": 1, "event": "message", "data": "during", "offset": 2}


@pytest.mark.parametrize("url", ["/stream/", "/endless/"])
async def test_a_stream_is_no_snapshot(url: str) -> None:
    async with connection() as peer:
        answer = await subscribe(peer, url)
        assert (answer["status"], answer["data"]["code"]) == (501, "not_watchable")
        assert (await subscribe(peer, "/thing/a/"))["status"] == 200


async def test_cancel_ends_it() -> None:
    async with connection() as peer:
        await subscribe(peer, "/thing/a/", id="mine")
        peer.transport.push({"cancel": "mine"})
        (end,) = await pulled(peer, 1)
        assert end == {
            "id": "mine",
            "end": True,
            "status": 499,
            "data": {"error": "The request was cancelled.", "code": "cancelled"},
        }
        await apublish("/thing/a/", "nobody hears it")
        assert (await subscribe(peer, "/thing/a/", id="mine"))["subscription"]["offset"] == 1


async def test_two_subscriptions_of_one_connection() -> None:
    async with connection() as peer:
        await subscribe(peer, "/thing/a/?page=1", id=1)
        await subscribe(peer, "/thing/a/?page=2", id=2)
        await apublish("/thing/a/", 1)
        assert await pulled(peer, 2) == [
            {"id": number, "event": "message", "data": 1, "offset": 1} for number in (1, 2)
        ]


async def test_an_id_that_is_subscribed_is_in_flight() -> None:
    async with connection() as peer:
        await subscribe(peer, "/thing/a/")
        answer = await subscribe(peer, "/thing/b/")
        assert answer["id"] is None
        assert answer["data"]["code"] == "duplicate_id"


async def test_without_an_id_there_is_no_subscription() -> None:
    async with connection() as peer:
        peer.transport.push({"method": "SUBSCRIBE", "url": "/thing/a/"})
        (answer,) = await pulled(peer, 1)
        assert answer["status"] == 400
        assert answer["data"]["error"] == "Invalid id: SUBSCRIBE needs one"


async def test_since_brings_what_was_missed() -> None:
    async with connection() as peer:
        answer = await subscribe(peer, "/thing/a/")
        epoch = answer["subscription"]["epoch"]
        for number in range(1, 6):
            await apublish("/thing/a/", number)
        await pulled(peer, 5)
    async with connection() as peer:
        answer, *events = await follow(peer, {"epoch": epoch, "offset": 3}, 3)
        assert answer["subscription"] == {"epoch": epoch, "offset": 3, "rev": 0, "recovered": True}
        assert [(event["offset"], event["data"]) for event in events] == [(4, 4), (5, 5)]
        await apublish("/thing/a/", 6)
        (event,) = await pulled(peer, 1)
        assert event["offset"] == 6


async def follow(peer: MemoryConnection, since: Any, number: int) -> list[Any]:
    peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": "/thing/a/", "since": since})
    return await pulled(peer, number)


async def test_since_now_misses_nothing() -> None:
    async with connection() as peer:
        first = (await subscribe(peer, "/thing/a/", id=1))["subscription"]
        since = {"epoch": first["epoch"], "offset": 0}
        answer = await subscribe(peer, "/thing/a/", id=2, since=since)
        assert answer["subscription"] == {**first, "recovered": True}


@pytest.mark.parametrize("since", [{"epoch": "another", "offset": 0}, {"epoch": None, "offset": 9}])
async def test_since_what_nobody_knows(since: Any) -> None:
    async with connection() as peer:
        first = (await subscribe(peer, "/thing/a/", id=1))["subscription"]
        since["epoch"] = since["epoch"] or first["epoch"]
        answer = await subscribe(peer, "/thing/a/", id=2, since=since)
        assert answer["subscription"] == {**first, "recovered": False}


async def test_events_for_others_are_skipped() -> None:
    async with connection() as peer:
        await subscribe(peer, "/thing/a/")
        await apublish("/thing/a/", "for another", to=77)
        await apublish("/thing/a/", "for another", to=[77, 78])
        await apublish("/thing/a/", "for all")
        assert await pulled(peer, 1) == [
            {"id": 1, "skip": 2, "event": "message", "data": "for all", "offset": 3}
        ]
