"""A broker that can't be heard, and does not say so. Only in the long form: it takes a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.faults.proxy import Proxy
from tests.faults.test_processes import TOLD_WITHIN, publish, subscriber
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess


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
