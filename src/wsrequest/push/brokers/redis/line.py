"""Connections on which channels are heard: one to a server, one to each node of a cluster that has any of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from wsrequest.push.brokers.redis.clients import FAILURES
from wsrequest.push.brokers.redis.pipe import LoopClient
from wsrequest.push.brokers.redis.router import Node

#: Seconds between two questions to the server whether it is still there. They keep what stands between from closing
#: the connection, too.
PING_EVERY = 0.5

#: Nothing was heard for so many seconds, and an answer was due: then the connection is given up.
SILENCE = 2.0

#: Seconds for which events are handed over before others have their turn on the loop.
SLICE = 0.005

#: What tells of one event; the first is a cluster's.
_MESSAGES = {b"smessage", b"message"}
_SUBSCRIBED = {b"ssubscribe", b"subscribe"}
_UNSUBSCRIBED = {b"sunsubscribe", b"unsubscribe"}

Heard = Callable[[bytes, bytes], None]


class Lost(ConnectionError):
    """The connection is of no use any more."""


class Line:
    """One connection. It is not mended: whoever has it is told once, and makes another one."""

    def __init__(
        self, connection: Any, *, sharded: bool, heard: Heard, lost: Callable[[BaseException], None]
    ) -> None:
        self._connection = connection
        self._verb = b"S" if sharded else b""
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._to_say: list[tuple[bytes, ...]] = []
        self._something_to_say = asyncio.Event()
        # One for each time that it was said: a channel may be given up and asked for again meanwhile.
        self._confirmations: defaultdict[bytes, deque[asyncio.Future[bool]]] = defaultdict(deque)
        self._ignored: Counter[bytes] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    async def open(self) -> None:
        try:
            await self._connection.connect()
        except BaseException:
            await self._connection.disconnect(nowait=True)
            raise
        self._last = self._loop.time()
        for work in (self._read, self._write, self._watch):
            task = asyncio.create_task(work())
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    def subscribe(self, channel: bytes) -> asyncio.Future[bool]:
        """Whether the server has confirmed it, or the line was lost before."""
        confirmation: asyncio.Future[bool] = self._loop.create_future()
        if self._is_over:
            confirmation.set_result(False)
        else:
            self._confirmations[channel].append(confirmation)
            self._say(self._verb + b"SUBSCRIBE", channel)
        return confirmation

    def unsubscribe(self, channel: bytes) -> None:
        self._ignored[channel] += 1
        self._say(self._verb + b"UNSUBSCRIBE", channel)

    async def close(self) -> None:
        self._over()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.disconnect(nowait=True)

    def _say(self, *command: bytes) -> None:
        self._to_say.append(command)
        self._something_to_say.set()

    async def _write(self) -> None:
        """However much there is to say goes out as one."""
        while True:
            await self._something_to_say.wait()
            self._something_to_say.clear()
            commands, self._to_say = self._to_say, []
            packed = self._connection.pack_commands(commands)
            await self._connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> None:
        turn_ends = 0.0
        while True:
            said = await self._connection.read_response(disconnect_on_error=False)
            now = self._last = self._loop.time()
            if isinstance(said, list) and len(said) >= 3:
                self._take(*said[:3])
            # Reading does not let go of the loop while there is something in the buffer.
            if now > turn_ends:
                await asyncio.sleep(0)
                turn_ends = self._loop.time() + SLICE

    def _take(self, kind: bytes, channel: bytes, data: Any) -> None:
        if kind in _MESSAGES:
            self._heard(channel, data)
        elif kind in _SUBSCRIBED:
            self._confirm(channel, done=True)
        elif kind in _UNSUBSCRIBED:
            self._ignored[channel] -= 1
            if self._ignored[channel] < 0:
                raise Lost("another node has a channel now")
            if not self._ignored[channel]:
                del self._ignored[channel]

    async def _watch(self) -> None:
        while True:
            before = self._loop.time()
            await asyncio.sleep(PING_EVERY)
            now = self._loop.time()
            if now - before > SILENCE / 2:
                self._last = now  # the loop itself was busy: it has not heard what has come
            elif now - self._last > SILENCE:
                raise Lost(f"nothing was heard for {SILENCE:g} s")
            self._say(b"PING")

    def _confirm(self, channel: bytes, *, done: bool) -> None:
        if waiting := self._confirmations[channel]:
            waiting.popleft().set_result(done)
        if not waiting:
            del self._confirmations[channel]

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._is_over:
            self._over()
            self._lost(error)

    def _over(self) -> None:
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        while self._confirmations:
            self._confirm(next(iter(self._confirmations)), done=False)


class Lines:
    """All connections on which channels are heard, from a moment when all are until one of them is lost."""

    def __init__(self, client: LoopClient, heard: Heard) -> None:
        self._client = client
        self._heard = heard
        self._lines: dict[Node, Line] = {}
        self._where: dict[bytes, Line] = {}
        self._opening = asyncio.Lock()
        #: Has a result, why, when one of them is lost.
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    @property
    def one_of_each(self) -> list[bytes]:
        """A channel of each line."""
        return list({line: channel for channel, line in self._where.items()}.values())

    async def subscribe(self, channels: Iterable[bytes]) -> None:
        """Returns when the server has confirmed them. Raises ConnectionError where a line is lost before."""
        confirmations = []
        for channel in channels:
            line = self._where.get(channel) or await self._line_for(channel)
            self._where[channel] = line
            confirmations.append(line.subscribe(channel))
        for confirmation in confirmations:
            # Several may wait for the same, and one that is cancelled is alone in that.
            if not await asyncio.shield(confirmation):
                raise Lost("the connection was lost")

    def unsubscribe(self, channel: bytes) -> None:
        line = self._where.pop(channel, None)
        if line is not None:
            line.unsubscribe(channel)

    async def close(self) -> None:
        await asyncio.gather(*(line.close() for line in self._lines.values()))

    async def _line_for(self, channel: bytes) -> Line:
        async with self._opening:
            try:
                async with asyncio.timeout(self._client.access.timeout):
                    node = await self._client.node_of(channel)
                    line = self._lines.get(node)
                    if line is None:
                        line = self._line_to(node)
                        await line.open()
                        self._lines[node] = line
                    return line
            except FAILURES as error:
                self._fail(error)
                raise

    def _line_to(self, node: Node) -> Line:
        access = self._client.access
        connection = access.connection_on_loop(node)
        return Line(connection, sharded=access.cluster, heard=self._heard, lost=self._fail)

    def _fail(self, error: BaseException) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
