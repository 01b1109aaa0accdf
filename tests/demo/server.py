"""The demo as a visitor gets it: a real uvicorn in a process of its own, on a database of its own."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "snippets"
START_TIMEOUT = 30  # seconds
STOP_TIMEOUT = 15


class DemoServer:
    """Migrate, seed, start, stop and start again; `url` stays the same."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """With these in its environment, beside those that every demo server has."""
        self.database = folder / "demo.sqlite3"
        self.log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[bytes] | None = None
        self._added = environment

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "demo.settings",
            "DEMO_DB": str(self.database),
            **self._added,
        }

    def manage(self, *arguments: str) -> str:
        """Run a management command; return what it printed."""
        done = subprocess.run(
            [sys.executable, DEMO / "manage.py", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "uvicorn", "--app-dir", str(DEMO)),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                    *("--ws-per-message-deflate", "false", "--log-level", "warning"),
                    "demo.asgi:application",
                ],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no answer in time: {self.log.read_text()}"
            time.sleep(0.05)

    def answers(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the server as Ctrl+C or a deploy would, and make sure that it goes."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def execute(self, statement: str, *parameters: object) -> list[tuple]:
        """Run one SQL statement from outside, as another process would."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def forget_what_tests_wrote(self, seeded: int) -> None:
        self.execute("DELETE FROM snippets_snippet WHERE id > ?", seeded)
