"""A list that everyone may GET, and that shows each user his own rows: an event to its path would reach everyone.

A real uvicorn, REST framework's router and viewsets, and the ways in which nobody hears of another's rows: a topic of
one's own, ``to=``, and ``touch``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.urls import get_resolver, reverse
from pytest_django.fixtures import Settings

from tests.project.models import Order
from tests.support.client import Message, Peer, connect
from tests.support.database import database, tables
from tests.support.server import ServerThread
from wsrequest import apublish, atouch

__all__ = ["database", "tables"]

SECRET = "a ring for Eve"  # in Ann's order, and nowhere else

SAFE = ["named", "decorated", "addressed"]


@pytest.fixture
def server(database: None, project: None, settings: Settings) -> Iterator[ServerThread]:
    """One for each test, as each test has a broker of its own."""
    settings.ROOT_URLCONF = "tests.subscribe.trap_urls"
    get_resolver().url_patterns  # noqa: B018 (imported here: the first request would do it on the loop)
    running = ServerThread().start()
    yield running
    running.stop()


class People(NamedTuple):
    ann: Peer
    bob: Peer


@pytest.fixture
async def people(server: ServerThread) -> AsyncIterator[People]:
    """Two users, each with an order and a connection."""
    async with AsyncExitStack() as stack:
        peers = []
        for name in ("ann", "bob"):
            await sync_to_async(with_an_order)(name)
            headers = {"authorization": f"JWT {name}"}
            peers.append(await stack.enter_async_context(connect(server.ws, headers=headers)))
        yield People(*peers)


def with_an_order(name: str) -> User:
    user, _ = get_user_model().objects.get_or_create(username=name)
    Order.objects.filter(owner=user).delete()
    Order.objects.create(owner=user, item=f"{name}'s first")
    return user


@sync_to_async
def order_of(name: str) -> int:
    return Order.objects.filter(owner__username=name).latest("pk").pk


async def subscribe(peer: Peer, url: str, **fields: Any) -> Message:
    return await peer.request(url, id="s", method="SUBSCRIBE", **fields)


async def buy(peer: Peer, way: str, item: str) -> None:
    answer = await peer.request(
        reverse(f"{way}-list"), id="buy", method="POST", data={"item": item}
    )
    assert answer["status"] == 201, answer


def everything_that(peer: Peer) -> str:
    return json.dumps([str(frame) for frame in peer.frames])


async def test_an_event_to_the_path_reaches_everyone_who_may_get_it(people: People) -> None:
    """This is the trap: the list shows Bob his own order only, and its event tells him of Ann's."""
    listed = [await subscribe(peer, reverse("careless-list")) for peer in people]
    assert [[order["item"] for order in answer["data"]] for answer in listed] == [
        ["ann's first"],
        ["bob's first"],
    ]
    await buy(people.ann, "careless", SECRET)
    event = await people.bob.answer("s")
    assert (event["event"], event["data"]["item"]) == ("created", SECRET)


@pytest.mark.parametrize("way", SAFE)
async def test_nobody_hears_of_anothers_rows(people: People, way: str) -> None:
    for peer in people:
        assert (await subscribe(peer, reverse(f"{way}-list")))["status"] == 200
    await buy(people.ann, way, SECRET)
    event = await people.ann.answer("s")
    assert (event["event"], event["data"]["item"]) == ("created", SECRET)
    await people.bob.still_answers()
    await buy(people.bob, way, "a hat")
    event = await people.bob.answer("s")
    assert event["data"]["item"] == "a hat"
    assert (event["offset"], event.get("skip")) == ((2, 1) if way == "addressed" else (1, None))
    assert SECRET not in everything_that(people.bob)
    assert SECRET in everything_that(people.ann)


