"""touch(): each subscriber gets what a GET of his own answers now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import gates
from tests.subscribe import people
from tests.subscribe.test_permission import token
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.memory import connection, settle
from wsrequest import apublish, atouch


@pytest.fixture(autouse=True)
def views(project: None, settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.subscribe.people"
    people.forget()
    yield
    for name in tuple(gates):
        gates.pop(name).open()


def replace(rev: int, data: Any, id: int = 1) -> Any:
    return {"id": id, "event": "replace", "data": data, "rev": rev}


async def test_each_gets_what_he_may_see() -> None:
    async with connection(**token("ann")) as ann, connection(**token("bob")) as bob:
        for peer in (ann, bob):
            await subscribe(peer, "/people/a/")
        people.state["a"] = "new"
        people.banned.add("bob")
        await atouch("/people/a/")
        assert await pulled(ann, 1) == [replace(1, {"value": "new", "for": "ann"})]
        (end,) = await pulled(bob, 1)
        assert (end["end"], end["status"]) == (True, 403)


async def test_all_queries_of_a_path() -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/?page=1", id=1)
        await subscribe(peer, "/people/a/?page=2", id=2)
        await subscribe(peer, "/people/b/", id=3)
        await atouch("/people/a/?page=3")
        messages = await pulled(peer, 2)
        assert sorted(message["id"] for message in messages) == [1, 2]


async def test_events_go_on_and_rev_counts() -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        await apublish("/people/a/", "one")
        await atouch("/people/a/")
        one, first = await pulled(peer, 2)
        await apublish("/people/a/", "two")
        (two,) = await pulled(peer, 1)
        await atouch("/people/a/")
        (second,) = await pulled(peer, 1)
        assert (one["offset"], two["offset"]) == (1, 2)
        assert (first["rev"], second["rev"]) == (1, 2)
        assert "offset" not in first


async def test_what_comes_close_together_is_one() -> None:
    gate = gates["again"]
    gate.open()
    async with connection() as peer:
        await subscribe(peer, "/slow/again/")
        gate = gates["again"] = type(gate)()
        await atouch("/slow/again/")
        await gate.entered.reached(1)
        for value in range(5):
            people.state["again"] = value
            await atouch("/slow/again/")
        await settle()
        gate.open()
        first, second = await pulled(peer, 2)
        assert (first["rev"], second) == (1, replace(2, {"value": 4}))
        assert len(people.asked) == 3


async def test_touched_while_the_first_answer_is_made() -> None:
    gate = gates["first"]
    async with connection() as peer:
        peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": "/slow/first/"})
        await gate.entered.reached(1)
        await apublish("/slow/first/", "held")
        await atouch("/slow/first/")
        await settle()
        gate.open()
        answer, event, again = await pulled(peer, 3)
        assert answer["subscription"]["offset"] == 0
        assert (event["data"], event["offset"]) == ("held", 1)
        assert again["rev"] == 1


async def test_subscribers_of_one_audience_are_asked_for_once() -> None:
    async with connection(**token("ann")) as peer:
        for number in range(1, 6):
            await subscribe(peer, "/people/a/", id=number)
        people.asked.clear()
        await atouch("/people/a/")
        messages = await pulled(peer, 5)
        assert {message["rev"] for message in messages} == {1}
        assert people.asked == [("/people/a/", "ann")]


async def test_nobody_is_there() -> None:
    await atouch("/people/nobody/")
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        peer.transport.push({"cancel": 1})
        await pulled(peer, 1)
        people.asked.clear()
        await atouch("/people/a/")
        await settle()
        await asyncio.sleep(0)
        assert people.asked == []
