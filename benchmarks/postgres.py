"""A PostgreSQL of the benchmark's own, from the ``pgserver`` wheel, gone when it is over.

``pgserver`` has wheels for some platforms only. Without it the views with queries run on SQLite,
and connections can't be counted: the report says so.

As root it makes a system user ``pgserver`` and runs the server as it, as PostgreSQL does not run
as root.
"""

from __future__ import annotations

import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg


@dataclass(frozen=True)
class Database:
    """Where the data is: ``env`` tells the servers."""

    env: dict[str, str]
    postgres: psycopg.Connection[tuple[str | int]] | None = None
    """A connection to look in with, there from the start as they may run out; None for SQLite."""

    @property
    def name(self) -> str:
        return f"PostgreSQL {self.ask('SHOW server_version')}" if self.postgres else "SQLite"

    def connections(self, server: str) -> int:
        """Return how many connections ``server`` holds open."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return int(self.ask(query, server))

    def ask(self, query: str, *parameters: str) -> str | int:
        assert self.postgres is not None
        row = self.postgres.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]


@contextmanager
def database() -> Iterator[Database]:
    """Give a PostgreSQL where ``pgserver`` is installed, else a SQLite file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        try:
            import psycopg

            with warnings.catch_warnings():
                # It says which directory it takes for its lock where XDG_RUNTIME_DIR is not set.
                warnings.simplefilter("ignore")
                import pgserver
        except ImportError:
            yield Database(env={"BENCH_SQLITE": str(Path(directory) / "bench.sqlite3")})
            return
        server = pgserver.get_server(Path(directory) / "data")
        try:
            if postmaster := server.get_pid():
                processes.raise_priority(postmaster)
            host = server.get_uri().rpartition("host=")[2]
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                yield Database(env={"BENCH_POSTGRES_HOST": host}, postgres=connection)
        finally:
            server.cleanup()
