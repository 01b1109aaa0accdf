"""MAX_LIVE of one connection, MAX_LIVE_AUDIENCES of a process: at the limit, and one past it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.live import urls
from tests.live.test_live import on_thread
from tests.live.urls import asked, outside
from tests.project.models import Note
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.memory import MemoryConnection, connection
from wsrequest import depends_on, touch
from wsrequest.session.switchboard import switchboard_of


def mood(request: HttpRequest) -> HttpResponse:
    """Everybody's, until it is each one's own."""
    depends_on("mood")
    own = outside.get("mood") == "own"
    return JsonResponse({"mood": request.COOKIES.get("name") if own else None})


urlpatterns = [path("other/", urls.notes), path("mood/", mood), *urls.urlpatterns]


@pytest.fixture(autouse=True)
def views(project: None, settings: Settings, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    with django_db_blocker.unblock():
        yield
        Note.objects.all().delete()


async def live(peer: MemoryConnection, url: str, id: int, **fields: Any) -> Any:
    return await subscribe(peer, url, id=id, live=True, **fields)


def cookie(name: str) -> dict[str, Any]:
    return {"headers": ((b"host", b"testserver"), (b"cookie", f"name={name}".encode()))}


def error_in(answer: Any) -> tuple[int, str]:
    return answer["status"], answer["data"]["code"]


async def cancel(peer: MemoryConnection, id: int) -> None:
    peer.transport.push({"cancel": id})
    (end,) = await pulled(peer, 1)
    assert (end["id"], end["status"]) == (id, 499)


async def test_live_subscriptions_of_a_connection(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE": 2}
    async with connection() as peer, connection(beside=peer) as other:
        for number in (1, 2):
            assert (await live(peer, "/notes/", number))["status"] == 200
        asked.clear()
        refusal = await live(peer, "/page/", 3)
        assert error_in(refusal) == (429, "too_many_live")
        assert refusal["id"] == 3
        assert "subscription" not in refusal
        assert not asked  # it was not asked for
        # What is not live is another matter, and so is another connection.
        assert (await subscribe(peer, "/notes/", id=3))["status"] == 200
        peer.transport.push({"id": 4, "url": "/notes/"})
        assert (await pulled(peer, 1))[0]["status"] == 200
        for number in (1, 2):
            assert (await live(other, "/notes/", number))["status"] == 200
        assert error_in(await live(other, "/notes/", 3)) == (429, "too_many_live")
        # There is room again.
        await cancel(peer, 1)
        assert (await live(peer, "/notes/", 1))["status"] == 200
        assert error_in(await live(peer, "/notes/", 5)) == (429, "too_many_live")


async def test_all_of_one_frame_count(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE": 2}
    async with connection() as peer:
        subscribing = {"method": "SUBSCRIBE", "url": "/notes/"}
        peer.transport.push(
            *({"id": number, "live": number != 2, **subscribing} for number in range(1, 6))
        )
        answers = {answer["id"]: answer["status"] for answer in await pulled(peer, 5)}
        assert answers == {1: 200, 2: 200, 3: 200, 4: 429, 5: 429}


async def test_what_was_refused_or_has_ended_does_not_count(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE": 1, "MAX_LIVE_AUDIENCES": 1}
    async with connection() as peer:
        for number in range(1, 4):
            assert (await live(peer, "/notes/missing/", number))["status"] == 404
            assert (await live(peer, "/mine/", number))["status"] == 403
        await on_thread(Note.objects.create, slug="a")
        assert (await live(peer, "/notes/a/", 1))["status"] == 200
        await on_thread(Note.objects.all().delete)
        (end,) = await pulled(peer, 1)
        assert (end["id"], end["status"]) == (1, 404)
        assert (await live(peer, "/notes/", 1))["status"] == 200


async def test_the_limit_of_all_subscriptions_comes_first(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE": 1, "MAX_SUBSCRIPTIONS": 1}
    async with connection() as peer:
        assert (await live(peer, "/notes/", 1))["status"] == 200
        assert error_in(await live(peer, "/notes/", 2)) == (429, "too_many_subscriptions")


async def test_live_audiences_of_a_process(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE_AUDIENCES": 2}
    async with connection() as peer, connection(beside=peer) as other:
        assert (await live(peer, "/notes/", 1))["status"] == 200
        assert (await live(peer, "/page/", 2))["status"] == 200
        refusal = await live(other, "/other/", 1)
        assert error_in(refusal) == (503, "too_many_live_audiences")
        assert refusal["headers"]["retry-after"] == "10"
        assert "subscription" not in refusal
        # Whoever joins an audience is not one more; nor is who wants no more than events.
        assert (await live(other, "/notes/", 1))["status"] == 200
        assert (await live(other, "/page/", 2))["status"] == 200
        assert (await subscribe(other, "/other/", id=3))["status"] == 200
        await on_thread(Note.objects.create, slug="a")
        for each in (peer, other):
            assert {said["id"] for said in await pulled(each, 2)} == {1, 2}
        # There is room again as soon as nobody is left in one of them.
        await cancel(peer, 1)
        assert (await live(peer, "/other/", 1))["status"] == 503
        await cancel(other, 1)
        assert (await live(peer, "/other/", 1))["status"] == 200
        assert (await live(peer, "/notes/", 4))["status"] == 503
        await on_thread(Note.objects.create, slug="b")
        assert {said["id"] for said in await pulled(peer, 2)} == {1, 2}


async def test_who_was_refused_leaves_nothing_behind(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE_AUDIENCES": 1}
    async with connection() as peer, connection(beside=peer) as other:
        assert (await live(peer, "/notes/", 1))["status"] == 200
        for _ in range(3):
            assert (await live(other, "/other/", 1))["status"] == 503
        assert len(switchboard_of(peer.runner).queries) == 1
        await peer.leave()
        assert (await live(other, "/other/", 1))["status"] == 200


async def test_the_next_who_asks_after_another_connection_is_gone(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE_AUDIENCES": 1}
    async with connection() as peer:
        async with connection(beside=peer) as gone:
            assert (await live(gone, "/notes/", 1))["status"] == 200
            assert (await live(peer, "/other/", 1))["status"] == 503
        assert (await live(peer, "/other/", 1))["status"] == 200


async def test_nobody_is_thrown_out_by_it(settings: Settings) -> None:
    """What all saw alike becomes what each sees for himself."""
    settings.WSREQUEST |= {"MAX_LIVE_AUDIENCES": 1}
    async with connection(**cookie("ann")) as ann, connection(**cookie("bob"), beside=ann) as bob:
        for each in (ann, bob):
            assert (await live(each, "/mood/", 1))["data"] == {"mood": None}
        outside["mood"] = "own"
        touch("mood")
        for each, name in ((ann, "ann"), (bob, "bob")):
            (update,) = await pulled(each, 1)
            assert update["data"] == {"mood": name}
        assert len(switchboard_of(ann.runner).queries) == 2
        assert (await live(ann, "/notes/", 2))["status"] == 503
