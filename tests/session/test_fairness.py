"""A frame with very many messages does not keep the event loop to itself."""

from __future__ import annotations

from tests.support.memory import connection
from wsrequest.session.session import EVENTS_AT_ONCE

MANY = 20 * EVENTS_AT_ONCE


async def test_others_have_their_turn_while_a_long_array_is_read():
    async with connection() as peer:
        peer.transport.push(*({"ping": number} for number in range(MANY)))
        answers, longest = [], 0
        while len(answers) < MANY:
            frame = await peer.transport.pull()
            messages = frame if isinstance(frame, list) else [frame]
            longest = max(longest, len(messages))
            answers += messages
        assert [answer["pong"] for answer in answers] == list(range(MANY))
        # The writer is one of those who wait for their turn.
        assert longest <= EVENTS_AT_ONCE
