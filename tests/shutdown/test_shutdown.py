"""The drain, and who has SIGTERM when, step by step in this process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import MemoryConnection, connection, settle
from tests.support.server import ServerThread
from wsrequest.errors import ServerLeaving
from wsrequest.session import shutdown as module
from wsrequest.session.registry import registry
from wsrequest.session.shutdown import Shutdown, drain

PATIENCE = 20


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever a test does to signals, this process goes on without it."""
    handler, descriptor = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    yield
    signal.signal(signal.SIGTERM, handler)
    signal.set_wakeup_fd(descriptor)
    registry.closed = False


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown()


class Server:
    """Stands for the server: hears SIGTERM in one of the two ways that there are."""

    def __init__(self, *, by_loop: bool = False) -> None:
        self.heard = 0
        self._hears = asyncio.Event()
        if by_loop:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._hear)
        else:
            signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, *_: Any) -> None:
        self.heard += 1
        self._hears.set()

    async def hears(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._hears.wait()
        self._hears.clear()


async def busy(peer: MemoryConnection, gate: Gate) -> None:
    peer.transport.push({"id": 1, "url": f"/agate/{gate.name}/"})
    await gate.entered.reached()


async def said(peer: MemoryConnection) -> str:
    """The name of the next control message."""
    name: str = (await peer.transport.pull())["control"]
    return name


def on(make_loop: Callable[[], asyncio.AbstractEventLoop], test: Any) -> None:
    """Run the test's coroutine in the main thread, on a loop of this kind."""
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(test)


loops = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
ways = pytest.mark.parametrize("by_loop", [False, True])


@loops
@ways
def test_the_signal_is_held_back_until_all_is_answered(
    make_loop: Any, by_loop: bool, shutdown: Shutdown, gate: Gate
) -> None:
    async def test() -> None:
        server = Server(by_loop=by_loop)
        before = signal.getsignal(signal.SIGTERM)
        shutdown.watch()
        async with connection() as peer:
            await busy(peer, gate)
            signal.raise_signal(signal.SIGTERM)
            assert await said(peer) == "goaway"
            await settle()
            assert server.heard == 0
            with pytest.raises(ServerLeaving):
                async with connection():
                    pass
            gate.open()
            assert (await peer.transport.pull())["data"] == f"through {gate.name}"
            await peer.task
            assert peer.transport.closed_with == 4200
            assert server.heard == 0
            await server.hears()
        assert server.heard == 1
        assert signal.getsignal(signal.SIGTERM) == before
        signal.raise_signal(signal.SIGTERM)  # nobody stands before the server any more
        await server.hears()
        assert server.heard == 2

    on(make_loop, test())


@loops
@ways
def test_a_second_signal_is_handed_on_at_once(
    make_loop: Any, by_loop: bool, shutdown: Shutdown, gate: Gate
) -> None:
    async def test() -> None:
        server = Server(by_loop=by_loop)
        shutdown.watch()
        async with connection() as peer:
            await busy(peer, gate)
            signal.raise_signal(signal.SIGTERM)
            assert await said(peer) == "goaway"
            signal.raise_signal(signal.SIGTERM)
            await server.hears()
            assert (await peer.transport.pull())["data"]["code"] == "shut_down"
            await peer.task
            assert peer.transport.closed_with == 4200
            await shutdown.lifespan_ends()  # waits for the drain to end, which hands nothing on
            assert server.heard == 1

    on(make_loop, test())


@loops
@ways
def test_without_connections_it_is_handed_on_at_once(
    make_loop: Any, by_loop: bool, shutdown: Shutdown
) -> None:
    async def test() -> None:
        server = Server(by_loop=by_loop)
        shutdown.watch()
        signal.raise_signal(signal.SIGTERM)
        await server.hears()

    on(make_loop, test())


@loops
def test_other_signals_reach_the_loop(make_loop: Any, shutdown: Shutdown, gate: Gate) -> None:
    async def test() -> None:
        server, other = Server(by_loop=True), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, other.set)
        shutdown.watch()
        async with connection() as peer:
            await busy(peer, gate)
            signal.raise_signal(signal.SIGUSR1)
            async with asyncio.timeout(PATIENCE):
                await other.wait()
            signal.raise_signal(signal.SIGTERM)
            assert await said(peer) == "goaway"
            other.clear()
            signal.raise_signal(signal.SIGUSR1)
            async with asyncio.timeout(PATIENCE):
                await other.wait()
            assert server.heard == 0
            gate.open()
            await server.hears()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)

    on(make_loop, test())


