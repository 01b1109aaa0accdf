"""`manage.py runserver` of a project as `startproject` makes it, run as a developer runs it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.slow

VIEWS = """

import time
from django.http import HttpResponse
from django.shortcuts import render


def slow(request):
    print("slow begins", flush=True)
    time.sleep(600)
    return HttpResponse()


def page(request):
    return render(request, "page.html")


urlpatterns += [path("slow/", slow), path("page/", page)]
"""

SETTINGS = """
INSTALLED_APPS.insert(0, "wsrequest")
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
"""

#: Far more than anything here takes.
PATIENCE = 100


class Run:
    """A `runserver` on a free port; what it prints is read line by line."""

    def __init__(self, folder: Path, *arguments: str, port: str = "0") -> None:
        self.printed: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            # A shell's background processes, as these may be, ignore SIGINT, and so does what they start.
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                "manage.py",
                "runserver",
                *arguments,
                port,
            ],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "DJANGO_SETTINGS_MODULE": "mysite.settings",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def until(self, text: str) -> str:
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError("\n".join([f"no {text!r} in:", *self.printed])) from None
            self.printed.append(line)
            if text in line:
                return line

    def listens(self) -> None:
        """Wait for it to say where, and to answer."""
        self.port = int(re.search(r":(\d+)/", self.until("WebSockets at ws://"))[1])
        while self.process.poll() is None:
            try:
                self.get("/page/")
            except OSError:  # granian listens a little later than it is said
                time.sleep(0.05)
            else:
                return

    def get(self, path: str) -> tuple[int, str]:
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""

    def connect(self, path: str = "/ws/"):
        origin = f"http://127.0.0.1:{self.port}"
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(
            url, subprotocols=["wsrequest.v1.json"], origin=origin, open_timeout=PATIENCE
        )

    def interrupt(self) -> int:
        """Ctrl+C in its terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(timeout=PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    command = [sys.executable, "-m", "django", "startproject", "mysite", "."]
    subprocess.run(command, cwd=folder, check=True)
    with (folder / "mysite/urls.py").open("a") as urls:
        urls.write(VIEWS)
    with (folder / "mysite/settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "templates").mkdir()
    (folder / "templates/page.html").write_text("one")
    return folder


@pytest.fixture
def run(project):
    runs: list[Run] = []

    def start(*arguments: str, port: str = "0") -> Run:
        runs.append(Run(project, *arguments, port=port))
        return runs[-1]

    yield start
    for one in runs:
        one.end()


def ask(server: Run, url: str) -> int:
    with server.connect() as client:
        client.recv(timeout=PATIENCE)
        client.send(json.dumps({"id": 1, "url": url}))
        return json.loads(client.recv(timeout=PATIENCE))["status"]


def test_it_serves_all_and_starts_again_when_a_file_changes(run, project):
    server = run()
    server.listens()
    printed = "\n".join(server.printed)
    assert "Performing system checks..." in printed
    assert (
        "wsrequest.W012" in printed
    )  # asgi.py is as startproject makes it; this server does without
    assert "unapplied migration(s)" in printed
    assert f"Starting development server at http://127.0.0.1:{server.port}/" in printed
    assert re.search(r"WebSockets at ws://127\.0\.0\.1:\d+/ws/, by uvicorn [\d.]+", printed)

    assert server.get("/static/admin/css/base.css")[0] == 200
    assert server.get("/nowhere/?a=1") == (404, "")
    assert ask(server, "/page/?token=secret") == 200
    with pytest.raises(InvalidStatus) as refused:
        server.connect("/elsewhere/")
    assert refused.value.response.status_code == 404

    when = r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] "
    for line in (
        r'"GET /page/ HTTP/1.1" 200 3',
        r'"GET /static/admin/css/base.css HTTP/1.1" 200 \d+',
        r'"GET /nowhere/\?a=1 HTTP/1.1" 404 \d+',
        r'"WebSocket /ws/" 101 wsrequest.v1.json',
        r'"GET /page/ WebSocket" 200 -',
        r'"WebSocket /elsewhere/" 404 -',
    ):
        found = any(re.fullmatch(when + line, said) for said in server.printed)
        if not found:
            server.until(re.sub(r"\\d\+|\\", "", line))

    page = project / "templates/page.html"
    page.write_text("two")  # which needs no other process
    while server.get("/page/") != (200, "two"):
        os.utime(page)  # Django sees that a file has changed only if it has looked at it before

    threading.Thread(target=lambda: ignoring(server.get, "/slow/"), daemon=True).start()
    server.until("slow begins")  # and would go on for ten minutes
    (project / "mysite/more.py").write_text("")
    os.utime(project / "mysite/urls.py")
    server.until("urls.py changed, reloading.")
    server.listens()
    assert ask(server, "/page/") == 200

    threading.Thread(target=lambda: ignoring(server.get, "/slow/"), daemon=True).start()
    server.until("slow begins")
    with server.connect():
        assert server.interrupt() == 0
    assert "Traceback" not in "\n".join(server.printed)


def ignoring(function, argument):
    """What it makes of a server that goes away is not of interest."""
    with contextlib.suppress(OSError):
        function(argument)


@pytest.mark.parametrize("name", ["hypercorn", "daphne", "granian"])
def test_other_servers(run, name):
    server = run("--noreload", "--server", name, "--skip-checks")
    server.listens()
    assert f"by {name} " in server.printed[-1]
    assert server.get("/static/admin/css/base.css")[0] == 200
    assert ask(server, "/page/") == 200
    server.until('"GET /page/ WebSocket" 200 -')
    server.interrupt()
    assert "Traceback" not in "\n".join(server.printed)


def test_a_port_in_use_is_said_as_django_says_it(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = run("--noreload", port=str(taken.getsockname()[1]))
        server.until("Error: That port is already in use.")
        assert server.process.wait(timeout=PATIENCE) == 1


def test_without_asgi_it_is_djangos_own(run):
    server = run("--noreload", "--noasgi", "--nostatic", "--ipv6")
    said = server.until("development server at http://[::1]:")
    port = re.search(r":(\d+)/$", said)[1]
    server.until("Quit the server")
    url = f"http://[::1]:{port}/static/admin/css/base.css"
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(url, timeout=PATIENCE)
    assert missing.value.code == 404
    missing.value.close()
    assert server.interrupt() == 0
    assert not any("WebSockets" in line for line in server.printed)
