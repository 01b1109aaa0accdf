"""MAX_SUBSCRIPTIONS of one connection."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from tests.subscribe.test_subscribe import pulled, subscribe
from tests.subscribe.urls import asked, state
from tests.support.memory import connection
from wsrequest import apublish


@pytest.fixture(autouse=True)
def three(project: None, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_SUBSCRIPTIONS": 3}


async def test_at_the_limit_and_one_past_it() -> None:
    async with connection() as peer:
        for number in (1, 2, 3):
            assert (await subscribe(peer, "/thing/a/", id=number))["status"] == 200
        refusal = await subscribe(peer, "/thing/b/", id=4)
        assert (refusal["id"], refusal["status"]) == (4, 429)
        assert refusal["data"]["code"] == "too_many_subscriptions"
        assert asked == {"a": 3}  # it was not asked for
        peer.transport.push({"id": 4, "url": "/thing/b/"})  # requests are another matter
        assert (await pulled(peer, 1))[0]["status"] == 200
        peer.transport.push({"cancel": 2})
        assert (await pulled(peer, 1))[0]["status"] == 499
        assert (await subscribe(peer, "/thing/b/", id=4))["status"] == 200
        assert (await subscribe(peer, "/thing/b/", id=2))["status"] == 429
        await apublish("/thing/b/", "to one")
        (event,) = await pulled(peer, 1)
        assert event["id"] == 4


async def test_all_of_one_frame_count() -> None:
    async with connection() as peer:
        peer.transport.push(
            *({"id": n, "method": "SUBSCRIBE", "url": f"/thing/{n}/"} for n in range(1, 6))
        )
        answers = {answer["id"]: answer["status"] for answer in await pulled(peer, 5)}
        assert answers == {1: 200, 2: 200, 3: 200, 4: 429, 5: 429}


async def test_one_that_was_refused_or_has_ended_does_not_count() -> None:
    state["gone status"] = 410
    async with connection() as peer:
        for number in range(1, 8):
            assert (await subscribe(peer, "/thing/gone/", id=number))["status"] == 410
        for number in (1, 2, 3):
            assert (await subscribe(peer, "/thing/a/", id=number))["status"] == 200


async def test_each_connection_has_its_own() -> None:
    async with connection() as one, connection() as other:
        for peer in (one, other):
            for number in (1, 2, 3):
                assert (await subscribe(peer, "/thing/a/", id=number))["status"] == 200
