"""The same for code without an event loop: one runs in a thread of its own, and everything is asked of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, Self, TypeVar, Unpack

import httpx

from wsrequest.client.connection import Connection, Notice
from wsrequest.client.following import Event
from wsrequest.client.options import Options, Token
from wsrequest.client.transport import WebSocketTransport

T = TypeVar("T")


class _LoopThread:
    """An event loop in a thread, started when it is first needed. Any thread may ask."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; interrupted (as by Ctrl+C), the work is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="wsrequest client", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


class _Transport(httpx.BaseTransport):
    """An asynchronous transport as a synchronous one; it is for somebody else to close."""

    def __init__(self, loop: _LoopThread, transport: WebSocketTransport) -> None:
        self._loop = loop
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()  # a body that is made step by step is made on this thread
        response = self._loop.run(self._transport.handle_async_request(request))
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Parts(self._loop, stream)
        )


class SyncWebSocketTransport(_Transport):
    """``httpx.Client(transport=SyncWebSocketTransport("ws://host/ws/"), base_url="http://host")``.

    :class:`WebSocketTransport` for code without an event loop; several threads may share it.
    """

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        super().__init__(_LoopThread(), WebSocketTransport(url, **options))

    @property
    def base_url(self) -> str:
        """What to give the client as its ``base_url``."""
        return self._transport.base_url

    def close(self) -> None:
        self._loop.run(self._transport.aclose())
        self._loop.close()


class _Parts(httpx.SyncByteStream):
    def __init__(self, loop: _LoopThread, stream: httpx.AsyncByteStream) -> None:
        self._loop = loop
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return _iterate(self._loop, aiter(self._stream))

    def close(self) -> None:
        self._loop.run(self._stream.aclose())


def _iterate(loop: _LoopThread, items: AsyncIterator[T]) -> Iterator[T]:
    async def following() -> tuple[T] | None:
        try:
            return (await anext(items),)
        except StopAsyncIteration:
            return None

    while (item := loop.run(following())) is not None:
        yield item[0]


class BlockingIterator(Generic[T]):
    """A subscription, live answer or notices in a ``for``. ``close()`` from another thread ends it."""

    def __init__(self, loop: _LoopThread, items: Any) -> None:
        self._loop = loop
        self._items = items

    def __enter__(self) -> Self:
        self._loop.run(self._items.__aenter__())
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return _iterate(self._loop, self._items)

    def __getattr__(self, name: str) -> Any:
        """``state``, ``position`` and ``members`` are those of the subscription."""
        return getattr(self._items, name)

    def close(self) -> None:
        self._loop.run(self._items.aclose())


class SyncConnection:
    """:class:`Connection` for code without an event loop. Made by :func:`connect_sync`."""

    def __init__(self, url: str, options: Options) -> None:
        self._loop = _LoopThread()
        self._connection = Connection(url, options)
        self.http = httpx.Client(
            transport=_Transport(self._loop, self._connection._transport),
            base_url=self._connection._transport.base_url,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        try:
            self._loop.run(self._connection.__aenter__())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def subscribe(self, url: str, **options: Any) -> BlockingIterator[Event]:
        """As :meth:`Connection.subscribe`, with ``with`` and ``for``."""
        return BlockingIterator(self._loop, self._connection.subscribe(url, **options))

    def live(self, url: str, **options: Any) -> BlockingIterator[Any]:
        """As :meth:`Connection.live`, with ``with`` and ``for``."""
        return BlockingIterator(self._loop, self._connection.live(url, **options))

    def notices(self) -> BlockingIterator[Notice]:
        """As :meth:`Connection.notices`, with ``with`` and ``for``."""
        return BlockingIterator(self._loop, self._connection.notices())

    def authenticate(self, token: Token | None) -> None:
        """As :meth:`Connection.authenticate`."""

        async def there() -> None:
            self._connection.authenticate(token)

        self._loop.run(there())

    def close(self) -> None:
        self.http.close()
        self._loop.run(self._connection.aclose())
        self._loop.close()


def connect_sync(url: str, **options: Unpack[Options]) -> SyncConnection:
    """Make a connection for code without an event loop, for ``with``.

    The options are those of :func:`connect`.
    """
    return SyncConnection(url, options)
