"""A real uvicorn: in a thread of the tests' process, where a test can look inside, or in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from tests.support.ports import free_port
from wsrequest.asgi import get_asgi_application

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 30  # seconds for anything that a server has to do

T = TypeVar("T")


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()


#: uvicorn says so of every handshake that the application answers with an HTTP response.
HARMLESS = "ASGI callable returned without completing handshake."


class Complaints(logging.Handler):
    """What a server or its loop complained about: an exception that nobody handled."""

    def __init__(self, *loggers: str) -> None:
        super().__init__(logging.ERROR)
        self._loggers = loggers
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() != HARMLESS:
            self.seen.append(self.format(record))

    def start(self) -> None:
        for name in self._loggers:
            logging.getLogger(name).addHandler(self)

    def stop(self) -> None:
        for name in self._loggers:
            logging.getLogger(name).removeHandler(self)


class ServerThread:
    """Serves the project on a free port; the event loop is in debug mode."""

    def __init__(self, *, debug: bool = True, application: Any = None, **options: Any) -> None:
        self._debug = debug
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.http = f"http://{self.host}"
        self.ws = f"ws://{self.host}/ws/"
        self.application = application or get_asgi_application()
        defaults: dict[str, Any] = {
            "loop": "asyncio",
            "ws_per_message_deflate": False,
            "log_config": None,
            "access_log": False,
            "timeout_graceful_shutdown": 5,
        }
        self._server = _Uvicorn(uvicorn.Config(self.application, **defaults | options))
        self._thread = threading.Thread(target=self._run, name="server")
        self._complaints = Complaints("uvicorn.error", "asyncio")

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self._server.loop is not None
        return self._server.loop

    def start(self) -> ServerThread:
        self._complaints.start()
        self._thread.start()
        assert self._server.up.wait(TIMEOUT), "the server did not start"
        return self

    def stop(self) -> None:
        """Stop it; fails where it logged an exception that nobody handled."""
        self._server.should_exit = True
        self._thread.join(TIMEOUT)
        self._complaints.stop()
        self._socket.close()
        assert not self._thread.is_alive(), "the server did not stop"
        assert not self._complaints.seen, "\n".join(self._complaints.seen)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT)

    async def acall(self, work: Coroutine[Any, Any, T]) -> T:
        """The same for a test that has a loop of its own."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        async with asyncio.timeout(TIMEOUT):
            return await asyncio.wrap_future(future)

    def complaints(self) -> list[str]:
        """What it has complained about so far, which is then forgotten."""
        seen, self._complaints.seen = self._complaints.seen, []
        return seen

    async def connections_gone(self) -> None:
        """Wait until every connection, and each task that one of them started, has ended."""
        await self.acall(self._only_base_tasks())

    async def connection_count_below(self, count: int) -> None:
        """To be run on the server's loop: wait until sessions that are closing have ended."""
        tasks = {task for task in asyncio.all_tasks() if _is_connection(task)}
        while len(tasks) >= count:
            _, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _only_base_tasks(self) -> None:
        base = {"Server.serve", "LifespanOn.main", "_only_base_tasks"}
        while others := {task for task in asyncio.all_tasks() if _name(task) not in base}:
            await asyncio.wait(others)

    def _run(self) -> None:
        with asyncio.Runner(debug=self._debug) as runner:
            runner.run(self._server.serve(sockets=[self._socket]))


def _name(task: asyncio.Task[Any]) -> str:
    name: str = getattr(task.get_coro(), "__qualname__", "")
    return name.removeprefix("ServerThread.")


def _is_connection(task: asyncio.Task[Any]) -> bool:
    return _name(task).endswith(".run_asgi")


class ServerProcess:
    """Serves a project in a process of its own, with uvloop where there is one, and every warning an error.

    ``project`` is the package of its settings and its ASGI application; ``ignored`` are warnings that are none
    (as for ``-W``); ``environment`` is added to its environment. Those of one folder share a database.
    """

    def __init__(
        self,
        folder: Path,
        project: str = "tests.project",
        ignored: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        self._project = project
        self._added = environment
        self._warnings = [word for each in ("error", *ignored) for word in ("-W", each)]
        self.log = folder / "server.log"
        self._database = folder / "project.sqlite3"
        self.port = free_port()
        self.http = f"http://127.0.0.1:{self.port}"
        self.ws = f"ws://127.0.0.1:{self.port}/ws/"
        self._process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def start(self) -> ServerProcess:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": f"{self._project}.settings",
            "WSREQUEST_TEST_DATABASE": str(self._database),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(
                ":"
            ),
            **self._added,
        }
        self.manage("migrate", "--run-syncdb", "--verbosity", "0")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, *self._warnings, "-m", "uvicorn", "--host", "127.0.0.1"),
                    *("--port", str(self.port), "--log-level", "warning"),
                    *("--ws-per-message-deflate", "false", f"{self._project}.asgi:application"),
                ],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + TIMEOUT
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no answer in time: {self.log.read_text()}"
            time.sleep(0.05)
        return self

    def manage(self, *arguments: str) -> None:
        """Run a management command."""
        subprocess.run(
            [sys.executable, "-m", "django", *arguments], env=self.environment, check=True
        )

    def stop(self) -> None:
        """End it as a deploy does; fails where it had ended by itself, or logged a traceback."""
        assert self._process is not None
        status = self._process.poll()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        text = self.log.read_text()
        assert status is None, text
        assert "Traceback" not in text, text

    def kill(self) -> None:
        """End it as nothing can prevent."""
        assert self._process is not None
        self._process.kill()
        self.killed()

    def killed(self) -> int:
        """Wait until it has been killed, and say by which signal."""
        assert self._process is not None
        return -self._process.wait(TIMEOUT)

    def _answers(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
