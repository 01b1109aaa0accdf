"""A list that everybody may GET, and that shows each user his own rows only: what reaches whom, on a real server.

First what goes wrong, then the three ways to do it right: a topic of one's own, events for some, a touch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views import View
from pytest_django.fixtures import Settings
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from tests.project.api import NoteSerializer, TokenAuthentication
from tests.project.models import Note
from tests.support.client import Message, Peer, connect
from tests.support.server import ServerThread
from wsrequest import EVERYONE, adisconnect, anotify, apublish, atouch, topic

NAMES = ("ada", "bob")


def enter(request: HttpRequest, name: str) -> HttpResponse:
    login(request, get_user_model().objects.get(username=name))
    return HttpResponse()


def write(request: HttpRequest, slug: str) -> HttpResponse:
    Note.objects.create(slug=slug, text=request.user.username)
    return HttpResponse()


def own_notes(request: Any) -> list[str]:
    return list(Note.objects.filter(text=request.user.username).values_list("slug", flat=True))


def name(request: Any) -> str:
    return f"@notes of/{request.user.username}"


@login_required
def listed(request: HttpRequest) -> HttpResponse:
    return JsonResponse(own_notes(request), safe=False)


@login_required
@topic(name)
def named(request: HttpRequest) -> HttpResponse:
    return JsonResponse(own_notes(request), safe=False)


@topic(name)
async def anamed(request: HttpRequest) -> HttpResponse:
    found = Note.objects.filter(text=(await request.auser()).username)  # type: ignore[attr-defined]
    return JsonResponse([note.slug async for note in found], safe=False)


class Named(LoginRequiredMixin, View):
    hears = topic(name)

    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse(own_notes(request), safe=False)


class ANamed(View):
    hears = topic(name)

    async def get(self, request: HttpRequest) -> HttpResponse:
        return await anamed.__wrapped__(request)  # type: ignore[attr-defined,no-any-return]


class NamedViewSet(ReadOnlyModelViewSet):
    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]
    hears = topic(name)

    def list(self, request: Request) -> Response:
        return Response(own_notes(request))

    @topic(lambda request: request.path)
    def retrieve(self, request: Request, pk: str) -> Response:
        return super().retrieve(request, pk=pk)


router = DefaultRouter()
router.register("named", NamedViewSet, basename="named")

urlpatterns = [
    path("enter/<name>/", enter),
    path("write/<slug>/", write),
    path("listed/", listed),
    path("plain-get/", listed),
    path("named/", named),
    path("anamed/", anamed),
    path("class/", Named.as_view()),
    path("aclass/", ANamed.as_view()),
    path("drf/", include(router.urls)),
    path("", include("tests.project.urls")),
]

URLS = ["/named/", "/anamed/", "/class/", "/aclass/", "/drf/named/"]


@pytest.fixture(autouse=True)
def notes(no_notes: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    get_user_model().objects.get_or_create(username="bob")
    for each in NAMES:
        Note.objects.create(slug=f"of-{each}", text=each)


@pytest.fixture
def keys(notes: None) -> dict[str, int]:
    """Primary keys of the users."""
    return dict(get_user_model().objects.values_list("username", "pk"))


@asynccontextmanager
async def subscribed(server: ServerThread, url: str) -> AsyncIterator[tuple[Peer, Peer]]:
    """Ada and Bob, each of whom sees his own note in the snapshot."""
    async with (
        connect(server.ws, origin=server.http) as ada,
        connect(server.ws, origin=server.http) as bob,
    ):
        for each, peer in (("ada", ada), ("bob", bob)):
            await peer.request(f"/enter/{each}/", id="enter")
            token = {"token": each} if url.startswith("/drf/") else {}
            answer = await peer.request(url, method="SUBSCRIBE", **token)
            assert (answer["status"], answer["data"]) == (200, [f"of-{each}"])
            assert "subscription" in answer
        yield ada, bob


async def heard(peer: Peer) -> list[Message]:
    """Everything that has come before the answer to a ping; without offsets, as the tests share their topics."""
    await peer.send({"ping": 1})
    messages = []
    while "pong" not in (message := await peer.next()):
        message.pop("offset", None)
        messages.append(message)
    return messages


def event(data: Any, **more: Any) -> Message:
    return {"id": 1, "event": "added", "data": data, **more}


async def test_what_is_published_to_a_path_reaches_everyone_who_may_get_it(
    server: ServerThread,
) -> None:
    async with subscribed(server, "/listed/") as (ada, bob):
        await apublish("/listed/?page=2", "of bob", event="added")
        assert await heard(ada) == await heard(bob) == [event("of bob")]


@pytest.mark.parametrize("url", URLS)
async def test_a_topic_of_one_s_own(server: ServerThread, url: str) -> None:
    async with subscribed(server, url) as (ada, bob):
        await apublish("@notes of/bob", "of bob", event="added")
        await apublish(url, "to the path", event="added")
        assert await heard(bob) == [event("of bob")]
        assert await heard(ada) == []
        await apublish(["@notes of/ada", "@notes of/bob"], "of both", event="added")
        assert await heard(ada) == [event("of both")]
        assert await heard(bob) == [event("of both")]


async def test_events_for_some(server: ServerThread, keys: dict[str, int]) -> None:
    async with subscribed(server, "/listed/") as (ada, bob):
        await apublish("/listed/", "of bob", event="added", to=keys["bob"])
        assert await heard(bob) == [event("of bob")]
        assert await heard(ada) == []
        await apublish("/listed/", "for all", event="added")
        assert await heard(bob) == [event("for all")]
        assert await heard(ada) == [event("for all", skip=1)]


async def test_a_touch(server: ServerThread) -> None:
    async with subscribed(server, "/listed/") as (ada, bob):
        await bob.request("/write/also-of-bob/", id="write")
        await atouch("/listed/")
        replaced = {"id": 1, "event": "replace", "rev": 1}
        assert await ada.next() == {**replaced, "data": ["of-ada"]}
        assert await bob.next() == {**replaced, "data": ["also-of-bob", "of-bob"]}


async def test_who_may_not_see_it_hears_nothing(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        for number, url in enumerate(["/named/", "/class/", "/drf/named/"], 1):
            answer = await peer.request(url, id=number, method="SUBSCRIBE")
            assert answer["status"] in (302, 401)
            assert "subscription" not in answer
        await apublish(["@notes of/", "@notes of/ada", "/named/"], "secret")
        assert await heard(peer) == []


async def test_nobody_subscribes_to_a_name(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        for number, url in enumerate(["@notes%20of/ada", "@notes of/ada", "/@notes of/ada"], 1):
            assert (await peer.request(url, id=number, method="SUBSCRIBE"))["status"] == 404
        await apublish("@notes of/ada", "secret")
        assert await heard(peer) == []


async def test_a_method_that_names_the_path_itself(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        answer = await peer.request("/drf/named/of-ada/", method="SUBSCRIBE", token="ada")
        assert (answer["status"], answer["data"]["slug"]) == (200, "of-ada")
        await apublish("/drf/named/of-ada/", "changed", event="added")
        await apublish("@notes of/ada", "not here")
        assert await heard(peer) == [event("changed")]


@pytest.mark.parametrize("url", ["/plain-get/", *URLS])
async def test_a_get_hears_nothing(server: ServerThread, url: str) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/enter/ada/", id="enter")
        await peer.request(url, **({"token": "ada"} if url.startswith("/drf/") else {}))
        await apublish(["@notes of/ada", url], "secret")
        assert await heard(peer) == []


async def test_notices_and_dismissals_of_a_user(server: ServerThread, keys: dict[str, int]) -> None:
    async with subscribed(server, "/listed/") as (ada, bob):
        await anotify(keys["bob"], "news", {"for": "bob"})
        await anotify(EVERYONE, "news", {"for": "all"})
        assert bob.hello is not None
        await anotify(bob.hello["data"]["connection"], "news")
        assert await heard(bob) == [
            {"event": "news", "data": {"for": "bob"}},
            {"event": "news", "data": {"for": "all"}},
            {"event": "news", "data": None},
        ]
        assert await heard(ada) == [{"event": "news", "data": {"for": "all"}}]
        await adisconnect(keys["bob"])
        assert await bob.close_code() == 4010
        assert ada.hello is not None
        await adisconnect(ada.hello["data"]["connection"], code=4200)
        assert await ada.close_code() == 4200
