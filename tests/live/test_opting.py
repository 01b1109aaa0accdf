"""Which views may be live: LIVE, what views say of themselves, and what whoever asks for more is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.live import opting_urls
from tests.live.opting_urls import SAID, changing_to, lively, slugs
from tests.live.test_live import on_thread
from tests.live.urls import asked
from tests.project.models import Note
from tests.subscribe.test_subscribe import pulled
from tests.support.database import database, tables
from tests.support.memory import MemoryConnection, connection
from wsrequest import apublish, atouch
from wsrequest.livequery.opting import live
from wsrequest.session.switchboard import switchboard_of

__all__ = ["database", "tables"]

NOT_LIVE = {
    "error": "This url is not kept up to date; subscribe without live.",
    "code": "not_live",
}


@pytest.fixture(autouse=True)
def views(
    project: None, database: None, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.live.opting_urls"
    lively.clear()
    changing_to.clear()
    with django_db_blocker.unblock():
        Note.objects.create(slug="a", text="one")
        yield
        Note.objects.all().delete()


def token(name: str) -> dict[str, Any]:
    return {"headers": ((b"host", b"testserver"), (b"authorization", f"JWT {name}".encode()))}


async def said(peer: MemoryConnection) -> Any:
    """The next message."""
    (message,) = await pulled(peer, 1)
    return message


async def subscribe(peer: MemoryConnection, url: str, **fields: Any) -> Any:
    message = {"id": 1, "method": "SUBSCRIBE", "url": url, "live": True}
    peer.transport.push({**message, **fields})
    return await said(peer)


def audiences(peer: MemoryConnection) -> int:
    return len(switchboard_of(peer.runner).queries)


async def auth(peer: MemoryConnection, name: str) -> None:
    peer.transport.push({"id": "auth", "auth": name})
    assert (await said(peer))["status"] == 204


# What a view says.


@pytest.mark.parametrize("by_default", [True, False])
@pytest.mark.parametrize("url", SAID)
async def test_a_view_has_its_own_way(settings: Settings, url: str, by_default: bool) -> None:
    settings.WSREQUEST |= {"LIVE": by_default}
    allowed = by_default if SAID[url] is None else SAID[url]
    async with connection() as peer:
        answer = await subscribe(peer, url)
        if allowed:
            assert answer["status"] == 200
            await on_thread(Note.objects.filter(slug="a").update, slug="a", text="two")
            await on_thread(Note.objects.create, slug="b")
            assert (await said(peer))["rev"] == 1
        else:
            assert (answer["status"], answer["data"]) == (501, NOT_LIVE)
            assert "subscription" not in answer
        assert audiences(peer) == allowed


@pytest.mark.parametrize("url", SAID)
async def test_without_live_it_says_nothing(url: str) -> None:
    async with connection() as peer:
        for fields in ({"method": "GET"}, {"live": False}):
            assert (await subscribe(peer, url, **fields))["status"] == 200
        assert audiences(peer) == 0


async def test_over_http_it_says_nothing(async_client: Any) -> None:
    for url in SAID:
        assert (await async_client.get(url)).status_code == 200


async def test_by_default_a_view_may_be_live() -> None:
    async with connection() as peer:
        assert (await subscribe(peer, "/plain/"))["status"] == 200
        assert (await subscribe(peer, "/forbidden/", id=2))["status"] == 501


# Whoever asks for more than it allows.


@pytest.mark.parametrize("url", ["/forbidden/", "/aforbidden/", "/router/forbidding/"])
async def test_the_id_is_free_again(url: str) -> None:
    async with connection() as peer:
        assert (await subscribe(peer, url))["status"] == 501
        peer.transport.push({"cancel": 1})  # there is nothing to be cancelled
        assert (await subscribe(peer, url, method="GET"))["status"] == 200
        assert (await subscribe(peer, url, live=False))["status"] == 200
        await apublish(url, "heard")
        event = await said(peer)
        assert (event["id"], event["data"]) == (1, "heard")
        await atouch(url)
        assert (await said(peer))["event"] == "replace"
        peer.transport.push({"cancel": 1})
        assert (await said(peer))["status"] == 499


async def test_what_was_refused_hears_nothing_and_does_not_count(settings: Settings) -> None:
    settings.WSREQUEST |= {"MAX_LIVE": 1, "MAX_SUBSCRIPTIONS": 1}
    async with connection() as peer:
        for number in range(1, 4):
            assert (await subscribe(peer, "/forbidden/", id=number))["status"] == 501
        assert (await subscribe(peer, "/allowed/", id=4))["status"] == 200
        asked.clear()
        await on_thread(Note.objects.create, slug="b")
        await apublish("/forbidden/", "to nobody")
        assert (await said(peer))["id"] == 4
        assert asked == {"/allowed/": 1}


async def test_who_may_not_get_it_is_told_that() -> None:
    async with connection() as peer:
        assert (await subscribe(peer, "/router/own/"))["status"] == 401
        assert (await subscribe(peer, "/router/own/missing/", token="ada"))["status"] == 404
        assert (await subscribe(peer, "/router/own/", token="ada"))["status"] == 501


async def test_since_makes_no_difference() -> None:
    async with connection() as peer:
        since = {"epoch": "e", "offset": 1}
        assert (await subscribe(peer, "/forbidden/", since=since))["status"] == 501
        assert (await subscribe(peer, "/allowed/", since=since))["status"] == 200


# Together with @topic.


@pytest.mark.parametrize(
    ("url", "name"),
    [("/named/", "@named"), ("/class/both/", "@both"), ("/router/allowing/", "@notes")],
)
async def test_a_view_may_name_its_topic_too(url: str, name: str) -> None:
    async with connection() as peer:
        assert (await subscribe(peer, url))["status"] == 200
        await apublish(url, "to nobody")
        await apublish(name, "heard")
        assert (await said(peer))["data"] == "heard"
        await on_thread(Note.objects.create, slug="b")
        assert (await said(peer))["rev"] == 1


# Seconds between two runs.


async def test_one_is_run_again_more_seldom_than_another() -> None:
    async with connection() as peer:
        for number, url in enumerate(("/seldom/", "/often/", "/plain/"), 1):
            assert (await subscribe(peer, url, id=number))["status"] == 200
        asked.clear()
        for slug in ("b", "c"):
            await on_thread(Note.objects.create, slug=slug)
            assert {message["id"] for message in await pulled(peer, 2)} == {2, 3}
        # Not how often: a run that was under way may have seen the row.
        assert asked.keys() == {"/often/", "/plain/"}
        intervals = {query.min_interval for query in switchboard_of(peer.runner).queries.all()}
        assert intervals == {3600, 0.001}


async def test_without_a_word_of_its_own_the_setting_holds(settings: Settings) -> None:
    settings.WSREQUEST |= {"LIVE_MIN_INTERVAL": 3600}
    async with connection() as peer:
        for number, url in enumerate(("/allowed/", "/plain/", "/often/"), 1):
            assert (await subscribe(peer, url, id=number))["status"] == 200
        asked.clear()
        await on_thread(Note.objects.create, slug="b")
        assert (await said(peer))["id"] == 3
        assert asked.keys() == {"/often/"}


# Another user, and time.


async def test_another_user_for_whom_it_may_not_be_live() -> None:
    lively.add("ann")
    async with connection(**token("ann")) as peer:
        assert (await subscribe(peer, "/own/"))["status"] == 200
        await auth(peer, "bob")
        end = await said(peer)
        assert end == {"id": 1, "end": True, "status": 501, "data": NOT_LIVE}
        assert audiences(peer) == 0
        await on_thread(Note.objects.create, slug="b")
        assert (await subscribe(peer, "/own/"))["status"] == 501  # its id is free
        await auth(peer, "ann")
        assert (await subscribe(peer, "/own/"))["status"] == 200


async def test_another_user_for_whom_it_may() -> None:
    lively.update(("ann", "bob"))
    async with connection(**token("ann")) as peer:
        assert (await subscribe(peer, "/own/"))["status"] == 200
        await auth(peer, "bob")
        await on_thread(Note.objects.create, slug="b")
        assert (await said(peer))["rev"] == 1
        assert audiences(peer) == 1


@pytest.mark.parametrize("by_default", [True, False])
async def test_what_the_former_user_s_view_said_holds_no_more(
    settings: Settings, by_default: bool
) -> None:
    settings.WSREQUEST |= {"LIVE": by_default}
    changing_to["ann"], changing_to["bob"] = live(min_interval=3600)(slugs), slugs
    async with connection(**token("ann")) as peer:
        assert (await subscribe(peer, "/changing/"))["status"] == 200
        await auth(peer, "bob")
        if by_default:
            for rev, slug in enumerate("bc", 1):
                await on_thread(Note.objects.create, slug=slug)
                assert (await said(peer))["rev"] == rev  # and not in an hour
        else:
            assert (await said(peer))["status"] == 501


async def test_what_is_run_again_keeps_to_what_was_said(settings: Settings) -> None:
    settings.WSREQUEST |= {"LIVE": False}
    async with connection() as peer:
        assert (await subscribe(peer, "/allowed/"))["status"] == 200
        for number, slug in enumerate("bcd", 1):
            await on_thread(Note.objects.create, slug=slug)
            assert (await said(peer))["rev"] == number


# What is no such word.


@pytest.mark.parametrize("allowed", [None, 0, 1, "no", slugs])
def test_what_it_takes(allowed: Any) -> None:
    with pytest.raises(TypeError, match=r"takes True or False\. As a decorator, write @live\(\)"):
        live(allowed)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_an_interval_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="min_interval: it is a number of seconds greater than 0"):
        live(min_interval=seconds)


@pytest.mark.parametrize("seconds", ["1", [], True])
def test_an_interval_of_another_type(seconds: Any) -> None:
    with pytest.raises(TypeError, match="min_interval: it is a number of seconds"):
        live(min_interval=seconds)


def test_a_class_can_t_be_decorated() -> None:
    with pytest.raises(
        TypeError, match=r"@live is for views\. In a class, write it as an attribute"
    ):
        live()(opting_urls.Plain)


def test_a_function_that_is_no_view() -> None:
    with pytest.raises(TypeError, match="call the attribute `kept`"):
        live()(lambda number: number)(1)
