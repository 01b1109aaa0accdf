"""A Tornado server in a thread of the tests' process, where a test can look inside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.urls import get_resolver
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application

from tests.support.server import Complaints
from wsrequest.session.registry import registry
from wsrequest.transports.opening import loop_ends
from wsrequest.transports.tornado import SockJSConnection, SockJSRouter, WebSocketHandler

TIMEOUT = 30  # seconds for anything that a server has to do

T = TypeVar("T")


class Negotiated(SockJSConnection):
    subprotocol = "wsrequest.v1.json"


class Greeting(SockJSConnection):
    def on_open(self, info: Any) -> None:
        super().on_open(info)
        self.send("connected")


class Keyed(WebSocketHandler):
    """Lets in who knows a word, and knows him by it."""

    def prepare(self) -> None:
        if self.get_argument("key", "") != "word":
            self.send_error(401)

    def get_current_user(self) -> str:
        return "ada"


class TornadoThread:
    """Serves the project on a free port, and at a Unix socket; the event loop is in debug mode."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tornado.sock")
        self.port = 0
        self.loop: asyncio.AbstractEventLoop
        self._up = threading.Event()
        self._end: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="tornado")
        self._complaints = Complaints("tornado.application", "tornado.general", "asyncio")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://{self.host}"

    def ws(self, path: str = "/ws/") -> str:
        return f"ws://{self.host}{path}"

    def start(self) -> TornadoThread:
        self._complaints.start()
        self._thread.start()
        assert self._up.wait(TIMEOUT), "the server did not start"
        return self

    def stop(self) -> None:
        """Stop it; fails where something was logged that nobody has asked for."""
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(TIMEOUT)
        self._complaints.stop()
        assert not self._thread.is_alive(), "the server did not stop"
        assert not self._complaints.seen, "\n".join(self._complaints.seen)

    def complaints(self) -> list[str]:
        """What it has complained about so far, which is then forgotten."""
        seen, self._complaints.seen = self._complaints.seen, []
        return seen

    async def acall(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        async with asyncio.timeout(TIMEOUT):
            return await asyncio.wrap_future(future)

    async def complained(self, text: str) -> None:
        """Wait until it has complained of this, and of nothing else."""
        async with asyncio.timeout(TIMEOUT):
            while not self._complaints.seen:  # noqa: ASYNC110 (another thread's logger)
                await asyncio.sleep(0.01)
        assert all(text in complaint for complaint in self.complaints())

    async def is_empty(self) -> None:
        """Wait until it has no connections."""
        async with asyncio.timeout(TIMEOUT):
            while any(member.loop is self.loop for member in registry.members):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _run(self) -> None:
        with asyncio.Runner(debug=True) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        quick = {"disconnect_delay": 2, "session_check_interval": 0.1}
        application = Application(
            [
                (r"/ws/.*", WebSocketHandler),
                (r"/keyed/", Keyed),
                *SockJSRouter(SockJSConnection, "/sockjs", quick).urls,
                *SockJSRouter(Negotiated, "/v1", quick).urls,
                *SockJSRouter(Greeting, "/greeting", quick).urls,
            ]
        )
        server = HTTPServer(application, xheaders=True)
        server.listen(0, "127.0.0.1")
        self.port = next(iter(server._sockets.values())).getsockname()[1]
        server.add_socket(bind_unix_socket(self.socket))
        self._up.set()
        await self._end.wait()
        await loop_ends()
        server.stop()
        await server.close_all_connections()


@pytest.fixture(scope="module")
def server(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TornadoThread]:
    get_resolver().url_patterns  # noqa: B018 (imported here: the first message would do it)
    running = TornadoThread(tmp_path_factory.mktemp("tornado")).start()
    yield running
    running.stop()