async def test_the_servers_handler_comes_even_where_the_drain_fails(
    shutdown: Shutdown, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    shutdown.watch()
    async with connection():
        settings.WSREQUEST = {"GRACE_TIME": "soon"}
        signal.raise_signal(signal.SIGTERM)
        await server.hears()
    assert "could not be drained" in caplog.text


async def test_a_handler_that_came_later_is_left_alone(shutdown: Shutdown, gate: Gate) -> None:
    Server()
    shutdown.watch()
    latest = Server()
    shutdown.watch()
    async with connection() as peer:
        await busy(peer, gate)
        signal.raise_signal(signal.SIGTERM)
        await latest.hears()
        await settle()
        assert not peer.task.done()
    await shutdown.lifespan_ends()
    signal.raise_signal(signal.SIGTERM)
    assert latest.heard == 2


async def test_where_sigterm_is_ignored_it_stays_so(shutdown: Shutdown) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    shutdown.watch()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


async def test_nothing_happens_outside_the_main_thread(shutdown: Shutdown) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def watch() -> None:
        shutdown.watch()
        await shutdown.lifespan_ends()

    await asyncio.to_thread(asyncio.run, watch())
    assert signal.getsignal(signal.SIGTERM) == before


def test_one_server_after_another_in_a_process(shutdown: Shutdown) -> None:
    """The first one may have left our handler where it was: it is not taken for the second one's."""

    async def test() -> None:
        server = Server()
        shutdown.watch()
        async with connection() as peer:
            signal.raise_signal(signal.SIGTERM)
            assert await said(peer) == "goaway"
            await server.hears()
            assert server.heard == 1

    async def unstopped() -> None:
        shutdown.watch()

    on(asyncio.new_event_loop, test())
    on(asyncio.new_event_loop, unstopped())
    on(uvloop.new_event_loop, unstopped())
    on(asyncio.new_event_loop, test())


def test_a_loop_that_has_ended_drains_nothing(shutdown: Shutdown) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))

    async def test() -> None:
        shutdown.watch()

    on(uvloop.new_event_loop, test())
    registry.members.add(gone := Gone())
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        registry.members.discard(gone)
    assert heard == [signal.SIGTERM]


class Gone:
    """A connection that was lost with its loop."""

    address = identity = None

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.close()

    def go_away(self, delay: float) -> None:
        raise AssertionError

    def cut_short(self) -> None:
        raise AssertionError


async def test_lifespan_waits_for_the_connections_of_its_own_loop(
    server: ServerThread, shutdown: Shutdown, gate: Gate
) -> None:
    async with connect(server.ws) as elsewhere, connection() as here:
        await busy(here, gate)
        ends = asyncio.create_task(shutdown.lifespan_ends())
        assert await said(here) == "goaway"
        await settle()
        assert not ends.done()
        gate.open()
        await ends
        assert here.task.done()
        assert here.transport.closed_with == 4200
        await elsewhere.still_answers()


async def test_lifespan_waits_for_a_drain_that_has_begun(shutdown: Shutdown, gate: Gate) -> None:
    """The server was in a hurry, and did not wait for the signal to be handed on."""
    server = Server()
    shutdown.watch()
    async with connection() as peer:
        await busy(peer, gate)
        signal.raise_signal(signal.SIGTERM)
        assert await said(peer) == "goaway"
        ends = asyncio.create_task(shutdown.lifespan_ends())
        await settle()
        assert not ends.done()
        gate.open()
        await ends
        assert peer.transport.closed_with == 4200
    assert server.heard == 0


async def test_each_connection_is_told_on_its_own_loop(server: ServerThread, gate: Gate) -> None:
    other = ServerThread().start()
    try:
        async with connect(server.ws) as first, connect(other.ws) as second, connection() as third:
            await busy(third, gate)
            drained = asyncio.create_task(drain(set(registry.members)))
            assert await first.close_code() == await second.close_code() == 4200
            assert await said(third) == "goaway"
            gate.open()
            await drained
            assert third.task.done()
    finally:
        other.stop()


async def test_nobody_waits_for_ever(
    gate: Gate,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer that takes no frame, and a loop that has ended, too."""
    monkeypatch.setattr(module, "LAST_WORDS_TIME", 0.05)
    settings.WSREQUEST = {"GRACE_TIME": 0.05}
    registry.members.add(gone := Gone())
    try:
        async with connection() as peer:
            await busy(peer, gate)
            peer.transport.stall()
            with caplog.at_level(logging.INFO, "wsrequest"):
                await drain(set(registry.members))
            assert not peer.task.done()
            peer.transport.flow()
            assert await said(peer) == "goaway"
            assert (await peer.transport.pull())["data"]["code"] == "shut_down"
            await peer.task
            assert peer.transport.closed_with == 4200
    finally:
        registry.members.discard(gone)
    assert "2 connection(s) are to go" in caplog.text
    assert "2 connection(s) are cut short" in caplog.text


async def test_delays_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr(module, "RETURNS_PER_SECOND", 0.001)
    async with connection() as peer:
        await drain({peer.session})
        goaway = await peer.transport.pull()
    assert 0 <= goaway["data"]["delay"] <= module.LONGEST_DELAY


def test_a_forked_process_ends_as_if_we_were_not_there() -> None:
    """And the process that it was forked from does not hear of it."""
    script = """
        import asyncio, os, signal, sys
        from wsrequest.session.registry import registry
        from wsrequest.session.shutdown import Shutdown

        class Member:
            address = identity = None
            def go_away(self, delay):
                sys.exit("a child's signal drained the parent's connections")

        async def main():
            loop = asyncio.get_running_loop()
            if sys.argv[1] == "loop":
                loop.add_signal_handler(signal.SIGTERM, sys.exit, "the parent has heard it")
            else:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            Shutdown().watch()
            member = Member()
            member.loop = loop
            registry.members.add(member)
            child = os.fork()
            if child == 0:
                signal.raise_signal(signal.SIGTERM)
                os._exit(7)  # where a handler of the loop had it: it knows nothing of forks
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            await asyncio.sleep(0.05)
            print(os.waitstatus_to_exitcode(status))

        asyncio.run(main())
    """
    for way, code in (("function", -signal.SIGTERM), ("loop", 7)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), way],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.project.settings"},
        )
        assert (done.returncode, done.stdout.strip()) == (0, str(int(code))), done.stderr
