"""A client that comes back whenever its connection is lost, and notes what its application saw."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.client import Peer, connect

PATIENCE = 30.0


class Subscriber:
    """Follows one log. ``seen`` is what its application callback was told: epoch, offset, entry."""

    def __init__(self, address: str, origin: str, log: str) -> None:
        self.address = address
        self.origin = origin
        self.log = log
        self.seen: list[tuple[str, int, str]] = []
        self.entries: set[str] = set()
        self.epoch = ""
        self.offset = -1
        self.rev = 0
        #: When the server said that something is lost, on the loop's clock, and why.
        self.losses: list[tuple[float, str]] = []
        self.in_loss = False
        #: How often it came back and was given all, or was told that this can't be.
        self.recovered = self.begun_anew = 0
        self.refused: list[int] = []
        #: Seconds that it stays away.
        self.pause: Callable[[], float] = lambda: 0.05
        self.peer: Peer | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Subscriber]:
        self._task = asyncio.create_task(self._run())
        try:
            await self.until(lambda: self.offset >= 0)
            yield self
        finally:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until this holds; it is asked again after each message."""
        assert self._task is not None
        if self._task.done():
            self._task.result()  # it has met something else than a lost connection
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                waits = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait((waits, self._task), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waits.cancel()
                if self._task.done():
                    self._task.result()

    def drop(self) -> None:
        """The network is gone."""
        if self.peer is not None:
            self.peer.abort()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                async with connect(self.address, origin=self.origin) as self.peer:
                    await self._follow(self.peer)
            self.peer = None
            await asyncio.sleep(self.pause())

    async def _follow(self, peer: Peer) -> None:
        message: dict[str, Any] = {"id": 1, "method": "SUBSCRIBE", "url": f"/log/{self.log}/"}
        if self.offset >= 0:
            message["since"] = {"epoch": self.epoch, "offset": self.offset}
        await peer.send(message)
        answer = await peer.answer(1)
        if answer["status"] == 200:
            self._begin(answer)
        else:
            self.refused.append(answer["status"])
            return
        self._changed.set()
        while True:
            self._hear(await self._next(peer))
            self._changed.set()

    async def _next(self, peer: Peer) -> Any:
        while True:
            with contextlib.suppress(TimeoutError):  # it may be silent for long
                return await peer.next()

    def _begin(self, answer: Any) -> None:
        subscription = answer["subscription"]
        self.rev = subscription["rev"]
        self.in_loss = False
        if self.offset >= 0 and subscription["recovered"]:
            self.recovered += 1
            assert (subscription["epoch"], subscription["offset"]) == (self.epoch, self.offset)
        else:
            self.begun_anew += self.offset >= 0
            self.epoch, self.offset = subscription["epoch"], subscription["offset"]
        self.entries |= set(answer["data"]["entries"])

    def _hear(self, message: Any) -> None:
        assert message["id"] == 1
        name = message["event"]
        if name == "lost":
            assert not self.in_loss
            self.in_loss = True
            self.losses.append((asyncio.get_running_loop().time(), message["data"]["why"]))
        elif name == "replace":
            self.rev += 1
            assert message["rev"] == self.rev
            if self.in_loss:
                self.epoch, self.offset = message["epoch"], message["offset"]
            self.in_loss = False
            self.entries |= set(message["data"]["entries"])
        else:
            assert not self.in_loss
            assert message["offset"] == self.offset + message.get("skip", 0) + 1, (
                self.offset,
                message,
            )
            self.offset = message["offset"]
            self.seen.append((self.epoch, self.offset, message["data"]))
            self.entries.add(message["data"])


async def write(peer: Peer, log: str, entry: str) -> int:
    answer = await peer.request(f"/log/{log}/", method="POST", data=entry, id=entry)
    return int(answer["status"])


def in_one_order(subscribers: list[Subscriber]) -> dict[tuple[str, int], str]:
    """What was published, by position; fails where two have seen different things at one, or one of them a thing twice
    or out of its order."""
    order: dict[tuple[str, int], str] = {}
    for subscriber in subscribers:
        positions = [(epoch, offset) for epoch, offset, _ in subscriber.seen]
        assert len(set(positions)) == len(positions), "seen twice"
        for epoch in {epoch for epoch, _ in positions}:
            offsets = [offset for each, offset in positions if each == epoch]
            assert offsets == sorted(offsets)
        for epoch, offset, entry in subscriber.seen:
            assert order.setdefault((epoch, offset), entry) == entry
    return order
