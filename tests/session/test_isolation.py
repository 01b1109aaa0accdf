"""Nothing passes from one message to the next, nor from one connection to another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings

from tests.project.settings import MIDDLEWARE
from tests.support.client import Peer, connect
from tests.support.server import ServerThread

WORDS = {"de": "de: Ja", "fr": "fr: Oui", "en": "en: Yes"}


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    """With LocaleMiddleware, and with a user more."""
    get_user_model().objects.create_user("bob", password="secret")
    chain = [*MIDDLEWARE[:2], "django.middleware.locale.LocaleMiddleware", *MIDDLEWARE[2:]]
    languages = [("en", "English"), ("de", "German"), ("fr", "French")]
    with override_settings(MIDDLEWARE=chain, LANGUAGES=languages):
        running = ServerThread().start()
        yield running
        running.stop()


async def say_yes(peer: Peer, number: int) -> None:
    language = sorted(WORDS)[number % 3]
    url = "/asay-yes/" if number % 2 else "/say-yes/"
    answer = await peer.request(url, id=number, headers={"accept-language": language})
    assert answer["data"] == WORDS[language]
    assert answer["headers"]["content-language"] == language


class Reader:
    """Reads one connection for many tasks."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._waiting: dict[object, asyncio.Future[dict]] = {}
        self._task = asyncio.create_task(self._read())

    async def request(self, url: str, *, id: int, **message: object) -> dict:
        answer = asyncio.get_running_loop().create_future()
        self._waiting[id] = answer
        await self._peer.send({"id": id, "url": url, **message})
        async with asyncio.timeout(20):
            return await answer

    async def _read(self) -> None:
        while True:
            message = await self._peer.next()
            self._waiting.pop(message["id"]).set_result(message)

    def stop(self) -> None:
        self._task.cancel()


async def test_languages_of_requests_in_flight(server: ServerThread) -> None:
    async with connect(server.ws) as one, connect(server.ws) as other:
        readers = [Reader(one), Reader(other)]
        await asyncio.gather(*(say_yes(readers[n % 2], n) for n in range(1, 61)))
        for reader in readers:
            reader.stop()


@pytest.mark.parametrize("view", ["stream", "astream", "mixed-stream", "amixed-stream"])
async def test_a_stream_has_its_own_language(server: ServerThread, view: str) -> None:
    async with connect(server.ws) as peer:
        for key, language in ((1, "de"), (2, "fr")):
            await peer.send(
                {"id": key, "url": f"/{view}/language/", "headers": {"accept-language": language}}
            )
        for key, word in ((1, "de Ja"), (2, "fr Oui")):
            await peer.answer(key)
            assert (await peer.answer(key))["chunk"].strip() == word


@pytest.mark.parametrize("prefix", ["", "a"])
async def test_what_a_view_activates_ends_with_it(server: ServerThread, prefix: str) -> None:
    async with connect(server.ws) as peer, connect(server.ws) as other:
        for _ in range(8):  # more often than there are threads
            left = await peer.request(f"/{prefix}activate/de/")
            assert left["data"] == "now de Asia/Tokyo"
            for one in (peer, other):
                head = await one.request("/stream/reverse/")
                assert head["headers"]["content-language"] == "en"
                chunks = [await one.answer(1) for _ in range(3)]
                assert chunks[0]["chunk"].startswith("/hello/ ")
                assert chunks[1]["chunk"] == "/ UTC"
                assert (await one.request("/asay-yes/"))["data"] == "en: Yes"


async def test_users_of_two_connections(server: ServerThread) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    async def visit(name: str) -> None:
        async with connect(server.ws, origin=server.http) as peer:
            data = {"name": name, "word": "secret"}
            await peer.request("/log-in/", method="POST", headers=form, data=data)
            for number in range(10):
                await peer.send({"id": 1, "url": "/whoami/"}, {"id": 2, "url": "/awhoami/"})
                for key in (1, 2):
                    assert (await peer.answer(key))["data"]["user"] == name
                assert (await peer.request("/count/"))["data"]["count"] == number + 1

    await asyncio.gather(visit("ada"), visit("bob"), visit("ada"))
