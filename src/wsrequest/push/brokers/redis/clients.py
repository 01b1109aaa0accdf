"""The ways to the server: what every connection is given, a pooled client for threads, and one for an event loop.

redis-py is told to repeat nothing: what was not answered may have been done, and an event would be there twice. A
connection that was closed since it was last used is noticed before anything is sent.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis.asyncio
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import parse_url
from redis.exceptions import (
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.redis.scripts import Script

#: What redis-py raises where the server does not answer, or not what was asked for.
FAILURES = (RedisError, RedisClusterException, OSError)

#: Commands of one event loop, and of the threads that stand in for it, that are under way at once.
AT_ONCE = 8

#: What no option changes: replies are bytes, pub/sub is that of RESP 2.
FORCED = {"protocol": 2, "decode_responses": False, "retry_on_timeout": False}

# Each connection tells the server who it is. To know it, redis-py 7 and later look for their own version on the disk,
# for each connection anew, also on an event loop: so they are told.
try:
    from redis.driver_info import DriverInfo
except ImportError:
    DRIVER: dict[str, Any] = {}
else:
    DRIVER = {"driver_info": DriverInfo()}


class Access:
    """Where the server is, and how it is spoken to."""

    def __init__(
        self,
        url: str,
        *,
        cluster: bool,
        timeout: float,
        max_connections: int,
        options: Mapping[str, Any],
    ) -> None:
        found: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        kind = found.pop("connection_class", redis.Connection)
        self.cluster = cluster
        self.timeout = timeout
        self.max_connections = max_connections
        #: For one connection of either kind.
        self.options: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            **DRIVER,
            **options,
            **found,
            **FORCED,
        }
        self._kind = kind
        self._kind_on_loop = {
            redis.SSLConnection: SSLConnection,
            redis.UnixDomainSocketConnection: UnixDomainSocketConnection,
        }.get(kind, Connection)
        self.database = int(self.options.get("db", 0))
        if cluster and (self.database or kind is redis.UnixDomainSocketConnection):
            raise ValueError("A cluster has no databases but 0, and no unix sockets.")
        if not cluster:
            kind(**self.options)  # raises TypeError for an option that nobody knows

    def __str__(self) -> str:
        """For people: without user and password."""
        if path := self.options.get("path"):
            return f"unix://{path}?db={self.database}"
        scheme = "rediss" if self._kind is redis.SSLConnection else "redis"
        host, port = self.options.get("host", "localhost"), self.options.get("port", 6379)
        return f"{scheme}://{host}:{port}/{self.database}"

    def unavailable(self, error: BaseException) -> BrokerUnavailable:
        """What is raised instead of redis-py's error; why stands in its notes, for the project's own people."""
        if isinstance(error, OutOfMemoryError):
            why = "is out of memory (maxmemory), and takes no events until there is room"
        elif isinstance(error, ReadOnlyError):
            why = "is a replica, which takes no events"
        else:
            why = f"did not do what was asked for ({type(error).__name__})"
        unavailable = BrokerUnavailable()
        unavailable.add_note(f"Redis at {self} {why}.")
        return unavailable

    def client(self) -> Any:
        """A client for threads."""
        retry = Retry(NoBackoff(), 0)
        if self.cluster:
            return RedisCluster(**self._for_cluster(retry))
        pool = redis.ConnectionPool(
            connection_class=self._kind,
            max_connections=self.max_connections,
            **{**self.options, "retry": retry},
        )
        return redis.Redis(connection_pool=pool)

    def client_on_loop(self) -> Any:
        """A client for the running event loop."""
        retry = AsyncRetry(NoBackoff(), 0)
        if self.cluster:
            return redis.asyncio.RedisCluster(**self._for_cluster(retry))
        pool = redis.asyncio.ConnectionPool(
            connection_class=self._kind_on_loop,
            max_connections=AT_ONCE,
            **{**self.options, "retry": retry},
        )
        return redis.asyncio.Redis(connection_pool=pool)

    def connection_on_loop(self, host: str | None = None, port: int | str | None = None) -> Any:
        """For pub/sub: reading from it takes as long as it takes. ``host`` and ``port`` name a node of a cluster."""
        options = {**self.options, "socket_timeout": None}
        if host is not None:
            options |= {"host": host, "port": port}
        return self._kind_on_loop(**options)

    def _for_cluster(self, retry: object) -> dict[str, Any]:
        unknown = ("db", "retry_on_timeout")
        options = {name: value for name, value in self.options.items() if name not in unknown}
        options.setdefault("host", "localhost")
        if redis.VERSION < (6,):
            options |= {"cluster_error_retry_attempts": 0}
            if isinstance(retry, AsyncRetry):
                options |= {"connection_error_retry_attempts": 0}
        else:
            options |= {"retry": retry}
        return {
            **options,
            "ssl": self._kind is redis.SSLConnection,
            "max_connections": max(self.max_connections, AT_ONCE),
        }


class Client:
    """For threads of this process; a process that was forked from it has its own."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._pid = os.getpid()
        self._client: Any = None
        self._making = threading.Lock()
        self._places = threading.BoundedSemaphore(access.max_connections)
        self._threads: ThreadPoolExecutor | None = None

    @property
    def is_of_this_process(self) -> bool:
        return self._pid == os.getpid()

    def run(self, script: Script, keys: tuple[bytes, ...], *arguments: bytes | str | int) -> Any:
        """Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        with self._place():
            try:
                return self._run(script, keys, arguments)
            except ReadOnlyError as error:
                self._client.close()  # the name may lead to another server now
                raise self._access.unavailable(error) from error
            except FAILURES as error:
                raise self._access.unavailable(error) from error

    def _run(self, script: Script, keys: tuple[bytes, ...], arguments: tuple[Any, ...]) -> Any:
        client = self._client or self._made()
        try:
            return client.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Wait for a connection, rather than be refused one."""
        if not self._places.acquire(timeout=self._access.timeout):
            raise self._access.unavailable(TimeoutError())
        try:
            yield
        finally:
            self._places.release()

    def _made(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = self._access.client()
            return self._client

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where the loop's calls run."""
        with self._making:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(AT_ONCE, "wsrequest-redis")
            return self._threads

    def close(self) -> None:
        with self._making:
            client, self._client = self._client, None
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        if client is not None:
            client.close()
            if not self._access.cluster:
                client.connection_pool.disconnect()


class LoopClient:
    """For one event loop."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.client = access.client_on_loop()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(
        self, script: Script, keys: tuple[bytes, ...], *arguments: bytes | str | int
    ) -> Any:
        """Raises :class:`~wsrequest.errors.BrokerUnavailable`."""
        async with self._answered():
            try:
                return await self.client.execute_command(
                    "EVALSHA", script.digest, len(keys), *keys, *arguments
                )
            except NoScriptError:
                return await self.client.execute_command(
                    "EVAL", script.text, len(keys), *keys, *arguments
                )

    @asynccontextmanager
    async def _answered(self) -> Any:
        try:
            async with asyncio.timeout(self.access.timeout), self._places:
                yield
        except FAILURES as error:
            if isinstance(error, ReadOnlyError):
                await self.disconnect()
            raise self.access.unavailable(error) from error

    async def node_of(self, channel: bytes) -> tuple[str, int]:
        """Which node of a cluster has this channel."""
        await self.client.initialize()
        node = self.client.get_node_from_key(channel)
        return node.host, node.port

    async def disconnect(self) -> None:
        """Connect anew; of a cluster, ask again which node has what."""
        if self.access.cluster:
            await self.client.aclose()
        else:
            await self.client.connection_pool.disconnect()

    async def close(self) -> None:
        await self.client.aclose()
        await self.disconnect()
