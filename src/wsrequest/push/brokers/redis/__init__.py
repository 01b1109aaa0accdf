"""Events by Redis or Valkey: one server, or a cluster. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

try:
    from wsrequest.push.brokers.redis import scripts
    from wsrequest.push.brokers.redis.clients import Access, Client
    from wsrequest.push.brokers.redis.listener import (
        RedisListener,
        position_in,
        publishing,
        signal,
    )
except ModuleNotFoundError as error:
    if error.name != "redis":
        raise
    raise ImportError(
        "RedisBroker needs redis-py: pip install 'django-websocket-request[redis]'"
    ) from error
from wsrequest.push.brokers.base import Broker, Position, Receiver, Retention, new_epoch
from wsrequest.push.brokers.redis.names import Names
from wsrequest.push.brokers.redis.presence import members_in
from wsrequest.push.brokers.redis.scripts import milliseconds

T = TypeVar("T")


class RedisBroker(Broker):
    """``url`` is redis://, rediss:// or unix://, with user and password where the server wants them.

    ``cluster``: the url is that of any node of a cluster (Redis 7 or Valkey). ``prefix`` stands before the names of all
    keys and channels. ``timeout``: seconds after which the server is taken to be away, for connecting as for an
    answer. ``max_connections``: for all threads of a process that publish; one that finds none free waits. Whatever
    else redis-py's connections know (``ssl_ca_certs``, ``client_name``, ...) is handed to them.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        prefix: str = "wsrequest:",
        cluster: bool = False,
        timeout: float = 2.0,
        max_connections: int = 50,
        **options: Any,
    ) -> None:
        self._access = Access(
            url,
            cluster=cluster,
            timeout=timeout,
            max_connections=max_connections,
            options=options,
        )
        self._names = Names(prefix, self._access.database)
        self._publishes = publishing(self._access)
        self._client = Client(self._access)

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        reply = self._mine().run(
            scripts.PUBLISH,
            self._names.history(topic),
            new_epoch(),
            milliseconds(retention.ttl + scripts.KEPT),
            payload,
            retention.size,
            milliseconds(retention.ttl),
            self._publishes,
            self._names.channel(topic),
        )
        return position_in(reply)

    async def apublish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        return await self._on_a_thread(partial(self.publish, topic, payload, retention))

    def signal(self, topic: str | None, payload: bytes) -> None:
        self._mine().run(scripts.SIGNAL, *signal(self._access, self._names, topic, payload))

    async def asignal(self, topic: str | None, payload: bytes) -> None:
        await self._on_a_thread(partial(self.signal, topic, payload))

    def members(self, topic: str) -> Mapping[str, bytes]:
        return members_in(self._mine().run(scripts.MEMBERS, self._names.presence(topic)))

    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> RedisListener:
        return RedisListener(self._access, self._names, receiver)

    def close(self) -> None:
        self._mine().close()

    def _mine(self) -> Client:
        """Connections are not shared with a process that was forked from this one."""
        if not self._client.is_of_this_process:
            self._client = Client(self._access)
        return self._client

    async def _on_a_thread(self, call: Callable[[], T]) -> T:
        """So there is one client for all loops of a process, with nothing to give back when a loop ends."""
        limit = 2 * self._access.timeout  # for its turn, and for the answer
        try:
            async with asyncio.timeout(limit):
                return await asyncio.get_running_loop().run_in_executor(self._mine().threads, call)
        except TimeoutError as error:
            raise self._access.unavailable(error) from error
