"""The asynchronous client: in a TestCase, whose transaction it sees, and on a loop of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import TestCase, override_settings

from tests.project.models import Note
from tests.testing.urls import Failure, streamed
from wsrequest import apublish
from wsrequest.errors import HandshakeRefused
from wsrequest.session.registry import registry
from wsrequest.testing import AsyncWebSocketClient, Event, WebSocketTestMixin


@override_settings(ROOT_URLCONF="tests.testing.urls")
class AsyncTest(WebSocketTestMixin, TestCase):
    async def test_requests(self) -> None:
        await Note.objects.acreate(slug="first")
        async with AsyncWebSocketClient() as client:
            assert (await client.get("/notes/")).json() == {"notes": ["first"]}
            assert (await client.get("/anotes/")).json() == {"notes": ["first"], "count": 1}
            assert (await client.get("/me/")).json()["in_transaction"]
            assert (await client.post("/notes/", {"slug": "second"})).status_code == 201
            answers = await asyncio.gather(*(client.get("/echo/", {"n": n}) for n in range(20)))
            assert [each.json()["query"]["n"] for each in answers] == [str(n) for n in range(20)]
        assert await Note.objects.acount() == 2
        assert not registry.members

    async def test_users(self) -> None:
        ada = await User.objects.acreate_user("ada", password="secret")
        client = self.async_websocket
        await client.aforce_login(ada)
        assert (await client.get("/me/")).json()["user"] == "ada"
        await client.alogout()
        assert (await client.get("/me/")).json()["user"] is None
        assert await client.alogin(username="ada", password="secret")
        assert (await client.get("/me/")).json()["user"] == "ada"
        await client.disconnect()

    async def test_exceptions(self) -> None:
        async with AsyncWebSocketClient() as client:
            for path in ("/fail/", "/afail/"):
                with pytest.raises(Failure):
                    await client.get(path)
        with pytest.raises(HandshakeRefused):
            await AsyncWebSocketClient(HTTP_ORIGIN="https://evil.example").connect()
        assert not registry.members

    async def test_streams(self) -> None:
        async with AsyncWebSocketClient() as client:
            for kind in ("stream", "astream"):
                response: Any = await client.get(f"/{kind}/short/")
                assert [part async for part in response] == [b"0 ", b"1 ", b"2 "]
                endless: Any = await client.get(f"/{kind}/endless/")
                assert await anext(aiter(endless)) == b"0 "
                endless.close()
                await client.disconnect()
                assert streamed == ["closed"]

    async def test_events(self) -> None:
        async with AsyncWebSocketClient() as client:
            subscription = await client.subscribe("/anotes/")
            await apublish("/anotes/", 1, on_commit=False)
            await apublish("/anotes/", 2, on_commit=False)
            assert await subscription.next() == Event("message", 1, 1)
            assert await client.events() == [Event("message", 2, 2)]
            with pytest.raises(AssertionError):
                await subscription.next()
            await subscription.cancel()
            assert subscription.ended == 499

    async def test_live_and_notices(self) -> None:
        async with AsyncWebSocketClient() as client, AsyncWebSocketClient() as other:
            lives = [await each.live("/notes/") for each in (client, other)]
            await Note.objects.acreate(slug="a")
            assert [await live.now() for live in lives] == [{"notes": []}] * 2
            await self._commit()
            assert [await live.now() for live in lives] == [{"notes": ["a"]}] * 2
            assert await client.notices() == []
            assert await client.close_code() is None

    async def _commit(self) -> None:
        from asgiref.sync import sync_to_async

        def commit() -> None:
            with self.captureOnCommitCallbacks(execute=True):
                Note.objects.filter(slug="a").update(text="b")

        await sync_to_async(commit)()


@override_settings(ROOT_URLCONF="tests.testing.urls")
async def test_outside_of_a_test_case() -> None:
    client = AsyncWebSocketClient()
    assert (await client.get("/echo/")).status_code == 200
    subscription = await client.subscribe("/echo/")
    await apublish("/echo/", "said")
    assert [event.data for event in await subscription.events()] == ["said"]
    await client.disconnect()
    assert await client.close_code() is None


def test_who_does_not_close_leaves_nothing_behind() -> None:
    async def forgetful() -> None:
        with override_settings(ROOT_URLCONF="tests.testing.urls"):
            await AsyncWebSocketClient().get("/echo/")
        assert registry.members

    asyncio.run(forgetful())
    assert not registry.members
