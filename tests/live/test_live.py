"""SUBSCRIBE with ``live``: the snapshot, and then whatever brings the client's state up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from jsonpatch import JsonPatch
from pytest_django import DjangoDbBlocker

from tests.live.urls import asked, outside
from tests.project.models import Note
from tests.support.memory import MemoryConnection, connection
from wsrequest import touch

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(autouse=True)
def empty(database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        Note.objects.all().delete()
        yield
        Note.objects.all().delete()


async def on_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)


class Client:
    """Holds the state of each subscription, as a client does."""

    def __init__(self, peer: MemoryConnection) -> None:
        self.peer = peer
        self.states: dict[int, Any] = {}
        self.revs: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.said: list[Any] = []

    async def subscribe(self, id: int, url: str, **fields: Any) -> Any:
        self.peer.transport.push(
            {"id": id, "method": "SUBSCRIBE", "url": url, "live": True, **fields}
        )
        while id not in self.revs:
            await self.hear()
        return self.states[id]

    async def hear(self) -> None:
        frame = await self.peer.transport.pull()
        for said in frame if isinstance(frame, list) else [frame]:
            self.take(said)

    def take(self, said: Any) -> None:
        self.said.append(said)
        number = said["id"]
        if "subscription" in said or "headers" in said:
            self.states[number] = said.get("data")
            self.revs[number] = 0
        elif said.get("end"):
            self.ended[number] = said["status"]
        elif said["event"] in ("patch", "replace"):
            assert said["rev"] == self.revs[number] + 1
            self.revs[number] += 1
            if said["event"] == "patch":
                self.states[number] = JsonPatch(said["data"]).apply(self.states[number])
            else:
                self.states[number] = said["data"]

    async def until(self, number: int, state: Any) -> None:
        while self.states[number] != state:
            await self.hear()


async def test_a_list_stays_up_to_date() -> None:
    async with connection() as peer:
        client = Client(peer)
        assert await client.subscribe(1, "/notes/") == {"notes": []}
        await on_thread(Note.objects.create, slug="a", text="one")
        await client.until(1, {"notes": [{"slug": "a", "text": "one"}]})
        await on_thread(Note.objects.filter(slug="a").update, text="two")
        await client.until(1, {"notes": [{"slug": "a", "text": "two"}]})
        await on_thread(Note.objects.all().delete)
        await client.until(1, {"notes": []})
        assert [said["event"] for said in client.said[1:]] == ["replace", "replace", "replace"]


async def test_what_is_sent_is_the_difference() -> None:
    await on_thread(
        Note.objects.bulk_create, [Note(slug=f"n{number}", text="long " * 9) for number in range(9)]
    )
    async with connection() as peer:
        client = Client(peer)
        await client.subscribe(1, "/notes/")
        await on_thread(Note.objects.filter(slug="n3").update, text="short")
        await client.hear()
        assert client.said[-1] == {
            "id": 1,
            "event": "patch",
            "data": [{"op": "replace", "path": "/notes/3/text", "value": "short"}],
            "rev": 1,
        }
        await on_thread(Note.objects.filter(slug="n3").update, text="short")  # nothing is new
        await on_thread(Note.objects.filter(slug="n4").delete)
        await client.hear()
        assert client.said[-1]["data"] == [{"op": "remove", "path": "/notes/4"}]


async def test_a_row_that_is_deleted_ends_its_subscription() -> None:
    await on_thread(Note.objects.create, slug="a", text="one")
    async with connection() as peer:
        client = Client(peer)
        assert await client.subscribe(1, "/notes/a/") == {"slug": "a", "text": "one"}
        await on_thread(Note.objects.filter(slug="a").update, text="two")
        await client.until(1, {"slug": "a", "text": "two"})
        await on_thread(Note.objects.all().delete)
        while 1 not in client.ended:
            await client.hear()
        assert client.ended == {1: 404}


async def test_one_run_for_all_who_watch_the_same() -> None:
    async with connection() as peer, connection(beside=peer) as second:
        clients = [Client(peer), Client(second)]
        for client in clients:
            await client.subscribe(1, "/notes/")
            await client.subscribe(2, "/notes/")
        asked.clear()
        await on_thread(Note.objects.create, slug="a", text="one")
        for client in clients:
            await client.until(1, {"notes": [{"slug": "a", "text": "one"}]})
            await client.until(2, {"notes": [{"slug": "a", "text": "one"}]})
        assert asked["/notes/"] == 1


async def test_what_no_database_knows_is_touched_by_its_name() -> None:
    async with connection() as peer:
        client = Client(peer)
        assert await client.subscribe(1, "/weather/") == {"weather": None}
        outside["weather"] = "rain"
        touch("weather")
        await client.until(1, {"weather": "rain"})
        outside["weather"] = "sun"
        touch("/weather/")
        await client.until(1, {"weather": "sun"})


async def test_an_asynchronous_view() -> None:
    async with connection() as peer:
        client = Client(peer)
        assert await client.subscribe(1, "/anotes/") == {"count": 0, "slugs": []}
        await on_thread(Note.objects.create, slug="a", text="one")
        await client.until(1, {"count": 1, "slugs": ["a"]})