@pytest.mark.parametrize("way", SAFE)
async def test_nor_when_he_comes_back(server: ServerThread, people: People, way: str) -> None:
    """What he missed is told him by the same rule."""
    began = (await subscribe(people.bob, reverse(f"{way}-list")))["subscription"]
    await people.bob.send({"cancel": "s"})
    assert (await people.bob.answer("s"))["status"] == 499
    await buy(people.ann, way, SECRET)
    await buy(people.bob, way, "a hat")
    await buy(people.ann, way, SECRET)
    async with connect(server.ws, headers={"authorization": "JWT bob"}) as again:
        since = {"epoch": began["epoch"], "offset": began["offset"]}
        answer = await subscribe(again, reverse(f"{way}-list"), since=since)
        assert answer["subscription"]["recovered"] is True
        assert (await again.answer("s"))["data"]["item"] == "a hat"
        await again.still_answers()
        assert SECRET not in everything_that(again)


async def test_touch_gives_each_his_own_rows(people: People) -> None:
    for peer in people:
        await subscribe(peer, reverse("touched-list"))
    await buy(people.ann, "touched", SECRET)
    for peer, items in ((people.ann, ["ann's first", SECRET]), (people.bob, ["bob's first"])):
        replaced = await peer.answer("s")
        assert (replaced["event"], replaced["rev"]) == ("replace", 1)
        assert [order["item"] for order in replaced["data"]] == items
    assert SECRET not in everything_that(people.bob)


async def test_the_name_of_anothers_topic_is_of_no_use(people: People) -> None:
    """Names that begin with @ are no urls; what the view names is all that its subscribers hear."""
    ann = (await sync_to_async(User.objects.get)(username="ann")).pk
    for url in (f"@orders/{ann}", f"/@orders/{ann}", f"%40orders/{ann}"):
        assert (await subscribe(people.bob, url))["status"] == 404
    assert (await subscribe(people.bob, f"{reverse('named-list')}?user={ann}"))["status"] == 200
    await buy(people.ann, "named", SECRET)
    await apublish(reverse("named-list"), SECRET)
    await people.bob.still_answers()


@pytest.mark.parametrize("route", ["careless-detail", "careless-parcels", "named-detail"])
async def test_who_may_not_get_the_row_can_not_watch_it(people: People, route: str) -> None:
    url = reverse(route, args=[await order_of("ann")])
    assert (await subscribe(people.ann, url))["status"] == 200
    assert (await subscribe(people.bob, url))["status"] == 404
    assert (await people.bob.request(url, id="s"))["status"] == 404  # its id is free again
    await apublish(url, SECRET)
    await people.bob.still_answers()


async def test_every_route_of_a_router_is_a_topic(people: People) -> None:
    """Detail, list and custom actions: ``reverse()`` names them."""
    pk = await order_of("ann")
    urls = [
        reverse("careless-list"),
        reverse("careless-detail", args=[pk]),
        reverse("careless-newest"),
        reverse("careless-parcels", args=[pk]),
    ]
    for url in urls:
        answer = await people.ann.request(url, id=url, method="SUBSCRIBE")
        assert (answer["status"], answer["subscription"]["offset"]) == (200, 0), url
    for url in urls:
        await apublish(url, {"for": url}, event="news")
    for url in urls:
        event = await people.ann.answer(url)
        assert event == {"id": url, "event": "news", "data": {"for": url}, "offset": 1}
    await people.ann.still_answers()


async def test_a_custom_action_of_a_class_that_names_its_topic(people: People) -> None:
    for peer in people:
        await subscribe(peer, reverse("named-newest"))
    await buy(people.ann, "named", SECRET)
    assert (await people.ann.answer("s"))["data"]["item"] == SECRET
    await people.bob.still_answers()


async def test_only_the_method_that_is_decorated_has_another_topic(people: People) -> None:
    url = reverse("decorated-detail", args=[await order_of("ann")])
    await subscribe(people.ann, url)
    await apublish(url, "of the row")
    assert (await people.ann.answer("s"))["data"] == "of the row"


async def test_touch_of_a_row_that_is_gone_ends_the_subscription(people: People) -> None:
    pk = await order_of("ann")
    url = reverse("careless-detail", args=[pk])
    await subscribe(people.ann, url)
    await sync_to_async(Order.objects.filter(pk=pk).delete)()
    await atouch(url)
    end = await people.ann.answer("s")
    assert (end["end"], end["status"]) == (True, 404)
