"""What comes between the steps of a live subscription must neither be lost nor be shown to anybody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model, login
from django.contrib.sessions.models import Session
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from pytest_django.fixtures import Settings

from tests.live.test_live import Client, on_thread
from tests.project.models import Note
from tests.subscribe.test_permission import ORIGIN, token
from tests.subscribe.test_subscribe import pulled
from tests.support.memory import connection
from wsrequest import apublish, atouch

#: What the views know that no database does.
state: dict[str, Any] = {}


def news(request: HttpRequest) -> HttpResponse:
    """Public, until the day on which it is personal."""
    if not state.get("personal"):
        return JsonResponse({"for": "all"})
    return JsonResponse({"for": request.headers.get("authorization")})


async def value(request: HttpRequest) -> HttpResponse:
    answer = {"value": state.get("value"), "for": request.headers.get("authorization")}
    if (asked := state.get("asked")) is not None:
        asked.set()
        await state["gate"].wait()
    return JsonResponse(answer)


async def counted(request: HttpRequest) -> HttpResponse:
    """Its first run but one begins a worker for all of them."""
    state["runs"] = state.get("runs", 0) + 1
    if state["runs"] == 2:
        state["worker"] = asyncio.create_task(work())
    return JsonResponse({"count": await Note.objects.acount()})


async def work() -> None:
    await state["go"].wait()
    await Note.objects.acreate(slug="later")
    # It has outlived its request, and nobody else closes it.
    await sync_to_async(connections.close_all)()


def me(request: HttpRequest) -> JsonResponse:
    """Whoever the session names, and how many notes there are."""
    return JsonResponse({"name": request.user.get_username(), "notes": Note.objects.count()})


def enter(request: HttpRequest) -> HttpResponse:
    login(request, get_user_model().objects.get(username="ada"))
    return HttpResponse(status=204)


def themed(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"theme": request.COOKIES.get("theme")})


def choose(request: HttpRequest, theme: str) -> HttpResponse:
    response = HttpResponse(status=204)
    response.set_cookie("theme", theme)
    return response


urlpatterns = [
    path("news/", news),
    path("value/", value),
    path("counted/", counted),
    path("me/", me),
    path("enter/", enter),
    path("themed/", themed),
    path("choose/<theme>/", choose),
]


@pytest.fixture(autouse=True)
def views(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.WSREQUEST = {"LIVE_MIN_INTERVAL": 0.001}
    state.clear()


@pytest.mark.parametrize("how", ["token", "authorization"])
async def test_subscriptions_of_one_connection_with_tokens_of_their_own(how: str) -> None:
    async with connection() as peer:
        client = Client(peer)
        for number, name in ((1, "ann"), (2, "bob")):
            bearing = {"token": name} if how == "token" else {"headers": {how: f"JWT {name}"}}
            await client.subscribe(number, "/news/", **bearing)
        state["personal"] = True
        await atouch("/news/")
        while client.revs != {1: 1, 2: 1}:
            await client.hear()
        told = [(said["id"], said["data"]["for"].split()[-1]) for said in client.said[2:]]
        assert sorted(told) == [(1, "ann"), (2, "bob")]


async def test_a_touch_while_it_is_asked_whether_another_user_may() -> None:
    async with connection(**token("ann")) as peer:
        client = Client(peer)
        await client.subscribe(1, "/value/")
        state["asked"], state["gate"] = asyncio.Event(), asyncio.Event()
        peer.transport.push({"id": 2, "auth": "bob"})
        await state["asked"].wait()
        del state["asked"]
        state["value"] = 1
        await atouch("/value/")
        state["gate"].set()
        await client.until(1, {"value": 1, "for": "JWT bob"})


async def test_a_worker_that_a_run_has_begun_writes_as_any_other(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsrequest.livequery.reads.AFTERWARDS", 0)
    state["go"] = asyncio.Event()
    async with connection() as peer:
        client = Client(peer)
        there = (await client.subscribe(1, "/counted/"))["count"]
        await Note.objects.acreate(slug="first")
        await client.until(1, {"count": there + 1})
        state["go"].set()
        await client.until(1, {"count": there + 2})
        await state["worker"]
        await Note.objects.filter(slug__in=("first", "later")).adelete()


async def request(client: Client, number: int, url: str) -> None:
    """Whose answer is 204; what else comes is the client's."""
    client.peer.transport.push({"id": number, "method": "POST", "url": url})
    while True:
        frame = await client.peer.transport.pull()
        for said in frame if isinstance(frame, list) else [frame]:
            if said["id"] == number:
                assert said["status"] == 204, said
                return
            client.take(said)


async def test_the_same_user_logs_in_again_whose_session_was_ended_elsewhere(
    database: None,
) -> None:
    await on_thread(Note.objects.all().delete)
    async with connection(headers=ORIGIN) as peer:
        client = Client(peer)
        await request(client, 10, "/enter/")
        assert await client.subscribe(1, "/me/") == {"name": "ada", "notes": 0}
        await on_thread(Session.objects.all().delete)
        await on_thread(Note.objects.create, slug="a")
        await client.until(1, {"name": "", "notes": 1})
        await request(client, 11, "/enter/")
        await client.until(1, {"name": "ada", "notes": 1})


async def test_an_event_for_a_user_who_logs_in_again(database: None) -> None:
    async with connection(headers=ORIGIN) as peer:
        client = Client(peer)
        await request(client, 10, "/enter/")
        peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": "/me/"})
        await pulled(peer, 1)
        await on_thread(Session.objects.all().delete)
        await atouch("/me/")  # its GET shows that it is nobody's
        (replaced,) = await pulled(peer, 1)
        assert replaced["data"]["name"] == ""
        await request(client, 11, "/enter/")
        await apublish("/me/", "hers", to=await on_thread(get_user_model().objects.get))
        (event,) = await pulled(peer, 1)
        assert event["data"] == "hers"


async def test_a_cookie_that_the_answer_depends_on() -> None:
    async with connection(headers=ORIGIN) as peer:
        client = Client(peer)
        await client.subscribe(1, "/themed/")
        await client.subscribe(2, "/news/")
        for theme in ("dark", "light"):
            await request(client, 10, f"/choose/{theme}/")
            await client.until(1, {"theme": theme})
        assert client.revs == {1: 2, 2: 0}
