"""A process that may open no more files and sockets: who is there is served, who comes waits, and it gets over it."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.faults.test_processes import publish, subscriber
from tests.support.client import connect
from tests.support.redis_server import eventually
from tests.support.server import ServerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits another process, and looks into it"),
]

#: For connections to the database, which a thread opens for its first query.
ROOM = 8
CROWD = 40


@pytest.fixture
def limited(new_process: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    server = new_process()
    yield server
    server.kill()  # its event loop may have logged that it could accept nobody


def in_use(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_no_descriptor_is_left(
    both: list[ServerProcess], limited: ServerProcess, log: str
) -> None:
    async with (
        subscriber(limited, log).following() as there,
        connect(limited.ws, origin=limited.http) as peer,
    ):
        pid = (await peer.request("/pid/"))["data"]["pid"]
        before = in_use(pid)
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + ROOM, hard))
        crowd = [await asyncio.open_connection("127.0.0.1", limited.port) for _ in range(CROWD)]
        await asyncio.to_thread(eventually, lambda: in_use(pid) >= before + ROOM)

        newcomer = subscriber(limited, log)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            coming = tasks.create_task(stack.enter_async_context(newcomer.following()))
            for _ in range(20):
                assert (await peer.request("/pid/"))["data"]["pid"] == pid
            await publish(both[0], log, "meanwhile", 20)
            await there.until(lambda: len(there.seen) == 20)
            assert not coming.done()
            for _, writer in crowd:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()
            await coming
            await publish(both[0], log, "after", 1)
            for each in (there, newcomer):
                await each.until(lambda each=each: "after-0" in each.entries)
        heard = [*(f"meanwhile-{number}" for number in range(20)), "after-0"]
        assert [entry for *_, entry in there.seen] == heard
        assert there.losses == []
