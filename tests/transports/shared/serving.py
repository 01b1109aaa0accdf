"""A carrier's server, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.support.ports import free_port
from tests.support.server import ROOT
from tests.transports.shared.carrier import Carrier, Site

PATIENCE = 60  # seconds for a process to start, or to end

#: What some views raise: where a server has set up logging, it is logged.
OF_VIEWS = "\ntests.project.views.Unforeseen"

SETTINGS = "tests.transports.shared.site.settings"


def environment(folder: Path, broker: str, doorkeeper: int) -> dict[str, str]:
    """Of each process; all of them share a database, a broker and a door."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "DOORKEEPER": str(doorkeeper),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "WSREQUEST_TEST_BROKER": broker,
        "WSREQUEST_TEST_DATABASE": str(folder / "shared.sqlite3"),
    }


def make_database(environment: dict[str, str]) -> None:
    """With the users "ada" and "bob", whose password is "secret"."""
    program = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', run_syncdb=True, verbosity=0)\n"
        "from django.contrib.auth.models import User\n"
        "for name in ('ada', 'bob'):\n"
        "    User.objects.create_user(name, password='secret')\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


class Serving:
    """A server that is started when it is needed first, and again once a test has ended it."""

    def __init__(self, carrier: Carrier, environment: dict[str, str]) -> None:
        self.carrier = carrier
        self._environment = environment | carrier.environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._site = Site(0)

    def site(self) -> Site:
        """Where it answers."""
        if self._process is None:
            self._start()
        return self._site

    def terminate(self) -> None:
        """As a deploy does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for its end, and say its exit code."""
        assert self._process is not None
        code = self._process.wait(PATIENCE)
        self._process = None
        return code

    def close(self) -> None:
        """It must not have logged a traceback that is not its own."""
        if self._process is not None:
            self.terminate()
            try:
                self._process.wait(PATIENCE)
            finally:
                if self._process.poll() is None:
                    self._process.kill()
                    self._process.wait()
        text = self._said()
        self._log.close()
        own = sum(text.count(error) for error in (*self.carrier.complains, OF_VIEWS))
        assert text.count("Traceback") == own, text

    def _start(self) -> None:
        port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, *self.carrier.command(port)],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
        )
        self._site = Site(port)
        end = time.monotonic() + PATIENCE
        while not _answers(port):
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < end, self._said()
            time.sleep(0.02)

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
