"""What a live subscription is sent, whatever else happens to it: another user, a loss, a client that does not read."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from pytest_django.fixtures import Settings

from tests.live.test_live import Client
from tests.subscribe import people
from tests.subscribe.people import asked, state
from tests.subscribe.shaky import ShakyBroker
from tests.subscribe.test_permission import token
from tests.support.memory import MemoryConnection, connection, settle
from wsrequest import apublish, atouch
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.livequery.queries import Queries
from wsrequest.push.brokers import broker_of
from wsrequest.session.switchboard import switchboard_of

SHAKY = {"default": {"BACKEND": "tests.subscribe.shaky.ShakyBroker"}}


@pytest.fixture(autouse=True)
def views(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.subscribe.people"
    settings.WSREQUEST = {"LIVE_MIN_INTERVAL": 0.001, "BROKERS": SHAKY}
    people.forget()


async def change(name: str, value: Any) -> None:
    state[name] = value
    await atouch(f"/people/{name}/")


async def test_each_user_is_an_audience() -> None:
    async with connection(**token("ann")) as ann, connection(beside=ann, **token("bob")) as bob:
        clients = {"ann": Client(ann), "bob": Client(bob)}
        for client in clients.values():
            await client.subscribe(1, "/people/a/")
            await client.subscribe(2, "/people/a/")
        asked.clear()
        await change("a", 1)
        for name, client in clients.items():
            await client.until(1, {"value": 1, "for": name})
            await client.until(2, {"value": 1, "for": name})
        assert sorted(asked) == [("/people/a/", "ann"), ("/people/a/", "bob")]


async def test_another_user_is_sent_what_he_may_see() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        peer.transport.push({"id": 2, "auth": "bob"})
        await client.until(1, {"value": None, "for": "bob"})
        await change("a", 1)
        await client.until(1, {"value": 1, "for": "bob"})


async def test_who_may_see_it_no_more_is_told() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        peer.transport.push({"id": 2, "auth": None})
        while not client.ended:
            await client.hear()
        assert client.ended == {1: 401}
        assert len(queries(peer)) == 0


async def test_nothing_is_sent_while_it_is_in_doubt() -> None:
    """The first one's answer is ready, but the connection is another's by now."""
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        await change("a", "for ann")
        peer.transport.push({"id": 2, "auth": "bob"})
        await client.until(1, {"value": "for ann", "for": "bob"})
        answered = next(index for index, said in enumerate(client.said) if said["id"] == 2)
        assert {said["data"]["for"] for said in client.said[answered + 1 :]} == {"bob"}


async def test_events_come_beside_it() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        await apublish("/people/a/", "hello")
        await change("a", 1)
        await client.until(1, {"value": 1, "for": "ann"})
        assert {said["event"] for said in client.said[1:]} == {"message", "replace"}


async def test_a_client_that_does_not_read_gets_the_newest_state_only(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_OUTBOX_BYTES": 2000}
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        peer.transport.stall()
        outbox = peer.session.outbox
        number = 0
        while not outbox.full:
            number += 1
            await change("a", f"{number} " + "x" * 300)
            await shown(peer)
        for number in range(100, 110):
            await change("a", number)
            await shown(peer)
        peer.transport.flow()
        await client.until(1, {"value": 109, "for": "ann"})
        values = [said["data"]["value"] for said in client.said if said.get("event") == "replace"]
        assert not {100, 101, 102, 103, 104, 105, 106, 107, 108} & set(values)


async def test_after_a_loss_a_whole_state_follows() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        broker = cast("ShakyBroker", broker_of())
        (listener,) = broker.listeners
        broker.forget_everything()
        listener.interrupt()
        state["a"] = 1
        listener.resume()
        await client.until(1, {"value": 1, "for": "ann"})
        names = [said["event"] for said in client.said[1:]]
        assert names[:2] == ["lost", "replace"]
        await change("a", 2)
        await client.until(1, {"value": 2, "for": "ann"})


async def test_an_interruption_without_a_loss() -> None:
    """What was written meanwhile was said to nobody."""
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        (listener,) = cast("ShakyBroker", broker_of()).listeners
        listener.interrupt()
        state["a"] = 1
        listener.resume()
        await client.until(1, {"value": 1, "for": "ann"})


async def test_it_comes_back_with_since() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        position = client.said[0]["subscription"]
        peer.transport.push({"cancel": 1})
        while not client.ended:
            await client.hear()
        await apublish("/people/a/", "missed")
        state["a"] = 1
        since = {"epoch": position["epoch"], "offset": position["offset"]}
        assert await client.subscribe(2, "/people/a/", since=since) == {"value": 1, "for": "ann"}
        missed = {"id": 2, "event": "message", "data": "missed", "offset": 1}
        while missed not in client.said:
            await client.hear()
        await change("a", 2)
        await client.until(2, {"value": 2, "for": "ann"})


async def test_a_rerun_sets_no_cookie() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/open/")
        before = peer.session.jar.header_for("/open/", secure=False)
        state["open"] = 1
        await atouch("/open/")
        await client.until(1, {"value": 1})
        assert peer.session.jar.header_for("/open/", secure=False) == before
        assert "cookies" not in client.said[-1]


async def test_nothing_stays_behind() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/people/a/")
        await client.subscribe(2, "/people/nobody/")
        found = queries(peer)
        assert len(found) == 2
    assert len(found) == 0
    assert not found._heard


async def shown(peer: MemoryConnection) -> None:
    """What has changed has been found out."""
    await settle()
    async with asyncio.timeout(20):
        while any(query.dirty or query.task for query in queries(peer).all()):  # noqa: ASYNC110 (no event says so)
            await asyncio.sleep(0.002)
    await settle()


def queries(peer: MemoryConnection) -> Queries:
    return switchboard_of(peer.runner).queries


def test_the_factory_is_that_of_the_connection() -> None:
    assert RequestFactory.__hash__ is object.__hash__  # credentials are told apart by it
