"""One task writes for all connections, as long as it need not wait for one of them."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context

import pytest

from tests.support.memory import PATIENCE, settle
from wsrequest.conf import get_settings
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.json import JSONCodec
from wsrequest.session import terms
from wsrequest.session.watch import Watch
from wsrequest.session.writer import AT_ONCE, Pen, Surrounded, Writers

place: ContextVar[str] = ContextVar("place", default="nowhere")


class Transport:
    """Takes a frame unless it is ``stalled``."""

    peer_code = None

    def __init__(self) -> None:
        self.flows = asyncio.Event()
        self.flows.set()
        self.frames: list[str | bytes] = []
        #: Where it was called, where it went on, and by which tasks.
        self.places: list[str] = []
        self.tasks: list[asyncio.Task[None] | None] = []
        self.cancelled = 0
        self.error: Exception | None = None

    async def send(self, frame: str | bytes) -> None:
        self._note()
        place.set("set by a transport")
        try:
            async with asyncio.timeout(PATIENCE):
                await self.flows.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        self._note()
        self.frames.append(frame)

    def _note(self) -> None:
        self.places.append(place.get())
        self.tasks.append(asyncio.current_task())


class Session:
    """What is written for."""

    id = "a"

    def __init__(self, writers: Writers, context: Context | None = None) -> None:
        self.connection = Connection(
            JSONCodec(), terms.limits(get_settings()), negotiated=True, now=0.0, ping_interval=None
        )
        self.transport = Transport()
        self.watch = Watch(self.connection, get_settings(), self)
        self.gone = False
        self.times_written = 0
        sender = self.transport if context is None else Surrounded(context, self.transport)
        self.outbox = Pen(self, sender, None, limit=2**20, merge=True)
        self.outbox.attend(writers)

    def written(self) -> None:
        self.times_written += 1

    def forsake(self) -> None:
        self.gone = True

    def close(self, code: int) -> None: ...


@pytest.fixture
async def writers() -> Writers:
    return Writers(asyncio.get_running_loop())


async def test_one_task_writes_for_many(writers: Writers) -> None:
    sessions = [Session(writers) for _ in range(3)]
    for session in sessions:
        session.outbox.put(b"{}")
    await settle()
    assert [session.transport.frames for session in sessions] == [["{}"]] * 3
    assert len({session.transport.tasks[0] for session in sessions}) == 1


async def test_the_same_messages_share_a_frame(writers: Writers) -> None:
    sessions = [Session(writers) for _ in range(2)]
    for session in sessions:
        session.outbox.put(b'{"id":1}')
        session.outbox.put(b'{"id":2}')
    await settle()
    one, other = (session.transport.frames for session in sessions)
    assert one == other == ['[{"id":1},{"id":2}]']
    assert one[0] is other[0]


async def test_other_messages_have_other_frames(writers: Writers) -> None:
    sessions = [Session(writers) for _ in range(4)]
    for number, session in enumerate(sessions):
        session.outbox.put(b"%d" % (number // 2))
    await settle()
    assert [session.transport.frames for session in sessions] == [["0"], ["0"], ["1"], ["1"]]


async def test_who_does_not_read_holds_up_nobody(writers: Writers) -> None:
    stalled, reading = [Session(writers) for _ in range(3)], Session(writers)
    for session in stalled:
        session.transport.flows.clear()
    for number in range(2):
        for session in (*stalled, reading):
            session.outbox.put(b"%d" % number)
        await settle()
        assert reading.transport.frames == ["0", "1"][: number + 1]
    assert len({session.outbox.task for session in stalled}) == 3  # each is waited for by its own
    assert reading.outbox.task is None
    for session in stalled:
        session.transport.flows.set()
    await settle()
    for session in stalled:
        assert session.transport.frames == ["0", "1"]
        assert session.outbox.task is None


async def test_a_writer_that_had_to_wait_may_have_to_wait_again(writers: Writers) -> None:
    session = Session(writers)
    for message in (b"0", b"1"):
        session.transport.flows.clear()
        session.outbox.put(message)
        await settle()
        assert session.outbox.task is not None
        session.transport.flows.set()
        await settle()
    assert session.transport.frames == ["0", "1"]


async def test_it_is_known_since_when_a_transport_is_waited_for(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Watch, "sending", lambda _: said.append("sending"))
    monkeypatch.setattr(Watch, "sent", lambda _: said.append("sent"))
    session = Session(writers)
    session.outbox.put(b"0")
    await settle()
    assert said == []  # it did not wait
    session.transport.flows.clear()
    session.outbox.put(b"1")
    await settle()
    assert said == ["sending"]
    session.transport.flows.set()
    await settle()
    assert said == ["sending", "sent"]


async def test_who_is_leaving_is_told_of_each_frame(writers: Writers) -> None:
    session = Session(writers)
    session.outbox.put(b"0")
    await settle()
    assert session.times_written == 0  # there was room
    session.outbox.leaving = True
    session.outbox.put(b"1")
    await settle()
    assert session.times_written == 1


async def test_stopping_ends_the_waiting_and_nothing_else(writers: Writers) -> None:
    stopped, other = Session(writers), Session(writers)
    stopped.transport.flows.clear()
    for session in (stopped, other):
        session.outbox.put(b"0")
    await settle()
    stopped.outbox.stop()
    await settle()
    other.outbox.put(b"1")
    await settle()
    assert stopped.transport.cancelled == 1
    assert stopped.transport.frames == []
    assert other.transport.frames == ["0", "1"]


async def test_who_was_stopped_before_his_turn_is_sent_nothing(writers: Writers) -> None:
    stopped, other = Session(writers), Session(writers)
    for session in (stopped, other):
        session.outbox.put(b"0")
    stopped.outbox.stop()
    await settle()
    assert stopped.transport.frames == []
    assert other.transport.frames == ["0"]


@pytest.mark.parametrize("stalled", [False, True])
async def test_a_transport_that_is_gone_is_given_up(writers: Writers, stalled: bool) -> None:
    session, other = Session(writers), Session(writers)
    if stalled:
        session.transport.flows.clear()
    session.transport.error = ConnectionResetError()
    for each in (session, other):
        each.outbox.put(b"0")
    await settle()
    assert session.gone is not stalled
    session.transport.flows.set()
    other.outbox.put(b"1")
    await settle()
    assert session.gone
    assert session.outbox.task is None
    assert other.transport.frames == ["0", "1"]


async def test_many_are_written_for_in_turns(writers: Writers) -> None:
    sessions = [Session(writers) for _ in range(2 * AT_ONCE)]
    for session in sessions:
        session.outbox.put(b"0")
    written: list[int] = []

    def count() -> None:
        written.append(sum(bool(session.transport.frames) for session in sessions))
        if written[-1] < len(sessions):
            asyncio.get_running_loop().call_soon(count)

    asyncio.get_running_loop().call_soon(count)
    await settle()
    assert AT_ONCE in written
    assert written[-1] == 2 * AT_ONCE


@pytest.mark.parametrize("stalled", [False, True])
async def test_a_transport_is_called_in_the_context_of_its_connection(
    writers: Writers, stalled: bool
) -> None:
    context = copy_context()
    context.run(place.set, "here")
    session, bare = Session(writers, context), Session(writers)
    for message in (b"0", b"1"):
        for each in (session, bare):
            if stalled:
                each.transport.flows.clear()
            each.outbox.put(message)
        await settle()
        for each in (session, bare):
            each.transport.flows.set()
        await settle()
    transport = session.transport
    assert transport.frames == ["0", "1"]
    assert transport.places == ["here", "set by a transport"] * 2
    assert transport.tasks[0] is transport.tasks[1]  # to itself, one task from beginning to end
    assert context[place] == "here"


async def test_a_context_of_its_own_does_not_hide_a_cancellation(writers: Writers) -> None:
    context = copy_context()
    context.run(place.set, "here")
    session = Session(writers, context)
    session.transport.flows.clear()
    session.outbox.put(b"0")
    await settle()
    session.outbox.stop()
    await settle()
    assert session.transport.cancelled == 1
    assert session.transport.frames == []
