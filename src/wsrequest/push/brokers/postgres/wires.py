"""Connections of the listener's own, beside Django's: psycopg's, asynchronous, in autocommit.

A command that takes too long is ended by cutting its connection. psycopg's own way, where the coroutine is cancelled,
is to ask the server to stop, and to wait for it to say so: a server that is gone never does.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist
from psycopg import sql

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.postgres.failures import translated

#: Seconds after which a connection is cut, beyond those in which its server should have given up.
SLACK = 0.5

#: Seconds that what is under way has left when the listener is closed.
CLOSING = 1.0

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is: as DATABASES says, with what is different for a listener; and the seconds that connecting
    may take, or an answer."""

    using: str
    different: Mapping[str, Any]
    timeout: float

    def parameters(self) -> dict[str, Any]:
        """For psycopg. Read anew each time, as a test runner puts another database's name there."""
        known = connections[self.using].get_connection_params()
        for of_django in ("cursor_factory", "context", "prepare_threshold"):
            known.pop(of_django, None)
        return {"application_name": "wsrequest", **known, **self.different, "autocommit": True}

    def settings(self) -> dict[str, str]:
        """That a connection gets then: what we give up, the server gives up too."""
        settings = {"statement_timeout": str(math.ceil(self.timeout * 1000))}
        if role := connections[self.using].settings_dict["OPTIONS"].get("assume_role"):
            settings["role"] = role
        return settings


def postgres_problem(using: str) -> str | None:
    """Why this alias can't be connected to, if so."""
    try:
        vendor = connections[using].vendor
    except ConnectionDoesNotExist:
        return f"DATABASES has no {using!r}"
    if vendor != "postgresql":
        return f"DATABASES[{using!r}] is a {vendor} database, not PostgreSQL"
    return None


class Wire:
    """A connection."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], timeout: float) -> None:
        self.connection = connection
        self._timeout = timeout

    @classmethod
    async def open(cls, address: Address) -> Wire:
        """Raises psycopg's errors, or TimeoutError."""
        async with asyncio.timeout(address.timeout):
            connection = await psycopg.AsyncConnection.connect(**address.parameters())
        wire = cls(connection, address.timeout)
        settings = address.settings().items()
        try:
            await wire.ask(
                "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS each (name, value)",
                *map(list, zip(*settings, strict=True)),
            )
        except BaseException:
            wire.close()
            raise
        return wire

    async def ask(self, query: str | sql.Composed, *parameters: Any) -> Rows:
        """Raises psycopg's errors. Where it is cancelled, the connection is of no use any more."""
        asking = asyncio.create_task(self.ask_to_the_end(query, *parameters))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self.cut()
            await asyncio.wait([asking])
            asking.exception()
            raise

    async def ask_to_the_end(self, query: str | sql.Composed, *parameters: Any) -> Rows:
        """The same, not to be cancelled."""
        cut = asyncio.get_running_loop().call_later(self._timeout + SLACK, self.cut)
        try:
            cursor = await self.connection.execute(query, parameters or None)
            return await cursor.fetchall() if cursor.description else ()
        finally:
            cut.cancel()

    def is_alive(self) -> bool:
        """Whether nothing says that it is not. Does not wait."""
        try:
            for _ in range(2):  # an end is preceded by words that say why
                self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return not self.connection.closed

    def cut(self) -> None:
        """Whoever waits for an answer finds out at once."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody may be waiting for an answer. Does not wait itself."""
        self.connection.pgconn.finish()


class Wires:
    """A few connections that share the work, opened when they are needed."""

    def __init__(self, address: Address, most: int) -> None:
        self._address = address
        self._places = asyncio.Semaphore(most)
        self._idle: list[Wire] = []
        self._connecting: set[asyncio.Task[Wire]] = set()
        self._busy: set[Wire] = set()
        self._asking: set[asyncio.Task[Rows]] = set()

    async def ask(self, query: str, *parameters: Any) -> Rows:
        """Raises :class:`~wsrequest.errors.BrokerUnavailable` where there is no answer in time."""
        with translated(self._address.using):
            async with asyncio.timeout(self._address.timeout):
                await self._places.acquire()
                asking = asyncio.create_task(self._ask(query, *parameters))
                self._asking.add(asking)
                asking.add_done_callback(self._asked)
                # Who gives up leaves it to its end, so that the connection stays of use.
                return await asyncio.shield(asking)

    def _asked(self, asking: asyncio.Task[Rows]) -> None:
        self._places.release()
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever wanted to know it does

    async def _ask(self, query: str, *parameters: Any) -> Rows:
        wire = await self._take()
        self._busy.add(wire)
        try:
            rows = await wire.ask_to_the_end(query, *parameters)
        except BaseException:
            wire.close()
            raise
        finally:
            self._busy.discard(wire)
        self._idle.append(wire)
        return rows

    async def _take(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if wire.is_alive():
                return wire
            wire.close()
        connecting = asyncio.create_task(Wire.open(self._address))
        self._connecting.add(connecting)
        try:
            return await connecting
        except asyncio.CancelledError:
            raise BrokerUnavailable from None  # by close()
        finally:
            self._connecting.discard(connecting)

    async def close(self) -> None:
        """Wait a moment for what is under way, and give the connections back."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=CLOSING)
        for connecting in self._connecting:
            connecting.cancel()
        for wire in self._busy:
            wire.cut()
        while self._asking:
            await asyncio.wait(self._asking)
        self.forget_idle()

    def forget_idle(self) -> None:
        """What happened to another connection may have happened to these, and nobody noticed."""
        while self._idle:
            self._idle.pop().close()
