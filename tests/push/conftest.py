"""A database and a running server for each module."""

from __future__ import annotations

from tests.support.database import database, no_notes, tables
from tests.support.fixtures import advance, gate, new_gate, server

__all__ = ["advance", "database", "gate", "new_gate", "no_notes", "server", "tables"]
