"""Heartbeats share one timer: each watch is looked after in its round, and none is left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from wsrequest.conf import Settings
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.json import JSONCodec
from wsrequest.session.watch import Rounds, Watch, rounds_of

PATIENCE = 10.0
HEARTBEAT = 0.02


class Watched:
    """A connection whose watch closes it; ``closed`` is the code."""

    def __init__(self, heartbeat: float = HEARTBEAT) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[int] = loop.create_future()
        self.connection = Connection(
            JSONCodec(), Limits(), negotiated=True, now=loop.time(), ping_interval=heartbeat
        )
        self.watch = Watch(self.connection, Settings(ping_interval=heartbeat), self)
        self.watch.listening = True
        self.watch.start()

    def close(self, code: int) -> None:
        self.watch.stop()
        self.closed.set_result(code)


@pytest.fixture
async def rounds() -> Rounds:
    return rounds_of(asyncio.get_running_loop(), HEARTBEAT)


async def test_all_who_are_silent_are_closed_not_before_two_heartbeats(rounds: Rounds) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    watched = [Watched() for _ in range(20)]
    codes = await asyncio.wait_for(asyncio.gather(*(one.closed for one in watched)), PATIENCE)
    assert codes == [4201] * 20
    assert loop.time() - began >= 2 * HEARTBEAT


async def test_connections_with_the_same_heartbeat_share_a_timer(rounds: Rounds) -> None:
    watched = [Watched(600) for _ in range(3)]
    shared = rounds_of(asyncio.get_running_loop(), 600)
    assert shared is not rounds
    timer = shared._timer
    assert timer is not None
    watched[0].watch.stop()
    watched[1].watch.stop()
    assert shared._timer is timer
    watched[2].watch.stop()
    assert shared._timer is None
    assert timer.cancelled()


async def test_who_has_spoken_is_looked_after_again() -> None:
    loop = asyncio.get_running_loop()
    talker = Watched(600)
    talker.connection.heard(loop.time())
    talker.watch.look()
    assert not talker.closed.done()
    talker.connection.heard(loop.time() - 1201)
    talker.watch.look()
    assert await talker.closed == 4201


async def test_who_left_just_as_his_round_came_is_not_closed(rounds: Rounds) -> None:
    gone = Watched()
    gone.connection.heard(0)
    gone.watch.stop()
    gone.watch.look()
    assert not gone.closed.done()


def test_a_loop_that_is_over_is_not_kept() -> None:
    async def live() -> weakref.ref[asyncio.AbstractEventLoop]:
        Watched().watch.stop()
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(live())
    gc.collect()
    assert loop() is None
