"""The parts of a streamed answer, each asked for when the test wants it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Self

from msgspec import UNSET

from wsrequest.protocol.client import body_of
from wsrequest.testing.connection import CODEC, Connection, Exchange


class StreamFailed(Exception):
    """A stream that the server has ended before its time."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The stream has ended with status {status}.")
        self.status = status


class Parts:
    """Closed before its end, a stream is cancelled."""

    def __init__(
        self,
        connection: Connection,
        exchange: Exchange,
        content_type: str,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._content_type = content_type
        self._run = run

    def close(self) -> None:
        self._connection.cancel_soon(self._exchange)

    async def _next(self) -> bytes | None:
        """The next part; None at the end."""
        said = await self._connection.next(self._exchange)
        if said is None or said.end:
            if said is not None and said.status is not UNSET:
                raise StreamFailed(said.status)
            return None
        return body_of(CODEC, said, self._content_type)


class SyncParts(Parts):
    """For synchronous tests."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        part: bytes | None = self._run(self._next())
        if part is None:
            raise StopIteration
        return part


class AsyncParts(Parts):
    """For asynchronous tests."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        part: bytes | None = await self._run(self._next())
        if part is None:
            raise StopAsyncIteration
        return part
