"""The ways to the servers: what every connection is given, and pooled clients for threads.

redis-py is told to repeat nothing: what was not answered may have been done, and an event would be there twice. A
connection that was closed since it was last used is noticed before anything is sent.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import redis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.redis.router import Node, Router, Step, Steps
from wsrequest.push.brokers.redis.scripts import Script

#: What redis-py raises where the server does not answer, or not what was asked for.
FAILURES = (RedisError, OSError)

#: Threads that stand in for event loops which publish.
THREADS = 8

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
        address = self.options.get("host", "localhost"), int(self.options.get("port", 6379))
        #: Any node of the cluster.
        self.first: Node = address if cluster else None
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
        if "command not allowed when used memory" in str(error):
            why = "is out of memory (maxmemory), and takes no events until there is room"
        elif is_replica(error):
            why = "is a replica, which takes no events"
        else:
            why = f"did not do what was asked for ({type(error).__name__})"
        unavailable = BrokerUnavailable()
        unavailable.add_note(f"Redis at {self} {why}.")
        return unavailable

    def connection(self, node: Node) -> Any:
        """A connection for one thread at a time."""
        return self._kind(**self._options_of(node), retry=Retry(NoBackoff(), 0))

    def connection_on_loop(self, node: Node) -> Any:
        """A connection for the running event loop. Who has it counts the time for an answer: redis-py would do so by
        asyncio.wait_for, which in Python 3.11 may swallow that a task is cancelled."""
        options = {**self._options_of(node), "socket_timeout": None}
        return self._kind_on_loop(**options, retry=AsyncRetry(NoBackoff(), 0))

    def _options_of(self, node: Node) -> dict[str, Any]:
        return self.options if node is None else {**self.options, "host": node[0], "port": node[1]}


def is_replica(error: BaseException) -> bool:
    """Whether the server says that it is one. Before Redis 7 the word is wrapped in an error of the script."""
    return isinstance(error, ReadOnlyError) or "READONLY You can't write" in str(error)


_Idle = defaultdict[Node, list[Any]]


class Client:
    """For threads of this process; a process that was forked from it has its own."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._router = Router(access.first)
        self._pid = os.getpid()
        #: Connections that nobody uses; the one that was used last comes first.
        self._idle: _Idle = defaultdict(list)
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
                return self._walk(self._router.run(script, keys, arguments))
            except FAILURES as error:
                self._router.forget()
                if is_replica(error):
                    self.close()  # the name may lead to another server now
                raise self._access.unavailable(error) from error

    def _walk(self, steps: Steps) -> Any:
        try:
            step = next(steps)
            while True:
                try:
                    reply = self._asked(step)
                except FAILURES as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            return done.value

    def _asked(self, step: Step) -> Any:
        with self._making:
            idle = self._idle
            connection = idle[step.node].pop() if idle[step.node] else None
        connection = connection or self._access.connection(step.node)
        try:
            _be_connected(connection)
            if step.asking:
                connection.send_command("ASKING")
                connection.read_response()
            connection.send_command(*step.command)
            reply = connection.read_response()
        except ResponseError:  # an answer, too
            self._give_back(idle, step.node, connection)
            raise
        except BaseException:
            connection.disconnect()
            raise
        self._give_back(idle, step.node, connection)
        return reply

    def _give_back(self, taken_from: _Idle, node: Node, connection: Any) -> None:
        with self._making:
            if taken_from is self._idle:
                taken_from[node].append(connection)
                return
        connection.disconnect()  # all was closed meanwhile

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Wait for a connection, rather than be refused one."""
        if not self._places.acquire(timeout=self._access.timeout):
            raise self._access.unavailable(TimeoutError())
        try:
            yield
        finally:
            self._places.release()

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where the calls of event loops run."""
        with self._making:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, "wsrequest-redis")
            return self._threads

    def close(self) -> None:
        """Is as good as new after that. What is in use is closed when it is given back."""
        with self._making:
            idle, self._idle = self._idle, defaultdict(list)
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        for connections in idle.values():
            for connection in connections:
                connection.disconnect()


def _be_connected(connection: Any) -> None:
    """Where nothing was asked, nothing is to be read: unless the server has closed it."""
    connection.connect()
    try:
        is_fresh = not connection.can_read()
    except FAILURES:
        is_fresh = False
    if not is_fresh:
        connection.disconnect()
        connection.connect()
