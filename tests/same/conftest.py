"""A database for each module."""

from __future__ import annotations

from tests.support.database import database, tables

__all__ = ["database", "tables"]
