"""An ear that is opened again, for ever, whenever it is lost."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

import psycopg

from wsrequest.push.brokers.postgres.ear import Ear
from wsrequest.push.brokers.postgres.wires import Address

#: Seconds between two tries to connect: at random below the one, which doubles up to the other.
FIRST_DELAY = 0.05
LONGEST_DELAY = 1.0


class Hearer(Protocol):
    """Who wants to know. Must not raise."""

    def heard(self, extra: bytes) -> None:
        """This was said."""

    def begun(self) -> None:
        """From here on everything is heard: what is said later, and what was said since a moment ago."""

    def failed(self, why: Exception) -> None:
        """Nothing is heard: the connection is lost, or could not be made. It is tried again."""


class Hearing:
    """Listens on one channel, until it is closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: Address, channel: str, hearer: Hearer
    ) -> None:
        self._address = address
        self._channel = channel
        self._hearer = hearer
        self._task = loop.create_task(self._listen())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                ear = await Ear.open(self._address, self._channel, self._hearer.heard)
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._hearer.failed(error)
                failures += 1
                await asyncio.sleep(_delay(failures))
                continue
            failures = 0
            self._hearer.failed(await self._listen_by(ear))

    async def _listen_by(self, ear: Ear) -> Exception:
        """Returns why it ended."""
        try:
            self._hearer.begun()
            ear.listen()
            await asyncio.wait([ear.deaf])
            return ear.deaf.result()
        finally:
            ear.close(OSError("the listener was closed"))


def _delay(failures: int) -> float:
    most = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10))
    return random.uniform(0, most)  # noqa: S311 (it spreads the processes)
