"""A server, a database, a broker and its listeners."""

from __future__ import annotations

from tests.push.postgres.fixtures import broker, listen, migrated, postgres, postgres_server

__all__ = ["broker", "listen", "migrated", "postgres", "postgres_server"]
