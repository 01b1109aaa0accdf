"""Pages in a real Chromium, a server that may be killed, and a wire between them that may be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from tests.faults.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

PATIENCE = 60_000  # ms

#: What every page has: the client, one connection, and a list for each thing that it hears.
START = """async (options) => {
  const client = await import("/static/wsrequest/wsrequest.js");
  Object.assign(window, client, { states: [], events: [], snapshots: [], people: [], notices: [] });
  window.ws = new client.WSRequest("/ws/", options);
  ws.on("state", ({ state }) => states.push(state));
}"""


class Tab:
    """A page with a connection."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sockets: list[Any] = []
        page.on("websocket", self.note)

    def note(self, socket: Any) -> None:
        self.sockets.append(socket)

    async def run(self, code: str, argument: Any = None) -> Any:
        """What a function (or an expression) of JavaScript gives; promises are awaited."""
        return await self.page.evaluate(code, argument)

    async def sees(self, condition: str) -> None:
        """Wait until an expression is true in the page."""
        await self.page.wait_for_function(f"() => {condition}", timeout=PATIENCE)


class Site:
    """The server, and what tests say to it without a page."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.client = httpx.AsyncClient(base_url=process.http, timeout=PATIENCE / 1000)

    async def add(self, *slugs: str, text: str = "") -> None:
        for slug in slugs:
            answer = await self.client.post("/board/", json={"slug": slug, "text": text})
            assert answer.status_code == 201

    async def counters(self) -> dict[str, int]:
        counted: dict[str, int] = (await self.client.get("/counters/")).json()
        return counted

    async def counted(self, name: str, number: int) -> None:
        """Wait until it has happened so often; that is told to nobody."""
        async with asyncio.timeout(PATIENCE / 1000):
            while (await self.counters()).get(name, 0) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def empty(self) -> None:
        for slug in (await self.client.get("/board/")).json()["notes"]:
            assert (await self.client.delete(f"/board/{slug}/")).status_code == 204


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with RedisServer() as valkey:
        running = ServerProcess(
            tmp_path_factory.mktemp("browser"),
            "tests.browser.site",
            WSREQUEST_TEST_BROKER=valkey.url,
        ).start()
        yield running
        running.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def site(process: ServerProcess) -> AsyncIterator[Site]:
    site = Site(process)
    async with site.client:
        await site.empty()
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def wire(process: ServerProcess) -> AsyncIterator[Proxy]:
    """Between the browser and the server."""
    async with Proxy(process.port).running() as wire:
        yield wire


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """One person's browser: its tabs share cookies, and a SharedWorker."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    yield context
    await context.close()


NewTab = Callable[..., Awaitable[Tab]]


@pytest.fixture
def new_tab(context: BrowserContext, site: Site, wire: Proxy) -> NewTab:
    async def open_tab(start: str = START, options: Any = None, *, clock: bool = False) -> Tab:
        tab = Tab(await context.new_page())
        if clock:
            await tab.page.clock.install()
        await tab.page.goto(f"http://127.0.0.1:{wire.port}/page/")
        await tab.run(start, options or {})
        return tab

    return open_tab


@pytest_asyncio.fixture(loop_scope="session")
async def tab(new_tab: NewTab) -> Tab:
    return await new_tab()
