"""What an event loop asks: one connection to a server, on which whatever is waiting goes out as one."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import Any

from redis.exceptions import ResponseError

from wsrequest.push.brokers.redis.clients import FAILURES, Access, is_replica
from wsrequest.push.brokers.redis.router import Command, Node, Router, Step, Steps
from wsrequest.push.brokers.redis.scripts import Script

#: Questions that go out as one.
AT_ONCE = 100


class LoopClient:
    """For one event loop."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.router = Router(access.first)
        self._pipes: dict[Node, Pipe] = {}

    async def run(
        self, script: Script, keys: tuple[bytes, ...], *arguments: bytes | str | int
    ) -> Any:
        """Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        try:
            return await self._walk(self.router.run(script, keys, arguments))
        except FAILURES as error:
            self.router.forget()
            if is_replica(error):
                await self.close()  # the name may lead to another server now
            raise self.access.unavailable(error) from error

    async def node_of(self, channel: bytes) -> Node:
        """Who has it in a cluster."""
        node: Node = await self._walk(self.router.node_of(channel))
        return node

    async def close(self) -> None:
        """Is as good as new after that."""
        pipes, self._pipes = self._pipes, {}
        for pipe in pipes.values():
            await pipe.close()

    async def _walk(self, steps: Steps) -> Any:
        try:
            step = next(steps)
            while True:
                try:
                    reply = await self._asked(step)
                except FAILURES as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            return done.value

    async def _asked(self, step: Step) -> Any:
        pipe = self._pipes.get(step.node)
        if pipe is None:
            pipe = self._pipes[step.node] = Pipe(self.access, step.node)
        return await pipe.ask(step)


class Pipe:
    """One connection to one server, made when there is something to ask."""

    def __init__(self, access: Access, node: Node) -> None:
        self._connection = access.connection_on_loop(node)
        self._timeout = access.timeout
        self._waiting: deque[tuple[list[Command], asyncio.Future[Any]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def ask(self, step: Step) -> Any:
        """The reply; raises redis-py's errors. Who is cancelled while it waits is alone in that: the others' replies
        are read."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        commands = [("ASKING",), step.command] if step.asking else [step.command]
        self._waiting.append((commands, reply))
        if self._work is None:
            self._work = asyncio.create_task(self._ask_all())
        return await reply

    async def close(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
        await self._connection.disconnect(nowait=True)

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await self._ask_some(list(islice(self._waiting, AT_ONCE)))
        except BaseException as error:
            # Those who wait would hear the same, each after a while.
            failed = error if isinstance(error, FAILURES) else ConnectionError("It was closed.")
            while self._waiting:
                _, reply = self._waiting.popleft()
                if not reply.done():
                    reply.set_exception(failed)
            await self._connection.disconnect(nowait=True)
            if not isinstance(error, FAILURES):
                raise
        finally:
            self._work = None

    async def _ask_some(self, some: list[tuple[list[Command], asyncio.Future[Any]]]) -> None:
        """The server has so much time for each reply."""
        connection, loop = self._connection, asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout) as limit:
            if _is_over(connection):
                await connection.disconnect(nowait=True)
            await connection.connect()
            packed = connection.pack_commands([command for each, _ in some for command in each])
            await connection.send_packed_command(packed, check_health=False)
            for commands, reply in some:
                said = [await self._said() for _ in commands][-1]
                limit.reschedule(loop.time() + self._timeout)
                self._waiting.popleft()
                if reply.done():
                    continue  # it was cancelled
                if isinstance(said, ResponseError):
                    reply.set_exception(said)
                else:
                    reply.set_result(said)

    async def _said(self) -> Any:
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error


def _is_over(connection: Any) -> bool:
    """Whether the server has closed it since it was used, which redis-py would say only after writing to it."""
    reader: asyncio.StreamReader | None = connection._reader
    return reader is not None and reader.at_eof()
