"""The servers that are compared, each in one process on the server's core."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import processes

UVICORN = (
    "-m", "uvicorn", "--host", "127.0.0.1", "--workers", "1",
    "--http", "httptools", "--no-access-log", "--log-level", "warning",
    "--ws-per-message-deflate", "false",
)  # fmt: skip
GRANIAN = (
    "-m", "granian", "--host", "127.0.0.1", "--interface", "wsgi", "--workers", "1",
    "--no-ws", "--http", "1", "--no-access-log", "--log-level", "warning",
)  # fmt: skip


def uvicorn(application: str, *, loop: str = "uvloop") -> tuple[str, ...]:
    """Return the command that serves a module of the project: one worker, httptools."""
    return (*UVICORN, "--loop", loop, f"benchmarks.project.{application}:application")


def granian(blocking_threads: int) -> tuple[str, ...]:
    """Return the command of granian's WSGI server with so many threads for Django."""
    threads = ("--blocking-threads", str(blocking_threads))
    return (*GRANIAN, *threads, "benchmarks.project.wsgi:application")


@dataclass
class Server:
    """One server process. Use it as a context manager: started and listening inside, gone after."""

    name: str
    command: Sequence[str]
    core: int
    logs: Path
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None
    pids: Sequence[int] = ()

    def __enter__(self) -> Self:
        self.port = _free_port()
        self.process = processes.start(
            [*self.command, "--port", str(self.port)],
            core=self.core,
            env={**self.env, "BENCH_SERVER": self.name},
            log=self.log,
        )
        try:
            self._wait_until_listening()
        except BaseException:
            processes.stop(self.process)
            raise
        self.pids = processes.family(self.process.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process is not None:
            processes.stop(self.process)

    @property
    def log(self) -> Path:
        return self.logs / f"{self.name}.log"

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pids)

    def _wait_until_listening(self, patience: float = 30.0) -> None:
        assert self.process is not None
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once:\n{self.log.read_text()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} does not listen:\n{self.log.read_text()}")


@contextmanager
def explained(server: Server) -> Iterator[None]:
    """Add to an error what the server said meanwhile."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{server.name} said:\n{server.log.read_text()[-2000:]}")
        raise


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
