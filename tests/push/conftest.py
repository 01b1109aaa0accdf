"""A database and a running server for each module."""

from __future__ import annotations

from tests.push.postgres.fixtures import migrated, postgres, postgres_server
from tests.support.database import database, no_notes, tables
from tests.support.fixtures import advance, gate, new_gate, server

__all__ = [
    "advance",
    "database",
    "gate",
    "migrated",
    "new_gate",
    "no_notes",
    "postgres",
    "postgres_server",
    "server",
    "tables",
]
