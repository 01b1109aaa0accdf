"""Somebody who watches, in this very process: the ASGI application on an event loop in another thread."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.clients import SUBPROTOCOL
from benchmarks.live.project.counted import figures

PATIENCE = 20.0


@contextmanager
def somebody_watches(url: str) -> Iterator[None]:
    """Meanwhile there is a live subscription to this url."""
    visit = _Visit(url)
    thread = threading.Thread(target=lambda: asyncio.run(visit.run()), daemon=True)
    thread.start()
    try:
        if not visit.watching.wait(PATIENCE):
            raise TimeoutError(f"{url} is not watched: {visit.said}")
        yield
    finally:
        visit.leave()
        thread.join(PATIENCE)
    _wait_until_nobody_watches()


def _wait_until_nobody_watches() -> None:
    deadline = time.monotonic() + PATIENCE
    while figures["live_audiences"]:
        if time.monotonic() > deadline:
            raise TimeoutError("Somebody watches still.")
        time.sleep(0.01)


class _Visit:
    """A connection without a network."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave = asyncio.Event()
        self.watching = threading.Event()
        self.said: list[str] = []

    async def run(self) -> None:
        from benchmarks.live.project.asgi import application

        self._loop = asyncio.get_running_loop()
        subscribe = {"id": 1, "method": "SUBSCRIBE", "url": self._url, "live": True}
        events: list[dict[str, Any]] = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": json.dumps(subscribe)},
        ]

        async def receive() -> dict[str, Any]:
            if events:
                return events.pop(0)
            await self._leave.wait()
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(event: dict[str, Any]) -> None:
            text = event.get("text", "")
            self.said.append(text)
            if '"rev"' in text:
                self.watching.set()

        await application(_SCOPE, receive, send)

    def leave(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave.set)


_SCOPE = {
    "type": "websocket",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "scheme": "ws",
    "path": "/ws/",
    "raw_path": b"/ws/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
    "subprotocols": [SUBPROTOCOL],
    "extensions": {},
}
