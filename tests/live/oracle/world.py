"""The processes of a run: servers, and a shell beside them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.live.oracle.client import PATIENCE
from tests.support.server import ROOT, ServerProcess

PROJECT = "tests.live.oracle"


class ShellProcess:
    """See :mod:`tests.live.oracle.shell`."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._log = folder / "shell.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", f"{PROJECT}.shell"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=ROOT,
            )

    def __call__(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text()
        return json.loads(line)

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0, self._log.read_text()
        self._process.stdout.close()


class World:
    """``number`` servers; with a broker that all of them share, and the shell, where ``environment`` names one.

    ``live``: whether subscriptions are live; otherwise every step touches all urls that are watched.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        environment: dict[str, str],
        *,
        live: bool = True,
        patience: float = PATIENCE,
    ) -> None:
        self.live = live
        #: Seconds in which everybody has to be up to date.
        self.patience = patience
        self.servers = [ServerProcess(folder, PROJECT, **environment) for _ in range(number)]
        self.shell_writes = "WSREQUEST_TEST_BROKER" in environment
        self.runner = asyncio.Runner()
        #: Steps that were taken in all examples, and are wanted; and what happened in the present one. Each write is a
        #: step, and so is whatever else happens.
        self.steps = self.wanted = 0
        self.story: list[str] = []
        #: What went wrong first.
        self.failure = ""
        self.patches = self.replaces = self.ends = 0
        with ExitStack() as started:
            for server in self.servers:
                server.start()
                started.callback(server.kill)
            self.shell = ShellProcess(self.servers[0].environment, folder)
            started.pop_all()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def note(self, text: str, steps: int) -> None:
        self.steps += steps
        self.story.append(text)

    def fail(self, text: str) -> None:
        raise AssertionError(text)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell what went wrong first, and all that had happened before."""
        try:
            yield
        except Exception as error:
            if not self.failure:
                what = str(error) if type(error) is AssertionError else traceback.format_exc()
                before = f"after {self.steps} steps in all; this example:"
                self.failure = "\n".join([what, before, *self.story])
            raise

    def stop(self) -> None:
        self.runner.close()
        try:
            self.shell.stop()
        finally:
            for server in self.servers:
                server.stop()
