"""A real Chromium behind a proxy that breaks WebSockets: the client finds its way around, and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, WebSocket, expect

import wsrequest
from tests.faults.proxy import Proxy
from tests.support.chromium import launched
from tests.support.server import ServerThread
from wsrequest import publish

pytestmark = pytest.mark.browser

STATIC = Path(wsrequest.__file__).parent / "static" / "wsrequest"
PATIENCE = 60_000  # ms

PAGE = """<ul id="events"></ul>"""
SCRIPT = """
  import { WSRequest } from "/static/wsrequest/wsrequest.js";
  import { withFallback } from "/static/wsrequest/stream.js";
  const ws = window.ws = new WSRequest("/ws/", {
    socket: withFallback({ timeout: 5_000, retry: 500 }),
  });
  ws.subscribe("/notes/", {
    onEvent: ({ event }) => {
      document.querySelector("#events").insertAdjacentHTML("beforeend", `<li>${event}</li>`);
    },
  });
"""


class BreakingProxy(Proxy):
    """Answers upgrades by itself while it ``breaks`` them, as some virus scanners and old proxies do."""

    breaks = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._take(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.breaks and b"upgrade: websocket" in head.lower():
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        back.write(head)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))


@pytest.fixture
async def proxy(server: ServerThread) -> AsyncIterator[Proxy]:
    async with BreakingProxy(server.port).running() as running:
        yield running


async def serve(route: Route) -> None:
    """The built scripts, as ``collectstatic`` would have them."""
    name = route.request.url.rpartition("/")[2]
    await route.fulfill(path=STATIC / name, content_type="text/javascript")


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[Page]:
    async with launched() as browser:
        context = await browser.new_context()
        context.set_default_timeout(PATIENCE)
        opened = await context.new_page()
        await opened.route("**/*.js", serve)
        # Really served: Chromium lets no other page open a WebSocket to an address of this machine.
        await opened.goto(f"http://127.0.0.1:{proxy.port}/hello/")
        await opened.evaluate("html => (document.body.innerHTML = html)", PAGE)
        yield opened
        await context.close()


async def test_there_and_back(page: Page, proxy: BreakingProxy) -> None:
    sockets: list[WebSocket] = []
    posts: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 (it wants a function)
    page.on("request", lambda request: posts.append(request.url.rpartition("/ws/")[2]))
    await page.add_script_tag(content=SCRIPT, type="module")
    await page.wait_for_function("window.ws")

    # Two WebSockets are tried; then messages go by the stream.
    assert await page.evaluate("ws.get('/hello/')") == "hello"
    assert (len(sockets), posts.count("events/")) == (2, 1)
    assert posts.count("messages/") >= 1
    echo = "ws.post('/echo/', {text: 'größe'}).then(({body, user}) => [body.start, user])"
    assert await page.evaluate(echo) == [
        """b'{"text":"gr\\xc3\\xb6\\xc3\\x9fe"}'""",
        "AnonymousUser",
    ]
    await asyncio.to_thread(publish, "/notes/", None, event="by-stream")
    await expect(page.locator("li")).to_have_text(["by-stream"], timeout=PATIENCE)

    # Once WebSockets work again, the client goes back to one, and nothing is lost.
    proxy.breaks = False
    async with asyncio.timeout(PATIENCE / 1000):
        before = -1
        while len(posts) != before:
            before = len(posts)
            assert await page.evaluate("ws.get('/hello/')") == "hello"
    await asyncio.to_thread(publish, "/notes/", None, event="by-socket")
    await expect(page.locator("li")).to_have_text(["by-stream", "by-socket"], timeout=PATIENCE)
    assert len(posts) == before
    await page.evaluate("ws.close()")
