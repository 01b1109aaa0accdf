"""Django's test client, over the socket: inline, on the test's own thread, and so inside its transaction."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Coroutine
from typing import Any, Self

from wsrequest.testing.base import BaseClient
from wsrequest.testing.connection import Connection, Notice
from wsrequest.testing.response import AnyResponse
from wsrequest.testing.stage import BesideTest, stage_around_test, stage_beside_test
from wsrequest.testing.stream import AsyncParts, SyncParts
from wsrequest.testing.subscription import Event, Subscription


class WebSocketClient(
    BaseClient[
        AnyResponse,
        Subscription[list[Event], Event, None],
        list[Event],
        list[Notice],
        int | None,
        None,
    ]
):
    """Django's test client, over the socket.

    It works on the test's own thread: views see what the test's transaction has written, and write into it. It
    connects with its first message; :meth:`disconnect`, or leaving it as a context manager, closes.
    """

    _parts = SyncParts
    _stage: BesideTest | None = None
    _finalizer: weakref.finalize[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.disconnect()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        stage = self._stage = self._stage or stage_beside_test()
        stage.enter()
        try:
            return stage.run(work)
        finally:
            if self._connection is None:
                self._stage = None
            stage.leave()

    async def _open(self) -> Connection:
        stage = self._stage
        assert stage is not None
        connection = await self._opened(stage)
        self._finalizer = weakref.finalize(self, stage.abandon, connection)
        return connection

    def _left(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        assert self._stage is not None
        self._stage.leave()


class AsyncWebSocketClient(
    BaseClient[
        Awaitable[AnyResponse],
        Awaitable[Subscription[Awaitable[list[Event]], Awaitable[Event], Awaitable[None]]],
        Awaitable[list[Event]],
        Awaitable[list[Notice]],
        Awaitable[int | None],
        Awaitable[None],
    ]
):
    """:class:`WebSocketClient` for asynchronous tests: what its methods return is to be awaited.

    Synchronous views run where ``sync_to_async()`` of the test would run them. To log in, there are ``alogin()``,
    ``aforce_login()`` and ``alogout()``, as in Django's ``AsyncClient``.
    """

    _parts = AsyncParts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.disconnect()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._within(work)

    async def _within(self, work: Coroutine[Any, Any, Any]) -> Any:
        stage = stage_around_test()
        stage.enter()
        try:
            await stage.ready()
            return await work
        finally:
            stage.leave()
            await stage.finish()

    async def _open(self) -> Connection:
        return await self._opened(stage_around_test())

    def _left(self) -> None:
        stage_around_test().leave()
