"""Every id is answered exactly once, and what has none in its order, whatever happens in whatever order.

A real session on real threads, over a transport in memory. A client in the test keeps its own books.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from django.db import connections
from django.test import override_settings
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.project.gates import Gate, gates
from tests.support.memory import PATIENCE, MemoryConnection, settle
from wsrequest.lifecycle.threads import WorkerPool
from wsrequest.lifecycle.views import any_view_is_async
from wsrequest.session.registry import registry

LIMITS = {
    "MAX_IN_FLIGHT": 2,
    "MAX_QUEUED": 2,
    "MAX_OUTBOX_BYTES": 2000,
    "MESSAGES_PER_SECOND": None,
    "PING_INTERVAL": None,
}

VIEWS = ["gate", "agate", "gated-stream", "agated-stream", "stubborn"]
ids = st.sampled_from([1, 2, 3, "a"])
timeouts = st.sampled_from([None, 1, 3, 60_000])
one_in_four = st.integers(0, 3)  # of what ends the whole story
numbers = count()


class Asked:
    """A message without an id: in which frame it went, and the gate of its view; None where it is to be refused."""

    def __init__(self, frame: int, gate: str | None) -> None:
        self.frame = frame
        self.gate = gate

    def fits(self, message: dict[str, Any]) -> bool:
        if self.gate is None:
            return message["status"] == 400
        return message["status"] in (503, 504) or self.gate in message.get("data", self.gate)


class Books:
    """What a client knows of one id: it was sent in these frames, and so often refused or answered."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.gates: list[str] = []
        self.may_be_refused = 0
        self.settled = 0

    def send(self, frame: int, gate: str) -> None:
        # While an answer is on its way, nobody can know whether its id is free.
        self.may_be_refused += self.settled < len(self.frames)
        self.frames.append(frame)
        self.gates.append(gate)

    def refuse(self) -> None:
        assert self.may_be_refused > 0
        self.may_be_refused -= 1
        self.settle()

    def settle(self) -> None:
        self.settled += 1
        assert self.settled <= len(self.frames), "answered twice"

    def fits(self, message: dict[str, Any]) -> bool:
        if "data" not in message or message["status"] in (499, 503, 504):
            return True  # of a stream, of auth, and what no view has said
        return any(gate in message["data"] for gate in self.gates)


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.overridden = override_settings(WSREQUEST=LIMITS)
        self.overridden.enable()
        self.pool = WorkerPool(3, on_exit=connections.close_all)
        self.peer: MemoryConnection | None = None
        self.negotiated = False
        self.gates: list[Gate] = []
        self.frames = 0
        self.books: dict[int | str, Books] = defaultdict(Books)
        self.in_order: deque[Asked] = deque()
        self.streams: set[int | str | None] = set()
        self.notices: deque[int] = deque()
        self.pings: deque[int] = deque()
        self.gone = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(negotiated=st.booleans())
    def open(self, negotiated: bool) -> None:
        async def opened() -> MemoryConnection:
            await asyncio.to_thread(any_view_is_async)
            offered = ("wsrequest.v1.json",) if negotiated else ()
            peer = MemoryConnection(self.pool, subprotocols=offered)
            if negotiated:
                assert (await peer.transport.pull())["control"] == "hello"
            return peer

        self.negotiated = negotiated
        self.peer = self.run(opened())

    # What the client, the views and the server do.

    def push(self, *messages: dict[str, Any]) -> None:
        self.frames += 1
        self.call(self.peer.transport.push, *messages)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """On the loop, as everything else of the session."""

        async def called() -> None:
            function(*args)

        self.run(called())

    def request(self, id: int | str | None, view: str, timeout: int | None) -> dict[str, Any]:
        gate = Gate()
        gate.name = f"any-order-{next(numbers)}-"
        gates[gate.name] = gate
        self.gates.append(gate)
        message: dict[str, Any] = {"url": f"/{view}/{gate.name}/"}
        if view == "stubborn":
            timeout = 2  # by itself it does not end
        if timeout is not None:
            message["timeout"] = timeout
        if id is None:
            self.in_order.append(Asked(self.frames, gate.name))
            return message
        self.books[id].send(self.frames, gate.name)
        return message | {"id": id}

    @rule(id=st.none() | ids, view=st.sampled_from(VIEWS), timeout=timeouts)
    def ask(self, id: int | str | None, view: str, timeout: int | None) -> None:
        self.push(self.request(id, view, timeout))

    @rule(asked=st.lists(st.tuples(st.none() | ids, st.sampled_from(VIEWS), timeouts), max_size=7))
    def ask_together(self, asked: list[tuple[int | str | None, str, int | None]]) -> None:
        messages = [self.request(*each) for each in asked]
        if len(messages) > 1:
            self.push(*messages, {"pong": 1})
        elif messages:
            self.push(*messages)

    @rule()
    def ask_wrongly(self) -> None:
        self.in_order.append(Asked(self.frames, None))
        self.push({"url": "//elsewhere/"})

    @rule(id=ids)
    def cancel(self, id: int | str) -> None:
        self.push({"cancel": id})

    @rule()
    def ping(self) -> None:
        self.pings.append(self.frames)
        self.push({"ping": self.frames})

    @rule(token=st.none() | st.just("a token"))
    def authenticate(self, token: str | None) -> None:
        self.books["auth"].send(self.frames, "")
        self.books["auth"].may_be_refused = 0  # it is answered at once
        self.push({"id": "auth", "auth": token})

    @precondition(lambda self: self.gates)
    @rule(number=st.integers(0, 9))
    def let_through(self, number: int) -> None:
        self.gates[-1 - number % len(self.gates)].open()

    @rule(from_thread=st.booleans())
    def notify(self, from_thread: bool) -> None:
        async def notified() -> bool:
            websocket = self.peer.session.websocket
            if from_thread:
                return bool(await asyncio.to_thread(websocket.notify, "news", number))
            return bool(websocket.notify("news", number))

        number = next(numbers)
        if self.run(notified()):
            assert self.negotiated
            self.notices.append(number)

    @rule(turns=st.integers(0, 3))
    def time_goes_on(self, turns: int) -> None:
        for _ in range(turns):
            self.run(settle())

    @rule()
    def stall(self) -> None:
        self.call(self.peer.transport.stall)

    @rule()
    def flow(self) -> None:
        self.call(self.peer.transport.flow)

    @rule(delay=st.sampled_from([0.5, 3.0]), chance=one_in_four)
    def go_away(self, delay: float, chance: int) -> None:
        if chance == 0:
            self.call(self.peer.session.go_away, delay)

    @rule(chance=one_in_four)
    def cut_short(self, chance: int) -> None:
        if chance == 0:
            self.call(self.peer.session.cut_short)

    @rule(chance=one_in_four)
    def leave(self, chance: int) -> None:
        if chance == 0:
            self.gone = True
            self.call(self.peer.transport.leave)

    # What must hold.

    @invariant()
    def what_comes_was_asked_for(self) -> None:
        if self.peer is not None:
            for message in self.peer.transport.pulled():
                self.take(message)
            assert self.peer.session.outbox.size < LIMITS["MAX_OUTBOX_BYTES"] + 20 * 400

    def take(self, message: dict[str, Any]) -> None:
        if "control" in message:
            assert self.negotiated
            assert message["control"] == "goaway"
        elif "event" in message:
            assert message["data"] == self.notices.popleft()
        elif "pong" in message:
            assert message["pong"] == self.pings.popleft()
        elif message.get("id", 0) is None:
            assert message["status"] == 409
            self.books[message["data"]["id"]].refuse()
        elif "id" in message:
            books = self.books[message["id"]]
            if self.is_last(message, books):
                books.settle()
        elif self.is_last(message, self.in_order[0]):
            self.in_order.popleft()

    def is_last(self, message: dict[str, Any], asked: Asked | Books) -> bool:
        """An answer, or the end of a stream; and a stream has one head, and only then chunks."""
        key = message.get("id")
        if "chunk" in message:
            assert key in self.streams
            return False
        if "end" in message:
            self.streams.remove(key)
            return True
        assert key not in self.streams
        assert asked.fits(message)
        if "more" in message:
            self.streams.add(key)
            return False
        return True

    def unanswered(self) -> list[int]:
        """The frames of which something was not answered."""
        frames = [asked.frame for asked in self.in_order] + list(self.pings)
        for books in self.books.values():
            frames += books.frames[books.settled :]
        return frames

    def teardown(self) -> None:
        try:
            if self.peer is not None:
                self.run(self.come_to_an_end())
                self.nothing_is_left()
        finally:
            for gate in self.gates:
                gate.open()
                del gates[gate.name]
            self.runner.close()
            self.pool.close(PATIENCE)
            self.overridden.disable()

    async def come_to_an_end(self) -> None:
        transport, session, task = self.peer.transport, self.peer.session, self.peer.task
        transport.flow()
        for gate in self.gates:
            gate.open()
        async with asyncio.timeout(PATIENCE):
            while not task.done() and not self.gone and (self.unanswered() or self.notices):
                await settle()
                self.what_comes_was_asked_for()
            if transport.closed_with == 4200:
                read = self.frames - transport.unread
                assert all(frame >= read for frame in self.unanswered())
            elif transport.closed_with is None:
                assert self.gone or not self.notices
                transport.leave()
            if not self.gone and not self.unanswered():
                assert session.connection.open == set()
                assert not any(session._backlog.get(key) for key in self.books)
            await task
            while session._backlog.running or len(asyncio.all_tasks()) > 1:
                await settle()
        await asyncio.to_thread(
            self.pool.close, PATIENCE
        )  # when views that nobody waits for have ended
        await settle()

    def nothing_is_left(self) -> None:
        session, members = weakref.ref(self.peer.session), len(registry.members)
        assert members == 0
        assert not self.pool.workers
        assert self.peer.transport.closed_with in (None, 4102, 4200)
        self.peer = None
        gc.collect()
        assert session() is None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=25)
