"""What is measured of live subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.live import urls
from tests.live.test_live import on_thread
from tests.metrics.recorder import Recorder
from tests.project.models import Note
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.memory import MemoryConnection, connection
from wsrequest import touch
from wsrequest.livequery import spreading

NAMES = {"live_audiences", "live_reruns", "live_reruns_saved"}


@pytest.fixture(autouse=True)
def project(
    database: None, recorder: Recorder, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.live.urls"
    settings.WSREQUEST |= {"LIVE_MIN_INTERVAL": 0.001}
    urls.outside.clear()
    with django_db_blocker.unblock():
        Note.objects.all().delete()
        yield
        Note.objects.all().delete()


async def live(peer: MemoryConnection, url: str, number: int = 1) -> int:
    status: int = (await subscribe(peer, url, id=number, live=True))["status"]
    return status


def figures(recorder: Recorder) -> list[float]:
    """Audiences, runs, and runs that were saved."""
    return [recorder.value(name) for name in sorted(NAMES)]


async def test_audiences_and_runs(recorder: Recorder) -> None:
    async with connection() as first, connection(beside=first) as second:
        for peer in (first, second):
            assert await live(peer, "/notes/") == 200
        assert await live(first, "/weather/", 2) == 200
        assert figures(recorder) == [2, 0, 0]
        await on_thread(Note.objects.create, slug="a")
        for peer in (first, second):
            assert (await pulled(peer, 1))[0]["rev"] == 1
        assert figures(recorder) == [2, 1, 1]  # one for two
        urls.outside["weather"] = "rain"
        touch("weather")
        assert (await pulled(first, 1))[0]["id"] == 2
        assert figures(recorder) == [2, 2, 1]
        await second.leave()
        assert figures(recorder) == [2, 2, 1]
        await first.leave()
        assert figures(recorder) == [0, 2, 1]


async def test_a_run_that_changes_nothing_is_one(recorder: Recorder) -> None:
    async with connection() as peer:
        assert await live(peer, "/notes/?q=nowhere") == 200
        await on_thread(Note.objects.create, slug="a")
        await recorder.reached("live_reruns", 1)
        assert figures(recorder) == [1, 1, 0]


async def test_several_changes_are_one_run(recorder: Recorder, settings: Settings) -> None:
    settings.WSREQUEST |= {"LIVE_MIN_INTERVAL": 3600}
    async with connection() as peer:
        assert await live(peer, "/notes/") == 200
        for slug in "abc":
            await on_thread(Note.objects.create, slug=slug)
            assert await asyncio.to_thread(spreading.flush)  # or they would be told as one
        await recorder.reached("live_reruns_saved", 2)
        assert figures(recorder) == [1, 0, 2]


async def test_what_was_refused_or_is_over_is_no_audience(
    recorder: Recorder, settings: Settings
) -> None:
    settings.WSREQUEST |= {"MAX_LIVE_AUDIENCES": 1}
    async with connection() as peer:
        await on_thread(Note.objects.create, slug="a")
        assert await live(peer, "/notes/missing/") == 404
        assert recorder.peak("live_audiences") == 0
        assert await live(peer, "/notes/a/") == 200
        assert await live(peer, "/notes/", 2) == 503
        assert recorder.peak("live_audiences") == 1
        await on_thread(Note.objects.all().delete)
        assert (await pulled(peer, 1))[0]["status"] == 404
        assert figures(recorder) == [0, 1, 0]


async def test_a_subscription_that_is_not_live_is_none(recorder: Recorder) -> None:
    async with connection() as peer:
        assert (await subscribe(peer, "/weather/"))["status"] == 200
        touch("/weather/")
        assert (await pulled(peer, 1))[0]["event"] == "replace"
        await on_thread(Note.objects.create, slug="a")
    assert not NAMES & recorder.names


async def test_a_rerun_that_fails_is_one_too(recorder: Recorder, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.metrics.test_live"
    async with connection() as peer:
        assert await live(peer, "/failing/") == 200
        urls.outside["fails"] = True
        touch("/failing/")
        await recorder.reached("live_reruns", 1)
        assert figures(recorder)[0] == 1  # it is borne with, for a while


def failing(request: Any) -> HttpResponse:
    return HttpResponse(status=500) if urls.outside.get("fails") else JsonResponse({})


urlpatterns = [urls.path("failing/", failing)]
