"""Ways to run a message in a test: over a runner with a sink, and over the ASGI application."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from django.core.signals import request_finished, request_started
from django.dispatch import Signal

from wsrequest.asgi import get_asgi_application
from wsrequest.conf import get_settings
from wsrequest.errors import WSRequestError
from wsrequest.lifecycle.request import RequestFactory, SocketRequest
from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.runner import Call, PoolRunner
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Request

#: Seconds after which a test that waits for an event has failed.
PATIENCE = 20

HOST = (b"host", b"testserver")
ORIGIN = (b"origin", b"http://testserver")


def message(url: str, method: str = "GET", **fields: Any) -> Request:
    """A message as the codec gives it to a session."""
    text = json.dumps({"url": url, "method": method, **fields})
    (request,) = JSONCodec().decode(text, Limits())
    assert isinstance(request, Request), request
    return request


def factory(
    *headers: tuple[bytes, bytes], meta: Mapping[str, Any] | None = None, **facts: Any
) -> RequestFactory:
    """The request factory of a connection that was opened with these headers."""
    handshake = Handshake(path="/ws/", headers=(HOST, *headers), **facts)
    return RequestFactory(handshake, get_settings(), meta=meta)


def build(url: str, method: str = "GET", **fields: Any) -> SocketRequest:
    """The HttpRequest of a message on a plain connection."""
    return factory().build(message(url, method, **fields), "", trusted=True)


class Recorder:
    """A sink that remembers what it was told; every call must come on the loop."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.replies: list[Reply] = []
        self.errors: list[WSRequestError | None] = []
        self.heads: list[Reply] = []
        self.chunks: list[bytes] = []
        self.ends = 0
        self.abandoned = False
        self.task: asyncio.Task[None] | None = None
        self.done = asyncio.Event()
        self.begun = asyncio.Event()
        self.got_chunk = asyncio.Event()

    def running(self, task: asyncio.Task[None]) -> None:
        self._on_loop()
        self.task = task

    def respond(self, reply: Reply) -> None:
        self._on_loop()
        self.replies.append(reply)

    def fail(self, error: WSRequestError) -> None:
        self._on_loop()
        self.errors.append(error)

    async def begin(self, head: Reply) -> None:
        self._on_loop()
        self.heads.append(head)
        self.begun.set()

    async def chunk(self, chunk: bytes) -> None:
        self._on_loop()
        self.chunks.append(chunk)
        self.got_chunk.set()

    def end(self, error: WSRequestError | None) -> None:
        self._on_loop()
        self.ends += 1
        if error is not None:
            self.errors.append(error)

    def finished(self) -> None:
        self._on_loop()
        assert not self.done.is_set(), "finished twice"
        self.done.set()

    async def wait(self) -> Recorder:
        await asyncio.wait_for(self.done.wait(), PATIENCE)
        return self

    @property
    def reply(self) -> Reply:
        (reply,) = self.replies
        return reply

    @property
    def text(self) -> str:
        """The body, whether it came whole, as JSON or as a stream."""
        if self.heads:
            return b"".join(self.chunks).decode()
        return body(self.reply)

    @property
    def status(self) -> int:
        return (self.heads or self.replies)[0].status

    def _on_loop(self) -> None:
        assert threading.get_ident() == self.thread, "the sink was called off the loop"


def body(reply: Reply) -> str:
    return reply.data if isinstance(reply.data, str) else bytes(reply.data).decode()  # type: ignore[arg-type]


def call(request: Request, *, requests: RequestFactory | None = None, trusted: bool = True) -> Call:
    omitted = frozenset(get_settings().omit_response_headers)
    return Call(requests or factory(), request, "", trusted, omitted, JSONCodec())


def start(runner: PoolRunner, url: str, method: str = "GET", **fields: Any) -> Recorder:
    """Start a message; ``await recorder.wait()`` for its end."""
    recorder = Recorder()
    runner.start(call(message(url, method, **fields)), contextvars.copy_context(), recorder)
    return recorder


async def run(runner: PoolRunner, url: str, method: str = "GET", **fields: Any) -> Recorder:
    return await start(runner, url, method, **fields).wait()


class Socket:
    """A client of the ASGI application, without a server between them."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages: list[dict[str, Any]] = []
        self._ids = iter(range(1, 1_000_000))
        self.accepted: dict[str, Any] = {}

    async def receive_event(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.from_server.get(), PATIENCE)

    async def send(self, payload: Any) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        await self.to_server.put({"type": "websocket.receive", "text": text})

    async def next(self) -> dict[str, Any]:
        """The next message of the server, whichever frame brought it."""
        while not self.messages:
            event = await self.receive_event()
            assert event["type"] == "websocket.send", event
            frame = json.loads(event["text"])
            self.messages.extend(frame if isinstance(frame, list) else [frame])
        return self.messages.pop(0)

    async def request(self, url: str, method: str = "GET", **fields: Any) -> dict[str, Any]:
        """A request's answer; of a stream the head, with the chunks joined as ``data``."""
        number = next(self._ids)
        await self.send({"id": number, "url": url, "method": method, **fields})
        answer = await self.next()
        assert answer["id"] == number, answer
        if not answer.get("more"):
            return answer
        parts = []
        while not (part := await self.next()).get("end"):
            parts.append(part["chunk"])
        return {**answer, "data": "".join(parts), "chunks": parts, "end": part}


@asynccontextmanager
async def connected(
    *headers: tuple[bytes, bytes], subprotocols: Sequence[str] = (), **scope: Any
) -> AsyncIterator[Socket]:
    """A connection of its own; with ``subprotocols`` the first message is ``hello``."""
    facts: dict[str, Any] = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/ws/",
        "raw_path": b"/ws/",
        "query_string": b"",
        "root_path": "",
        "headers": [HOST, *headers],
        "client": ("203.0.113.7", 5000),
        "server": ("testserver", 80),
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
    socket = Socket(facts | scope)
    application = get_asgi_application()
    await socket.to_server.put({"type": "websocket.connect"})
    server = asyncio.create_task(
        application(socket.scope, socket.to_server.get, socket.from_server.put)
    )
    try:
        socket.accepted = await socket.receive_event()
        yield socket
        await socket.to_server.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(server, PATIENCE)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


@contextmanager
def listening(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


class SignalLog:
    """request_started and request_finished, each with the thread on which it was sent."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def threads(self) -> set[int]:
        return {thread for _, thread in self.events}

    def started(self, **kwargs: Any) -> None:
        self.events.append(("started", threading.get_ident()))

    def finished(self, **kwargs: Any) -> None:
        self.events.append(("finished", threading.get_ident()))


@contextmanager
def signal_log() -> Iterator[SignalLog]:
    log = SignalLog()
    with listening(request_started, log.started), listening(request_finished, log.finished):
        yield log
