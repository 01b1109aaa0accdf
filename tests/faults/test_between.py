"""What becomes of the way between a process and its broker. Only in the long form: each takes a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.faults.proxy import Proxy
from tests.faults.test_processes import TOLD_WITHIN, publish, subscriber
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_a_black_hole_of_three_seconds_in_which_the_last_event_is_lost(
    both: list[ServerProcess],
    new_process: Callable[..., ServerProcess],
    valkey: RedisServer,
    log: str,
) -> None:
    async with Proxy(valkey.port).running() as proxy:
        apart = await asyncio.to_thread(new_process, proxy.port)
        try:
            async with subscriber(apart, log).following() as there:
                loop = asyncio.get_running_loop()
                proxy.stall()
                stalled = loop.time()
                loop.call_later(3, proxy.flow)
                await publish(both[0], log, "last", 1)
                await there.until(lambda: bool(there.seen or there.losses), TOLD_WITHIN)
                assert loop.time() - stalled < TOLD_WITHIN
                await there.until(lambda: "last-0" in there.entries and not there.in_loss)
                await publish(both[0], log, "next", 1)
                await there.until(lambda: "next-0" in there.entries)
                assert [entry for *_, entry in there.seen][-1] == "next-0"
        finally:
            await asyncio.to_thread(apart.stop)


async def test_a_replica_takes_over_that_has_not_heard_of_the_last_events(
    new_process: Callable[..., ServerProcess], valkey: RedisServer, log: str
) -> None:
    async with Proxy(valkey.port).running() as proxy:
        with RedisServer(repl_diskless_sync_delay=0) as replica:
            await asyncio.to_thread(replica.follow, valkey)
            apart = await asyncio.to_thread(new_process, proxy.port)
            try:
                async with subscriber(apart, log).following() as there:
                    await publish(apart, log, "known", 2)
                    await asyncio.to_thread(replica.follow, valkey)
                    await publish(apart, log, "known-too", 1)
                    await asyncio.to_thread(replica.catch_up, valkey)
                    await asyncio.to_thread(replica.take_over)
                    await publish(apart, log, "not", 2)
                    await there.until(lambda: len(there.entries) == 5)
                    epoch = there.epoch
                    proxy.target = replica.port
                    proxy.cut()
                    await there.until(lambda: bool(there.losses) and not there.in_loss)
                    assert there.epoch != epoch
                    await publish(apart, log, "after", 3)
                    await there.until(lambda: len(there.entries) == 8)
                    assert [entry for *_, entry in there.seen][-3:] == [
                        f"after-{n}" for n in range(3)
                    ]
            finally:
                await asyncio.to_thread(apart.stop)
