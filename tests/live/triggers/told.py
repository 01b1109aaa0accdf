"""Writing past Django, and what is heard of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import psycopg

from tests.push.postgres.server import PostgresServer
from wsrequest.push.rows import Tables

Rows = dict[str, set[str] | None]
PATIENCE = 30  # seconds

#: Ends the ears' connections, and waits for that.
TERMINATE = """
SELECT count(pg_terminate_backend(pid, 30000)) FROM pg_stat_activity
WHERE application_name = 'wsrequest' AND datname = current_database()
"""


class Depot:
    """A database, by connections that Django knows nothing of."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name

    def connection(self) -> psycopg.Connection[Any]:
        """One, in autocommit."""
        where = {**self.server.parameters, "dbname": self.name}
        return psycopg.connect(**where, autocommit=True)

    def execute_now(self, *statements: str) -> list[Any]:
        """Each is a transaction of its own; the rows of the last one, if it gives any."""
        with self.connection() as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    async def execute(self, *statements: str) -> list[Any]:
        return await asyncio.to_thread(self.execute_now, *statements)


class Told:
    """What live queries would be told."""

    def __init__(self, depot: Depot) -> None:
        self.depot = depot
        self.changes: list[Rows] = []
        self.unsure = 0
        self._changed = asyncio.Event()

    def changed(self, tables: Tables) -> None:
        self.changes.append(
            {table: None if rows is None else set(rows) for table, rows in tables.items()}
        )
        self._changed.set()

    def all_changed(self) -> None:
        self.unsure += 1
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def of(self, *statements: str) -> Rows:
        """What is told of these. Notifications come in the order of commits, so what is told of a later one comes
        later, or with it."""
        self.changes.clear()
        mark = uuid.uuid4().hex
        await self.depot.execute(
            *statements, f"INSERT INTO depot_tag (id, name) VALUES ('{mark}', 'mark')"
        )
        await self.until(
            lambda: any(mark in (each.get("depot_tag") or ()) for each in self.changes)
        )
        told: Rows = {}
        for change in self.changes:
            for table, rows in change.items():
                known = told.setdefault(table, set())
                told[table] = None if rows is None or known is None else known | rows
        marked = told["depot_tag"]
        if marked == {mark}:
            del told["depot_tag"]
        elif marked is not None:
            marked.discard(mark)
        return told
