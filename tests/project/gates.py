"""Places where a view stops until a test lets it go; from any thread, for any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from concurrent.futures import Future

#: Seconds after which a test that waits has failed.
PATIENCE = 20


class Tally:
    """A counter that can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Future[int]]] = []

    def add(self) -> None:
        with self._lock:
            self.count += 1
            due = [future for count, future in self._waiting if count <= self.count]
            self._waiting = [entry for entry in self._waiting if entry[0] > self.count]
        for future in due:
            future.set_result(self.count)

    def _future(self, count: int) -> Future[int]:
        future: Future[int] = Future()
        with self._lock:
            if self.count < count:
                self._waiting.append((count, future))
                return future
        future.set_result(self.count)
        return future

    async def reached(self, count: int = 1) -> int:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(asyncio.wrap_future(self._future(count)))


class Gate:
    """``entered`` and ``left`` say how many views came to the gate, and how many went on or were cancelled."""

    def __init__(self) -> None:
        self.name = ""
        self.entered = Tally()
        self.left = Tally()
        self.cancelled = Tally()
        self._opened: Future[None] = Future()

    def open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def pass_(self) -> None:
        self.entered.add()
        try:
            self._opened.result(PATIENCE)
        finally:
            self.left.add()

    async def apass(self) -> None:
        self.entered.add()
        try:
            await asyncio.shield(asyncio.wrap_future(self._opened))
        except asyncio.CancelledError:
            self.cancelled.add()
            raise
        finally:
            self.left.add()


#: By the name that stands in the url.
gates: defaultdict[str, Gate] = defaultdict(Gate)
