"""The inbox of transports whose libraries call for each frame."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.memory import settle
from wsrequest.transports.opening import INBOX_BYTES, INBOX_FRAMES, Inbox


async def heard(inbox: Inbox) -> str | bytes | None:
    return inbox.frame_in(await inbox.receive())


async def test_frames_come_in_their_order_and_then_the_end() -> None:
    inbox = Inbox()
    assert inbox.put("one")
    assert inbox.put(b"two")
    inbox.hang_up(1001)
    assert [await heard(inbox) for _ in range(4)] == ["one", b"two", None, None]
    assert (inbox.peer_code, inbox.is_over) == (1001, True)


@pytest.mark.parametrize("word", ["a frame", None])
async def test_a_session_waits_for_a_frame_or_for_the_end(word: str | None) -> None:
    inbox = Inbox()
    waiting = asyncio.ensure_future(heard(inbox))
    await settle()
    assert not waiting.done()
    if word is None:
        inbox.hang_up()
    else:
        inbox.put(word)
    assert await waiting == word


@pytest.mark.parametrize(
    "frames", [["x"] * INBOX_FRAMES, ["x" * (INBOX_BYTES - 1), "y"], ["x" * INBOX_BYTES]]
)
@pytest.mark.parametrize("is_read", [True, False])
async def test_it_is_bounded(frames: list[str], is_read: bool) -> None:
    inbox = Inbox()
    for frame in frames:
        await inbox.room()
        assert inbox.put(frame)
    assert not inbox.put("one too many")
    room = asyncio.ensure_future(inbox.room())
    await settle()
    assert not room.done()
    if is_read:
        assert await heard(inbox) == frames[0]
    else:
        inbox.hang_up()
    await room
    assert inbox.put("the next") is is_read
