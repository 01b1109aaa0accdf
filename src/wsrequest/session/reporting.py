"""Telling ``manage.py wslive``, which runs in a process of its own, what is live on an event loop."""

from __future__ import annotations

import asyncio
import secrets

from wsrequest.errors import BrokerUnavailable
from wsrequest.livequery.queries import Queries
from wsrequest.livequery.report import parts
from wsrequest.push.hub import Hub
from wsrequest.push.publication import LiveAsked

#: Who is answered at the same time; one more is not.
MOST = 4


class Reporter:
    """One for each event loop that has connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queries: Queries, hub: Hub) -> None:
        self._loop = loop
        self._name = secrets.token_hex(8)
        self._queries = queries
        self._hub = hub
        self._answers: set[asyncio.Task[None]] = set()

    def answer(self, asked: LiveAsked) -> None:
        """Soon."""
        if len(self._answers) < MOST:
            answer = self._loop.create_task(self._answer(asked))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def close(self) -> None:
        """Nobody is answered any more."""
        answers = tuple(self._answers)
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)

    async def _answer(self, asked: LiveAsked) -> None:
        try:
            async for part in parts(self._queries, self._name, asked.most):
                await self._hub.signal(asked.topic, part)
        except BrokerUnavailable:
            pass  # whoever has asked waits for a short while only
