"""Two processes, one Valkey: one order; and what subscribers see when a part of it dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.faults.client import PATIENCE, Subscriber, in_one_order, write
from tests.faults.conftest import LONG
from tests.faults.proxy import Proxy
from tests.support.client import connect
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 if LONG else 180)]

#: Seconds within which subscribers are to know that something may be lost. Without the long form nothing is known of
#: how busy the machine is.
TOLD_WITHIN = 5.0 if LONG else PATIENCE

#: Events that a client is behind before nobody publishes more: they fit between two cuts that are far apart.
MOST_BEHIND = 100


def subscriber(server: ServerProcess, log: str, port: int | None = None) -> Subscriber:
    address = f"ws://127.0.0.1:{port or server.port}/ws/"
    return Subscriber(address, f"http://127.0.0.1:{port or server.port}", log)


async def publish(server: ServerProcess, log: str, name: str, number: int) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        for each in range(number):
            assert await write(peer, log, f"{name}-{each}") == 200


async def test_eight_publishers_of_two_processes_make_one_order(
    both: list[ServerProcess], log: str
) -> None:
    number = 200 if LONG else 25
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(both[each % 2], log) for each in range(6)]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        await asyncio.gather(
            *(publish(both[each % 2], log, f"p{each}", number) for each in range(8))
        )
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == 8 * number)
    order = in_one_order(subscribers)
    assert all(each.seen == subscribers[0].seen for each in subscribers)
    assert all(each.losses == [] for each in subscribers)
    for publisher in range(8):
        own = [entry for _, entry in sorted(order.items()) if entry.startswith(f"p{publisher}-")]
        assert own == [f"p{publisher}-{each}" for each in range(number)]


async def test_a_broker_that_is_killed_and_comes_back_empty(
    both: list[ServerProcess], valkey: RedisServer, log: str
) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(each, log) for each in both]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        await publish(both[0], log, "before", 3)
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == 3)
        epochs = {each.epoch for each in subscribers}
        killed = loop.time()
        valkey.kill()
        try:
            for each in subscribers:
                await each.until(lambda each=each: bool(each.losses))
                assert each.losses[0][0] - killed < TOLD_WITHIN
            async with connect(both[0].ws, origin=both[0].http) as peer:
                assert await write(peer, log, "meanwhile-0") == 200  # its event is for nobody
        finally:
            await asyncio.to_thread(valkey.start)
        for each in subscribers:
            await each.until(lambda each=each: not each.in_loss)
        await publish(both[1], log, "after", 3)
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == 6)
    in_one_order(subscribers)
    for each in subscribers:
        assert len(each.losses) == 1
        assert each.epoch not in epochs
        assert len(each.entries) == 7  # the one that nobody was told of, too


async def test_a_broker_that_stalls(
    both: list[ServerProcess], valkey: RedisServer, log: str
) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(each, log) for each in both]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        with valkey.stalled():
            stalled = loop.time()
            for each in subscribers:
                await each.until(lambda each=each: bool(each.losses))
                assert each.losses[0][0] - stalled < TOLD_WITHIN
        for each in subscribers:
            await each.until(lambda each=each: not each.in_loss)
        await publish(both[1], log, "after", 2)
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == 2)
            assert [why for _, why in each.losses] == ["broker"]


async def test_connections_to_the_broker_that_are_cut(
    both: list[ServerProcess], valkey: RedisServer, log: str
) -> None:
    """The history has what was missed: nobody is told of a loss, as there is none."""
    number = 200 if LONG else 40
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(each, log) for each in both]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        publishing = asyncio.create_task(publish(both[0], log, "p", number))
        while not publishing.done():
            await asyncio.to_thread(valkey.ask, "CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.wait((publishing,), timeout=0.2)
        await publishing
        for each in subscribers:
            await each.until(lambda each=each: len(each.entries) == number)
            assert [entry for *_, entry in each.seen] == [f"p-{each}" for each in range(number)]
            assert each.losses == []


async def test_a_worker_that_is_killed_while_it_broadcasts(
    both: list[ServerProcess], new_process: Callable[..., ServerProcess], log: str
) -> None:
    mortal = await asyncio.to_thread(new_process)
    number = 120 if LONG else 40
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(mortal, log) for _ in range(5)]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        async with connect(mortal.ws, origin=mortal.http) as peer:
            pid = (await peer.request("/pid/"))["data"]["pid"]
        publishing = asyncio.create_task(publish(both[0], log, "p", number))
        await subscribers[0].until(lambda: len(subscribers[0].seen) > 5)
        for each in subscribers:  # their balancer leads them elsewhere
            each.address, each.origin = both[1].ws, both[1].http
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.to_thread(mortal.killed) == signal.SIGKILL
        await publishing
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == number)
            assert each.recovered >= 1
            assert each.begun_anew == 0
    in_one_order(subscribers)


async def test_a_worker_that_is_stopped_for_a_while(both: list[ServerProcess], log: str) -> None:
    """It has lost nothing, and nobody is closed for what he could not say meanwhile."""
    seconds = 30 if LONG else 3
    async with AsyncExitStack() as stack:
        subscribers = [subscriber(each, log) for each in both]
        for each in subscribers:
            await stack.enter_async_context(each.following())
        peer = await stack.enter_async_context(connect(both[1].ws, origin=both[1].http))
        pid = (await peer.request("/pid/"))["data"]["pid"]
        await publish(both[0], log, "before", 3)
        os.kill(pid, signal.SIGSTOP)
        try:
            await peer.send({"id": 2, "url": "/pid/"})
            await publish(both[0], log, "meanwhile", 20)
            await subscribers[0].until(lambda: len(subscribers[0].seen) == 23)
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert (await peer.answer(2))["data"]["pid"] == pid
        await publish(both[1], log, "after", 3)
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) == 26)
    in_one_order(subscribers)
    for each in subscribers:
        assert (each.losses, each.begun_anew, each.recovered) == ([], 0, 0)


async def test_clients_whose_connections_drop_again_and_again(
    both: list[ServerProcess], log: str, chance: random.Random
) -> None:
    """2 s at a time; the history is long enough: each of them gets everything, once."""
    clients, seconds, away = (50, 60, 2.0) if LONG else (12, 3, 0.5)
    drops = clients * (25 if LONG else 4)
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(Proxy(each.port).running()) for each in both]
        subscribers = []
        for each in range(clients):
            server = both[each % 2]
            # By way of a proxy, whose Host and Origin are its own.
            subscribers.append(subscriber(server, log, proxies[each % 2].port))
            subscribers[-1].pause = lambda: chance.uniform(0.5, 1) * away
        for each in subscribers:
            await stack.enter_async_context(each.following())

        async def drop() -> None:
            for number in range(1, drops + 1):
                await asyncio.sleep(seconds / drops)
                chance.choice(subscribers).drop()
                if number % (2 * clients) == 0:
                    chance.choice(proxies).cut()

        async def go_on(server: ServerProcess, name: str) -> int:
            number = 0
            async with connect(server.ws, origin=server.http) as peer:
                while not dropping.done():
                    assert await write(peer, log, f"{name}-{number}") == 200
                    number += 1
                    await asyncio.sleep(0.02)
            return number

        dropping = asyncio.create_task(drop())
        written = await asyncio.gather(
            *(go_on(server, f"p{each}") for each, server in enumerate(both))
        )
        await dropping
        for each in subscribers:
            await each.until(lambda each=each: len(each.seen) >= sum(written))
    order = in_one_order(subscribers)
    assert len(order) == sum(written)
    for each in subscribers:
        assert [entry for *_, entry in each.seen] == [entry for _, entry in sorted(order.items())]
        assert each.entries == set(order.values())
        assert each.begun_anew == 0
        assert each.losses == []
    assert sum(each.recovered for each in subscribers) > clients


async def test_connections_that_are_cut_at_a_random_byte(
    both: list[ServerProcess], log: str, chance: random.Random
) -> None:
    cuts = 1_000 if LONG else 25
    log = f"brief-{log}"
    async with Proxy(both[0].port).running() as proxy:
        each = subscriber(both[0], log, proxy.port)
        each.pause = lambda: 0.0
        async with each.following():
            proxy.allowance = lambda: chance.randrange(1, chance.choice(9 * [2_000] + [20_000]))
            each.drop()
            number = 0
            async with connect(both[1].ws, origin=both[1].http) as peer:
                while (found := proxy.cuts) < cuts:
                    if number - len(each.seen) < MOST_BEHIND:
                        assert await write(peer, log, f"p-{number}") == 200
                        number += 1
                    else:  # it gets on, or is cut off again
                        seen = len(each.seen)
                        await each.until(
                            lambda at=(found, seen): (proxy.cuts, len(each.seen)) != at
                        )
            proxy.allowance = None
            await each.until(lambda: len(each.seen) == number)
        assert [entry for *_, entry in each.seen] == [f"p-{n}" for n in range(number)]
        assert each.begun_anew == 0
        assert each.losses == []


async def test_a_history_that_is_too_short_is_told(both: list[ServerProcess], log: str) -> None:
    log = f"short-{log}"
    each = subscriber(both[0], log)
    async with each.following():
        await publish(both[1], log, "before", 2)
        await each.until(lambda: len(each.seen) == 2)
        each.pause = lambda: 1.0
        each.drop()
        await publish(both[1], log, "meanwhile", 5)
        await each.until(lambda: each.begun_anew == 1)
        assert len(each.entries) == 7
        await publish(both[1], log, "after", 1)
        await each.until(lambda: len(each.seen) == 3)
