"""sockjs-client itself, in a real Chromium, by each of its ways: alone, and below the package's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import wsrequest
from tests.faults.proxy import Proxy
from tests.support.node import JS, node
from tests.transports.shared.carriers import CARRIERS
from tests.transports.shared.serving import Serving
from tests.transports.shared.test_push import beside
from wsrequest import publish

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

pytestmark = [
    pytest.mark.browser,
    pytest.mark.node,
    pytest.mark.asyncio(loop_scope="session"),
]

STATIC = Path(wsrequest.__file__).parent / "static" / "wsrequest"
PATIENCE = 60_000  # ms
WAYS = ("websocket", "xhr-streaming", "xhr-polling")

#: As a page of 2014 did it: each message is answered in its order.
ALONE = """(way) => new Promise((resolve) => {
  const socket = new SockJS("/sockjs", null, { transports: [way] });
  const heard = [];
  socket.onopen = () => {
    for (const url of ["/hello/", "/echo/größe", "/nowhere/"]) socket.send(JSON.stringify({ method: "GET", url }));
  };
  socket.onmessage = ({ data }) => {
    heard.push(JSON.parse(data));
    if (heard.length === 3) socket.close();
  };
  socket.onclose = ({ code }) => resolve({ heard, code });
})"""

#: SockJS carries the frames of the package's client.
BELOW = """async (ways) => {
  const { WSRequest } = await import("/static/wsrequest/wsrequest.js");
  Object.assign(window, { all: {}, sockets: {}, events: {} });
  for (const way of ways) {
    const ws = (all[way] = new WSRequest("/sockjs-v1", {
      socket: (url) => (sockets[way] = new SockJS(url.replace("ws", "http"), null, { transports: [way] })),
    }));
    events[way] = [];
    ws.subscribe("/log/sockjs/", { onEvent: ({ data }) => events[way].push(data) });
  }
}"""

REFUSED = """(way) => new Promise((resolve) => {
  const socket = new SockJS(location.origin.replace("127.0.0.1", "localhost") + "/sockjs", null, { transports: [way] });
  socket.onclose = ({ code, reason }) => resolve({ code, reason });
})"""


@pytest.fixture(scope="module")
def tornado(surroundings: dict[str, str]) -> Iterator[Serving]:
    server = Serving(CARRIERS["tornado"], surroundings)
    yield server
    server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def wire(tornado: Serving) -> AsyncIterator[Proxy]:
    """The server has another port after a restart; the page has not."""
    async with Proxy(tornado.site().port).running() as wire:
        yield wire


async def serve(route: Route) -> None:
    """The built scripts, as ``collectstatic`` would have them."""
    name = route.request.url.rpartition("/")[2]
    await route.fulfill(path=STATIC / name, content_type="text/javascript")


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, wire: Proxy) -> AsyncIterator[Page]:
    await asyncio.to_thread(node, "--version")  # sees to it that npm's packages are there
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    await page.route("**/static/**", serve)
    await page.goto(f"http://127.0.0.1:{wire.port}/sockjs")
    await page.add_script_tag(path=JS / "node_modules/sockjs-client/dist/sockjs.min.js")
    yield page
    await context.close()


@pytest.mark.parametrize("way", WAYS)
async def test_alone(page: Page, way: str) -> None:
    said = await page.evaluate(ALONE, way)
    hello, echo, missing = said["heard"]
    assert (hello["status"], hello["data"]) == (200, "hello")
    assert (echo["data"]["rest"], echo["data"]["user"]) == ("größe", "AnonymousUser")
    assert missing["status"] == 404
    assert said["code"] == 1000


@pytest.mark.parametrize("way", WAYS)
async def test_a_foreign_page(page: Page, way: str) -> None:
    """Another host name is another origin. What it may read is the close code."""
    said = await page.evaluate(REFUSED, way)
    assert said["code"] == 4003
    assert "CSRF_TRUSTED_ORIGINS" in said["reason"]


async def test_below_the_client_and_over_a_restart(
    page: Page, wire: Proxy, tornado: Serving, broker: str
) -> None:
    async def publish_one(text: str) -> None:
        with beside(broker):
            await asyncio.to_thread(publish, "/log/sockjs/", text, event="added")

    async def all_have(*texts: str) -> None:
        for way in WAYS:
            await page.wait_for_function(
                f"() => `${{events['{way}']}}` === '{','.join(texts)}'", timeout=PATIENCE
            )

    async def answers(way: str) -> Any:
        return await page.evaluate("(way) => all[way].get('/hello/')", way)

    await page.evaluate(BELOW, WAYS)
    for way in WAYS:
        await page.wait_for_function(f"() => all['{way}'].state === 'open'")
        assert await answers(way) == "hello"
        assert await page.evaluate("(way) => sockets[way].transport", way) == way
        echoed = (
            "(way) => all[way].post('/echo/', { text: 'größe' }).then(({ body }) => body.bytes)"
        )
        assert await page.evaluate(echoed, way) == len('{"text":"größe"}'.encode())
    await publish_one("before")
    await all_have("before")

    tornado.terminate()
    assert await asyncio.to_thread(tornado.ended) == -15
    await publish_one("meanwhile")
    wire.target = (await asyncio.to_thread(tornado.site)).port
    await all_have("before", "meanwhile")
    await publish_one("after")
    await all_have("before", "meanwhile", "after")
    for way in WAYS:
        assert await answers(way) == "hello"
    await page.evaluate("() => Object.values(all).forEach((ws) => ws.close())")
