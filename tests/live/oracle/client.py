"""Clients that hold what they were given: snapshots, to which they apply each patch."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import jsonpatch
from websockets.exceptions import ConnectionClosed

from tests.live.oracle.labels import labels_in
from tests.live.oracle.watched import Url
from tests.support.client import Peer, connect

PATIENCE = 15.0


class Subscription:
    """``held`` is what has been in its hands since it was last asked for: each time as whom, and which rows."""

    def __init__(self, connection: Connection, id: int, url: Url) -> None:
        self.connection = connection
        self.id = id
        self.url = url
        self.answer: Any = None
        self.state: Any = None
        self.rev = 0
        self.patches = self.replaces = 0
        self.ended: int | None = None
        self.held: list[tuple[str, frozenset[str]]] = []

    def __str__(self) -> str:
        return f"{self.url.path} of {self.connection.name or 'nobody'}"

    def hear(self, message: Any) -> None:
        assert self.ended is None, f"after the end of {self}: {message}"
        if self.answer is None:
            self._begin(message)
        elif "end" in message:
            self.ended = message["status"]
        elif message["event"] == "patch":
            self._follows(message)
            self.patches += 1
            self.state = jsonpatch.apply_patch(self.state, message["data"])
        else:
            assert message["event"] == "replace", f"{self}: {message}"
            self._follows(message)
            self.replaces += 1
            self.state = message["data"]
        if self.ended is None:
            self.held.append((self.connection.name, labels_in(json.dumps(self.state))))

    def _begin(self, message: Any) -> None:
        self.answer = message
        if "subscription" in message:
            assert message["subscription"]["rev"] == 0
            self.state = message["data"]
        else:
            self.ended = message["status"]

    def _follows(self, message: Any) -> None:
        self.rev += 1
        assert message["rev"] == self.rev, f"{self}: {message['rev']} came, not {self.rev}"


class Connection:
    """``name`` is whose it is at present; ``was`` whose session was ended just now, where that was done elsewhere."""

    def __init__(self, address: str, origin: str, name: str, language: str) -> None:
        self.address = address
        self.origin = origin
        self.name, self.was = name, ""
        self.language = language
        self.subscriptions: dict[int, Subscription] = {}
        self._answers: dict[int, tuple[asyncio.Future[Any], str | None]] = {}
        self._ids = 0
        self._stack = AsyncExitStack()
        self._peer: Peer | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def open(self, session: str = "") -> None:
        headers = {"Accept-Language": self.language}
        if session:
            headers["Cookie"] = f"sessionid={session}"
        opening = connect(self.address, origin=self.origin, headers=headers)
        self._peer = await self._stack.enter_async_context(opening)
        self._task = asyncio.create_task(self._read(self._peer))

    async def close(self, *, rudely: bool = False) -> None:
        assert self._peer is not None
        assert self._task is not None
        if rudely:
            self._peer.abort()
        await self._stack.aclose()
        await self._task
        self.subscriptions.clear()

    async def request(self, url: str, data: Any = None, *, becomes: str | None = None) -> Any:
        """POST. If it succeeds, the connection is another user's from its answer on."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number = self._new_id()
        self._answers[number] = (answer, becomes)
        await self._send({"id": number, "method": "POST", "url": url, "data": data})
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def subscribe(self, url: Url, *, live: bool) -> Subscription:
        """It is there, or refused, when it has an answer."""
        made = Subscription(self, self._new_id(), url)
        self.subscriptions[made.id] = made
        message = {"id": made.id, "method": "SUBSCRIBE", "url": url.path}
        await self._send({**message, "live": True} if live else message)
        return made

    async def cancel(self, subscription: Subscription) -> None:
        await self._send({"cancel": subscription.id})
        await self.until(lambda: subscription.ended is not None)
        del self.subscriptions[subscription.id]

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Whether this holds in time; it is asked again after each message."""
        assert self._task is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    waits = asyncio.ensure_future(self._changed.wait())
                    await asyncio.wait((waits, self._task), return_when=asyncio.FIRST_COMPLETED)
                    waits.cancel()
                    if self._task.done():
                        self._task.result()
                        assert condition(), "the connection was closed"
        return condition()

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids

    async def _send(self, message: Any) -> None:
        assert self._peer is not None
        await self._peer.send(message)

    async def _read(self, peer: Peer) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                with contextlib.suppress(TimeoutError):  # it may be silent for long
                    self._hear(await peer.next())
                    self._changed.set()

    def _hear(self, message: Any) -> None:
        number = message.get("id")
        if number in self._answers:
            answer, becomes = self._answers.pop(number)
            if becomes is not None and message["status"] < 300:
                self.name = becomes
            answer.set_result(message)
        elif number in self.subscriptions:
            self.subscriptions[number].hear(message)
        else:
            assert message.get("control") in {"expiring", "going-away"}, message
