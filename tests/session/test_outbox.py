"""What waits for one connection is bounded in bytes."""

from __future__ import annotations

import asyncio

import pytest

from wsrequest.session.outbox import Outbox


class Writer:
    calls = 0

    def call(self, outbox: Outbox) -> None:
        self.calls += 1


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
async def outbox(writer: Writer) -> Outbox:
    attended = Outbox(10)
    attended.attend(writer)
    return attended


def take(outbox: Outbox, most: int) -> list[bytes]:
    outbox.most = most
    messages = outbox.take()
    assert messages != []
    if isinstance(messages, list):
        assert len(messages) > 1  # one stands alone
        return messages
    return [] if messages is None else [messages]


async def is_blocked(work: asyncio.Task[object]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not work.done()


async def test_messages_keep_their_order(outbox: Outbox) -> None:
    for message in (b"a", b"b", b"c"):
        outbox.put(message)
    assert take(outbox, 0) == [b"a"]
    outbox.sent()
    assert take(outbox, 100) == [b"b", b"c"]


async def test_a_writer_is_called_once_for_each_frame(outbox: Outbox, writer: Writer) -> None:
    assert writer.calls == 0
    outbox.put(b"a")
    outbox.put(b"b")
    assert writer.calls == 1
    assert take(outbox, 100) == [b"a", b"b"]
    outbox.put(b"c")
    assert writer.calls == 1  # the frame has not gone
    outbox.sent()
    assert writer.calls == 2
    assert take(outbox, 100) == [b"c"]
    outbox.sent()
    assert writer.calls == 2
    outbox.put(b"d")
    assert writer.calls == 3


async def test_a_writer_is_called_for_what_was_there_before(writer: Writer) -> None:
    outbox = Outbox(10)
    outbox.put(b"a")
    outbox.attend(writer)
    assert writer.calls == 1


async def test_nobody_is_called_once_nothing_more_is_to_be_written(
    outbox: Outbox, writer: Writer
) -> None:
    outbox.attend(None)
    outbox.put(b"a")
    assert writer.calls == 0


async def test_a_writer_that_was_called_before_gets_nothing_once_nothing_is_to_be_written(
    outbox: Outbox,
) -> None:
    outbox.put(b"a")
    outbox.attend(None)
    assert take(outbox, 100) == []


async def test_what_is_left_calls_nobody_once_nothing_more_is_to_be_written(
    outbox: Outbox, writer: Writer
) -> None:
    outbox.put(b"a")
    outbox.put(b"b")
    assert take(outbox, 0) == [b"a"]
    outbox.attend(None)
    outbox.sent()
    assert writer.calls == 1


@pytest.mark.parametrize(("most", "taken"), [(0, 1), (3, 1), (4, 2), (5, 2), (6, 3), (100, 3)])
async def test_take_keeps_within_its_bytes_but_takes_one_at_least(
    outbox: Outbox, most: int, taken: int
) -> None:
    for _ in range(3):
        outbox.put(b"aa")
    assert len(take(outbox, most)) == taken


async def test_full_at_the_limit_until_it_was_sent(outbox: Outbox) -> None:
    outbox.put(b"x" * 9)
    assert not outbox.full
    outbox.put(b"x")
    assert outbox.full
    take(outbox, 100)
    assert outbox.full  # the writer has it in hand
    waiting = asyncio.create_task(outbox.room())
    assert await is_blocked(waiting)
    assert outbox.sent()
    await waiting
    assert outbox.size == 0


async def test_what_was_sent_of_an_outbox_that_was_not_full_makes_no_room(outbox: Outbox) -> None:
    outbox.put(b"x" * 9)
    take(outbox, 100)
    assert not outbox.sent()


async def test_everybody_who_waits_for_room_is_told(outbox: Outbox) -> None:
    outbox.put(b"x" * 10)
    waiting = [asyncio.create_task(outbox.room()) for _ in range(3)]
    assert await is_blocked(waiting[0])
    take(outbox, 100)
    outbox.sent()
    await asyncio.gather(*waiting)


async def test_put_never_waits_nor_loses(outbox: Outbox) -> None:
    for _ in range(5):
        outbox.put(b"x" * 10)
    assert outbox.size == 50
    assert len(take(outbox, 1000)) == 5


async def test_after_discard_nothing_is_kept_and_nobody_waits(outbox: Outbox) -> None:
    outbox.put(b"x" * 20)
    waiting = asyncio.create_task(outbox.room())
    assert await is_blocked(waiting)
    outbox.discard()
    await waiting
    outbox.put(b"x" * 20)
    assert outbox.size == 0
    assert not outbox.full
    await outbox.room()


async def test_what_was_in_hand_at_discard_leaves_no_trace(outbox: Outbox) -> None:
    outbox.put(b"x" * 20)
    take(outbox, 100)
    outbox.discard()
    outbox.sent()
    assert outbox.size == 0
