"""Publishing: through Django's connection, as one statement, or as part of the transaction that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from wsrequest.push.brokers.base import Broker, Position, Receiver, Retention
from wsrequest.push.brokers.postgres.failures import translated
from wsrequest.push.brokers.postgres.listener import PostgresListener
from wsrequest.push.brokers.postgres.wires import Address, postgres_problem
from wsrequest.push.brokers.postgres.words import key_of, signal_head

#: Seconds that are as good as for ever (30 years), and no date past those that PostgreSQL knows.
LONGEST = 10.0**9

_PUBLISH = "SELECT in_epoch, last FROM wsrequest_publish(%s, %s, ARRAY[%s::bytea], %s, %s)"
_PUBLISH_AT_COMMIT = (
    "WITH said AS (INSERT INTO wsrequest_outbox (channel, key, payload, size, ttl) VALUES (%s, %s, %s, %s, %s)) "
    "SELECT epoch, newest FROM wsrequest_topic WHERE channel = %s AND key = %s"
)
_MEMBERS = (
    "SELECT member, data FROM wsrequest_member "
    "WHERE channel = %s AND key = %s AND until > clock_timestamp()"
)
_SIGNAL = "SELECT wsrequest_tell(%s, %s, %s)"


class PostgresBroker(Broker):
    """Events go through a PostgreSQL database of the project's.

    What is published inside of a transaction of that database takes part in it: it takes effect with the commit, at the
    same instant, and not at all after a rollback. ``publish`` then returns the topic's position before it.
    """

    def __init__(
        self,
        using: str = "default",
        *,
        channel: str = "wsrequest",
        listener: Mapping[str, Any] | None = None,
        connections: int = 2,
        timeout: float = 5.0,
    ) -> None:
        """``using`` is the database's alias, and ``channel`` the name for NOTIFY, which keeps projects in one database
        apart. ``listener`` are parameters for connecting, over those in DATABASES, for what hears (a pooler in
        transaction mode can't be listened through). Beside the connection that listens, each event loop opens up to
        ``connections`` more; each of their answers may take ``timeout`` seconds."""
        self.transactional = using
        self._channel = channel
        self._listener = dict(listener or {})
        self._connections = connections
        self._timeout = timeout
        if connections < 1 or timeout <= 0 or not 1 <= len(channel.encode()) < 64:
            raise ValueError(
                "connections must be at least 1, timeout more than 0, and channel 1 to 63 bytes long."
            )
        if problem := postgres_problem(using):
            raise ValueError(problem)

    @property
    def _alias(self) -> str:
        return str(self.transactional)

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        """This thread's."""
        return connections[self._alias]

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        key = key_of(topic)
        event = (self._channel, key, payload, retention.size, min(retention.ttl, LONGEST))
        with translated(self._alias):
            if self._in_transaction():
                rows = self._ask(_PUBLISH_AT_COMMIT, *event, self._channel, key)
            else:
                rows = self._ask(_PUBLISH, *event)
        return Position(*rows[0]) if rows else Position("", 0)

    async def apublish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        """On the thread where Django's asynchronous queries run."""
        return await sync_to_async(self.publish)(topic, payload, retention)

    def signal(self, topic: str | None, payload: bytes) -> None:
        """Inside of a transaction it is said with the commit."""
        with translated(self._alias):
            self._in_transaction()
            self._ask(_SIGNAL, self._channel, signal_head(topic), payload)

    async def asignal(self, topic: str | None, payload: bytes) -> None:
        await sync_to_async(self.signal)(topic, payload)

    def members(self, topic: str) -> Mapping[str, bytes]:
        with translated(self._alias):
            self._in_transaction()
            rows = self._ask(_MEMBERS, self._channel, key_of(topic))
        return {name: bytes(data) for name, data in rows}

    def listen(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> PostgresListener:
        address = Address(self._alias, self._listener, self._timeout)
        return PostgresListener(loop, receiver, address, self._channel, self._connections)

    def close(self) -> None:
        """There is nothing to give back: the connections are Django's."""

    def _in_transaction(self) -> bool:
        """Outside of one, a connection that has failed is not used again: Django itself looks at that only where a
        request begins, and who publishes may be no request."""
        connection = self._connection
        if connection.in_atomic_block:
            return True
        if connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()
        return not connection.get_autocommit()

    def _ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
