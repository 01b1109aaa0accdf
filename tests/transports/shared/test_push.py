"""Subscribing: what is published, by a view or by another process, and answers that are kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from tests.support.client import Message, Peer
from tests.transports.shared.carrier import Carrier, Site
from tests.transports.shared.conftest import Connect
from wsrequest import notify, publish

LOGIN = {"name": "ada", "word": "secret"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def subscribed(peer: Peer, url: str, id: str, **more: Any) -> Message:
    answer = await peer.request(url, id=id, method="SUBSCRIBE", **more)
    assert answer["status"] == 200, answer
    assert "subscription" in answer
    return answer


@contextmanager
def beside(broker: str) -> Iterator[None]:
    """This process publishes by the servers' broker."""
    backend = "wsrequest.push.brokers.redis.RedisBroker"
    brokers = {"default": {"BACKEND": backend, "OPTIONS": {"url": broker}}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        yield


async def test_what_a_view_publishes(connect: Connect, carrier: Carrier) -> None:
    url = f"/log/view-{carrier.name}/"
    async with connect() as one, connect() as other:
        for peer in (one, other):
            assert (await subscribed(peer, url, "log"))["data"] == {"entries": []}
        await other.request(url, id=1, method="POST", data="x")
        for peer in (one, other):
            event = await peer.answer("log")
            assert (event["event"], event["data"]) == ("added", "x")


async def test_what_another_process_publishes(peer: Peer, carrier: Carrier, broker: str) -> None:
    url = f"/log/process-{carrier.name}/"
    await subscribed(peer, url, "log")
    with beside(broker):
        for data in ({"é": [1, None]}, "second"):
            await asyncio.to_thread(publish, url, data, event="added")
    first, second = await peer.answer("log"), await peer.answer("log")
    assert (first["event"], first["data"]) == ("added", {"é": [1, None]})
    assert second["data"] == "second"
    assert second["offset"] == first["offset"] + 1


async def test_what_was_missed_comes_after(connect: Connect, carrier: Carrier) -> None:
    url = f"/log/missed-{carrier.name}/"
    async with connect() as writing:
        async with connect() as peer:
            position = (await subscribed(peer, url, "log"))["subscription"]
        for entry in "ab":
            await writing.request(url, id=1, method="POST", data=entry)
        async with connect() as peer:
            since = {key: position[key] for key in ("epoch", "offset")}
            again = await subscribed(peer, url, "log", since=since)
            assert again["subscription"]["recovered"] is True
            assert [(await peer.answer("log"))["data"] for _ in "ab"] == ["a", "b"]


async def test_a_subscription_is_cancelled(peer: Peer, carrier: Carrier) -> None:
    url = f"/log/cancelled-{carrier.name}/"
    await subscribed(peer, url, "log")
    await peer.send({"cancel": "log"})
    assert (await peer.answer("log"))["end"] is True
    await peer.request(url, id=1, method="POST", data="x")
    await peer.still_answers()


async def test_who_may_not_get_it_may_not_watch_it(connect: Connect, site: Site) -> None:
    async with connect(origin=site.http) as peer:
        refused = await peer.request("/rooms/1/", id=1, method="SUBSCRIBE")
        assert refused["status"] == 302
        await peer.request("/log-in/", id=2, method="POST", data=LOGIN, headers=FORM)
        answer = await subscribed(peer, "/rooms/1/", "room", presence=True)
        (member,) = answer["subscription"]["presence"]
        assert member["user"] is not None


async def test_an_answer_is_kept_up_to_date(connect: Connect, carrier: Carrier) -> None:
    start = f"live-{carrier.name}"
    async with connect(headers={"Authorization": "JWT ada"}) as peer:
        token = {"token": "ada"}
        for slug, text in ((f"{start}-1", "one"), (f"{start}-2", "two")):
            note = {"slug": slug, "text": text}
            await peer.request("/api/notes/", id=1, method="POST", data=note, **token)
        answer = await subscribed(peer, f"/texts/{start}/", "texts", live=True)
        assert answer["data"] == {"texts": ["one", "two"]}
        change = {"text": "changed"}
        await peer.request(f"/api/notes/{start}-1/", id=2, method="PATCH", data=change, **token)
        changed = await peer.answer("texts")
        assert changed["event"] == "patch" or changed["data"] == {"texts": ["changed", "two"]}
        assert changed["rev"] == 1


async def test_a_notice(peer: Peer, carrier: Carrier, broker: str) -> None:
    """To a connection, from another process."""
    if not carrier.has("subprotocols"):
        assert peer.hello is None
        return
    assert peer.hello is not None
    with beside(broker):
        await asyncio.to_thread(notify, peer.hello["data"]["connection"], "told", {"n": 1})
    notice = await peer.first(lambda message: message.get("event") == "told")
    assert notice["data"] == {"n": 1}
