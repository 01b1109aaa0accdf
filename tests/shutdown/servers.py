"""The ASGI servers, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.shutdown.doorkeeper import Doorkeeper, doorkeeper
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20
APPLICATION = "tests.shutdown.project:application"


@dataclass(frozen=True)
class Kind:
    """A server, and what is its own about its end."""

    name: str
    arguments: tuple[str, ...]
    address: Callable[[int], tuple[str, ...]]
    #: Of the process, after a SIGTERM.
    exit_code: int
    #: What a client sees that is still connected when the server ends.
    cut: int
    #: The options that make it ping often; none where it can't ping.
    pings: tuple[str, ...] = ()
    #: A PING_INTERVAL of which two are enough for such a ping to come.
    heartbeat: float = 0.6
    #: A second SIGTERM reaches the process that serves.
    hears_twice: bool = True
    #: It logs an error when it cuts a connection.
    complains: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "uvicorn",
            ("uvicorn", "--log-level", "warning"),
            lambda port: ("--host", "127.0.0.1", "--port", str(port)),
            exit_code=-signal.SIGTERM,
            pings=("--ws-ping-interval", "0.2"),
            cut=1012,
        ),
        Kind(
            "hypercorn",
            ("hypercorn", "--log-level", "warning", "--graceful-timeout", "30"),
            lambda port: ("--bind", f"127.0.0.1:{port}"),
            exit_code=0,
            pings=("--websocket-ping-interval", "1"),
            cut=1011,
            hears_twice=False,  # its worker hears of the end when it has begun, and only once
        ),
        Kind(
            "hypercorn-alone",
            ("hypercorn", "--log-level", "warning", "--workers", "0", "--graceful-timeout", "1"),
            lambda port: ("--bind", f"127.0.0.1:{port}"),
            exit_code=0,
            pings=("--websocket-ping-interval", "1"),
            cut=1011,
            complains=True,
        ),
        Kind(
            "daphne",
            ("daphne", "--verbosity", "0"),
            lambda port: ("--bind", "127.0.0.1", "--port", str(port)),
            exit_code=0,
            pings=("--ping-interval", "1"),
            heartbeat=1.7,  # it looks every two seconds whom to ping
            cut=1006,
        ),
        Kind(
            "granian",
            ("granian", "--interface", "asgi", "--log-level", "warning"),
            lambda port: ("--host", "127.0.0.1", "--port", str(port)),
            exit_code=0,
            cut=1006,
            hears_twice=False,  # the main process keeps it from its workers
        ),
    )
}


class Server:
    def __init__(self, kind: Kind, port: int, process: asyncio.subprocess.Process) -> None:
        self.kind = kind
        self.process = process
        self.port = port
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws/"

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """As Ctrl+C does."""
        self.process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Wait for the process's end, and say its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def server(
    name: str, *options: str, **settings: Any
) -> AsyncIterator[tuple[Server, Doorkeeper]]:
    """This server, with these values of ``WSREQUEST``, when it answers; and where its views wait. It must not log a
    traceback."""
    async with doorkeeper() as door, _running(KINDS[name], door.port, options, settings) as it:
        yield it, door


@asynccontextmanager
async def _running(
    kind: Kind, doorkeeper: int, options: tuple[str, ...], settings: dict[str, Any]
) -> AsyncIterator[Server]:
    port = free_port()
    environment = {
        **os.environ,
        "DOORKEEPER": str(doorkeeper),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "WSREQUEST": json.dumps(settings),
    }
    arguments = (*kind.arguments, *kind.address(port), *options, APPLICATION)
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, env=environment, stdout=log, stderr=log
        )
        try:
            await _answers(port, process)
            yield Server(kind, port, process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            log.seek(0)
            text = log.read().decode()
            print(text)
        assert kind.complains or "Traceback" not in text, text


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.returncode is None, "the server did not start"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
