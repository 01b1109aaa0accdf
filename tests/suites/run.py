"""Running the two suites, each over HTTP's test client or over messages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.suites.compare import Run
from tests.suites.environment import BUILD, HERE, Environment, say

PROCESSES = "2"
# What a run over HTTP does not use.
MESSAGES_ONLY = {"bridge.py", "wire.py"}


@dataclass(frozen=True)
class Suite:
    """A suite, the share of it that is run, and how."""

    name: str
    folder: Path
    command: tuple[str, ...]
    python_path: tuple[Path, ...]

    @classmethod
    def of_django(cls, environment: Environment, labels: tuple[str, ...]) -> Suite:
        """Django's suite, on SQLite."""
        command = (
            str(environment.python),
            "runtests.py",
            "--settings=overmessage.django_settings",
            f"--parallel={PROCESSES}",
            *labels,
        )
        folder = environment.django / "tests"
        return cls("django", folder, command, (HERE / "inside", folder))

    @classmethod
    def of_drf(cls, environment: Environment, labels: tuple[str, ...]) -> Suite:
        """Django REST framework's suite."""
        options = ("-q", "-p", "overmessage.drf_plugin", "-p", "no:randomly")
        command = (
            str(environment.python),
            "-m",
            "pytest",
            *options,
            "-p",
            "no:cacheprovider",
            *labels,
        )
        return cls("drf", environment.drf, command, (HERE / "inside", environment.drf))

    def run_http(self, *, fresh: bool) -> Run:
        """Run it as it is. The same suite with the same tests is not run again."""
        log = BUILD / f"{self.name}-http-{self.fingerprint}.jsonl"
        if log.exists() and not fresh:
            say("kept", f"{self.name} over HTTP, from an earlier run")
        else:
            unfinished = log.with_suffix(".unfinished")
            self.run("http", unfinished, {})
            unfinished.rename(log)
        return Run.read(log.read_text().splitlines())

    def run_message(self, extra: dict[str, str]) -> Run:
        """Run it with each request as a message."""
        log = BUILD / f"{self.name}-message.jsonl"
        self.run("message", log, extra)
        return Run.read(log.read_text().splitlines())

    def run(self, mode: str, log: Path, extra: dict[str, str]) -> None:
        """Run the suite; its own output goes to a file beside the log."""
        log.unlink(missing_ok=True)
        output = BUILD / f"{self.name}-{mode}.txt"
        say("running", f"{self.name} {'over HTTP' if mode == 'http' else 'as messages'} ...")
        started = time.monotonic()
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        variables = {
            "PYTHONPATH": os.pathsep.join([*map(str, self.python_path), *inherited]),
            "WSREQUEST_SUITES_MODE": mode,
            "WSREQUEST_SUITES_LOG": str(log),
            **extra,
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PYTEST_"))}
        with output.open("w") as file:
            subprocess.run(
                self.command,
                cwd=self.folder,
                env=kept | variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if not log.exists():
            sys.exit(f"The {self.name} suite did not start:\n{output.read_text()[-4000:]}")
        say("took", f"{time.monotonic() - started:.0f} s, output in {output.relative_to(BUILD)}")

    @property
    def fingerprint(self) -> str:
        """What a run over HTTP depends on, in few characters."""
        parts = [*self.command, str(self.folder), sys.version]
        code = [path for path in (HERE / "inside").rglob("*.py") if path.name not in MESSAGES_ONLY]
        parts += [path.read_text() for path in sorted(code)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
