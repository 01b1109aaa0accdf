"""Two server processes that share a database, and a cache behind a real server (Valkey, by Redis' protocol)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import redis

from tests.once.support import BOTH, ask, is_replay, opened, post, without_mark
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

pytestmark = pytest.mark.slow

PATIENCE = 20
_numbers = count()


@pytest.fixture(scope="module")
def cache() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def new_process(
    cache: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., ServerProcess]:
    folder = tmp_path_factory.mktemp("processes")

    def new(**environment: str) -> ServerProcess:
        return ServerProcess(
            folder, "tests.once", WSREQUEST_TEST_CACHE=cache.url, **environment
        ).start()

    return new


@pytest.fixture(scope="module")
def both(new_process: Callable[..., ServerProcess]) -> Iterator[list[ServerProcess]]:
    servers = [new_process(), new_process()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def slug() -> str:
    return f"note-{next(_numbers)}-"


@pytest.fixture
def steer(cache: RedisServer) -> Iterator[redis.Redis]:
    """What the views wait for, and tell."""
    with cache.client() as client:
        yield client


async def entered(steer: redis.Redis, slug: str) -> None:
    found = await asyncio.to_thread(steer.blpop, [f"{slug}.entered"], PATIENCE)
    assert found is not None, "the view was not reached"


def looks(steer: redis.Redis) -> int:
    """How often processes looked at what is kept for a key."""
    statistics: Any = steer.info("commandstats")
    return int(statistics.get("cmdstat_mget", {}).get("calls", 0))


async def looked(steer: redis.Redis, before: int, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while looks(steer) < before + times:  # noqa: ASYNC110 (the server counts, and tells nobody)
            await asyncio.sleep(0.01)


async def written(peer: Any, slug: str) -> str:
    return str((await ask(peer, f"/count/{slug}/", method="GET", id=99))["data"])


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_repeat_to_another_process(
    both: list[ServerProcess], slug: str, prefix: str
) -> None:
    one, two = both
    url = f"{prefix}write/{slug}/"
    async with opened(one) as peer, opened(two) as other:
        first = await ask(peer, url, key=slug)
        again = await ask(other, url, key=slug)
        assert is_replay(again)
        assert without_mark(again) == first
        assert (await ask(other, url, key=slug, data={}))["status"] == 422
        assert await written(peer, slug) == "1"


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_repeat_while_another_process_runs_it(
    both: list[ServerProcess], steer: redis.Redis, slug: str, prefix: str
) -> None:
    one, two = both
    url = f"{prefix}write/{slug}/?wait"
    before = looks(steer)
    async with opened(one) as peer, opened(two) as other:
        await peer.send(post(url, key=slug))
        await entered(steer, slug)
        await other.send(*(post(url, key=slug, id=number) for number in (2, 3)))
        await looked(steer, before, 3)
        steer.rpush(f"{slug}.go", 1)
        first = await peer.answer(1)
        for number in (2, 3):
            again = await other.answer(number)
            assert is_replay(again)
            assert again["data"] == first["data"]
        assert await written(peer, slug) == "1"


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_cut_between_the_work_and_the_answer(
    both: list[ServerProcess], steer: redis.Redis, slug: str, prefix: str
) -> None:
    one, two = both
    url = f"{prefix}write/{slug}/?wait"
    before = looks(steer)
    async with opened(one) as peer:
        await peer.send(post(url, key=slug))
        await entered(steer, slug)  # its row is written
        peer.abort()
    async with opened(two) as peer:
        await peer.send(post(url, key=slug))
        await looked(steer, before)
        steer.rpush(f"{slug}.go", 1)
        assert is_replay(await peer.answer(1))
        assert await written(peer, slug) == "1"


async def test_duplicates_to_both_at_the_same_moment(both: list[ServerProcess], slug: str) -> None:
    async with opened(both[0]) as peer, opened(both[1]) as other:
        messages = [post(f"/write/{slug}/", key=slug, id=number) for number in range(1, 11)]
        await asyncio.gather(peer.send(*messages), other.send(*messages))
        answers = [await each.answer(number) for each in (peer, other) for number in range(1, 11)]
        assert len({answer["data"]["pid"] for answer in answers}) == 1
        assert sum(map(is_replay, answers)) == 19
        assert await written(peer, slug) == "1"


async def test_the_users_of_real_authenticators(both: list[ServerProcess], slug: str) -> None:
    one, two = both
    url = f"/api-write/{slug}/"
    async with opened(one) as ada, opened(two) as bob, opened(two) as device:
        token = (await ask(ada, "/token/ada/", key=None))["data"]
        await ask(bob, "/token/bob/", key=None)
        by_session = await ask(ada, url)
        assert by_session["data"]["user"] == "ada"
        by_token = await ask(device, url, headers={"authorization": f"Token {token}"})
        assert is_replay(by_token)
        assert by_token["data"] == by_session["data"]
        assert await written(ada, slug) == "1"


async def test_what_a_process_did_that_died_is_not_done_again(
    new_process: Callable[..., ServerProcess], slug: str
) -> None:
    url = f"/write/{slug}/?die"
    mortal = new_process()
    async with opened(mortal) as peer:
        await peer.send(post(url, key=slug))
        assert await asyncio.to_thread(mortal.killed) == signal.SIGKILL
    heir = new_process(WSREQUEST_TEST_WAIT="0.3")
    try:
        async with opened(heir) as peer:
            answer = await ask(peer, url, key=slug)
            assert (answer["status"], answer["data"]["code"]) == (409, "key_busy")
            assert answer["headers"]["retry-after"] == "5"
            assert await written(peer, slug) == "1"
    finally:
        heir.stop()


async def test_what_is_kept_ends_by_itself(
    both: list[ServerProcess], steer: redis.Redis, slug: str
) -> None:
    async with opened(both[0]) as peer:
        await ask(peer, f"/write/{slug}/", key=slug)
    names: list[Any] = list(steer.scan_iter("*wsrequest.key.*"))
    assert len(names) >= 2
    assert all(0 < int(steer.ttl(name)) <= 600 for name in names)
    assert all(len(name) < 120 for name in names)
