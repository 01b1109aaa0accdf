"""Several people with the demo open at once, each in a real Chromium: they see what the others do."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.demo.browser import Visitor
from tests.demo.conftest import SEEDED
from tests.demo.server import DemoServer
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import httpx
    from playwright.async_api import Browser, WebSocketRoute

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def ann(
    browser: Browser, demo: DemoServer, login_cookies: httpx.Cookies
) -> AsyncIterator[Visitor]:
    """Signed in as demo."""
    visitor = await Visitor.arrive(browser, demo, cookies=login_cookies)
    await expect(titles(visitor)).to_have_count(SEEDED)
    await visitor.is_alone()
    yield visitor
    await visitor.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def grace(
    browser: Browser, ann: Visitor, demo: DemoServer, graces_cookies: httpx.Cookies
) -> AsyncIterator[Visitor]:
    visitor = await Visitor.arrive(browser, demo, cookies=graces_cookies)
    await expect(titles(visitor)).to_have_count(SEEDED)
    await expect(people(ann)).to_have_count(2)
    yield visitor
    await visitor.leave()


def titles(visitor: Visitor):
    return visitor.page.locator("#list .row-title")


def heading(visitor: Visitor):
    return visitor.page.locator("#main h1")


def people(visitor: Visitor):
    return visitor.page.locator("#here > li")


async def write(visitor: Visitor, title: str) -> None:
    await visitor.page.get_by_role("link", name="New snippet").click()
    await visitor.write(title, "x = 1\n")
    await visitor.save()
    await expect(heading(visitor)).to_have_text(title)


async def test_what_one_writes_the_other_sees(ann, grace):
    await write(grace, "From next door")
    await expect(titles(ann).first).to_have_text("From next door")
    await expect(titles(ann)).to_have_count(SEEDED + 1)
    await expect(ann.page.locator("#list .fresh")).to_have_count(1)
    await ann.picture("together-list")
    # It has not asked for it again.
    assert sum('"results"' in text for text in ann.received) == 1

    await write(ann, "An answer to it")
    await expect(titles(grace).first).to_have_text("An answer to it")
    await expect(titles(grace)).to_have_count(SEEDED + 2)


async def test_a_snippet_changes_while_it_is_read_and_goes(ann, grace):
    await write(grace, "Not finished")
    await ann.page.get_by_role("link", name="Not finished").click()
    await expect(heading(ann)).to_have_text("Not finished")
    await expect(ann.page.locator(".readers")).to_have_text("grace is reading this, too")
    await expect(grace.page.locator(".readers")).to_have_text("demo is reading this, too")

    await grace.page.get_by_role("link", name="Edit").click()
    await expect(ann.page.locator(".readers")).to_be_empty()
    await grace.write("Finished", "y = 2\n")
    await grace.save()
    await expect(heading(ann)).to_have_text("Finished")
    await expect(ann.page.locator(".snippet .highlight")).to_contain_text("y = 2")
    assert await ann.page.title() == "Finished · Snippets"
    # Each one's own GET was run again: what Grace may, the reader may not.
    await expect(grace.page.get_by_role("link", name="Edit")).to_have_count(1)
    await expect(ann.page.get_by_role("link", name="Edit")).to_have_count(0)
    await expect(titles(ann).first).to_have_text("Finished")

    await grace.page.get_by_role("button", name="Delete").click()
    await grace.page.locator("dialog").get_by_role("button", name="Delete").click()
    await expect(heading(grace)).to_contain_text("A whole REST API")
    await expect(heading(ann)).to_have_text("This snippet is gone")
    await expect(titles(ann)).to_have_count(SEEDED)
    await ann.picture("together-gone")


async def test_what_is_being_written_is_not_overwritten(ann, grace):
    await write(grace, "In two places")
    await grace.page.get_by_role("link", name="Edit").click()
    await grace.page.get_by_label("Title").fill("Half a")
    await write(ann, "Meanwhile")
    await expect(titles(grace).first).to_have_text("Meanwhile")
    await expect(grace.page.get_by_label("Title")).to_have_value("Half a")


async def test_a_search_stays_one(ann, grace):
    await ann.page.get_by_role("searchbox").fill("jitter")
    await expect(titles(ann)).to_have_text(["Full-jitter back-off"])
    await write(grace, "Nothing of the kind")
    await write(grace, "No jitter at all")
    await expect(titles(ann)).to_have_text(["No jitter at all", "Full-jitter back-off"])
    await ann.page.get_by_role("searchbox").fill("")
    await expect(titles(ann)).to_have_count(SEEDED + 2)


class Tunnel:
    """Between a page and the server: while it is `closed` no connection gets through."""

    def __init__(self) -> None:
        self.closed = False
        self._lines: list[WebSocketRoute] = []

    async def connect(self, line: WebSocketRoute) -> None:
        self._lines.append(line)
        if self.closed:
            await line.close(code=4100)
        else:
            line.connect_to_server()

    async def close(self) -> None:
        self.closed = True
        await self._lines[-1].close(code=4100)


async def test_what_was_missed_is_there_when_one_is_back(browser, demo, grace):
    tunnel = Tunnel()
    traveller = await Visitor.open(browser, demo)
    await traveller.page.route_web_socket("**/ws/", tunnel.connect)
    await traveller.go()
    await expect(titles(traveller)).to_have_count(SEEDED)
    await write(grace, "Before")
    await expect(titles(traveller).first).to_have_text("Before")
    await tunnel.close()
    await expect(traveller.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    await write(grace, "One meanwhile")
    await write(grace, "Another meanwhile")
    await expect(titles(traveller)).to_have_count(SEEDED + 1)
    tunnel.closed = False
    await expect(titles(traveller).first).to_have_text("Another meanwhile")
    await expect(titles(traveller)).to_have_count(SEEDED + 3)
    await expect(traveller.page.locator("#list .fresh")).to_have_count(3)
    await expect(traveller.page.locator("#connection-text")).to_have_text("Connected")
    await traveller.leave()


async def test_who_is_here(browser, demo, ann, grace, login_cookies):
    await expect(people(ann)).to_have_text(["ddemo (you)", "ggrace"])
    await expect(people(grace)).to_have_text(["ggrace (you)", "ddemo"])
    guest = await Visitor.arrive(browser, demo)
    await expect(ann.page.locator("#here-text")).to_have_text("3 here")
    await expect(people(ann).last).to_have_text("?Guest")
    # A second window makes nobody two people.
    window = await Visitor.arrive(browser, demo, cookies=login_cookies)
    await expect(people(window)).to_have_count(3)
    await guest.page.get_by_role("link", name="Two themes").click()
    await window.page.get_by_role("link", name="Two themes").click()
    await expect(guest.page.locator(".readers")).to_have_text("demo is reading this, too")
    await expect(window.page.locator(".readers")).to_have_text("a guest is reading this, too")
    await ann.picture("together-here")
    await guest.leave()
    await window.leave()
    await expect(ann.page.locator("#here-text")).to_have_text("2 here")


async def test_there_is_no_word_of_a_terminal_that_could_not_be_heard(ann):
    await expect(ann.page.locator("#main")).to_contain_text("Open a second window")
    await expect(ann.page.locator(".terminal")).to_have_count(0)


# --- with a broker that processes share -----------------------------------------------------------------


@pytest.fixture(scope="module")
def running_shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with RedisServer() as valkey:
        folder: Path = tmp_path_factory.mktemp("shared-demo")
        server = DemoServer(folder, WSREQUEST_BROKER_URL=valkey.url)
        server.manage("migrate", "--verbosity", "0")
        server.manage("seed")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def shared_demo(running_shared_demo: DemoServer) -> DemoServer:
    running_shared_demo.forget_what_tests_wrote(SEEDED)
    return running_shared_demo


async def test_a_terminal_is_heard(browser, shared_demo):
    visitor = await Visitor.arrive(browser, shared_demo)
    await expect(titles(visitor)).to_have_count(SEEDED)
    command = await visitor.page.locator(".terminal pre code").inner_text()
    python, manage, *words = shlex.split(command)
    assert (python, manage) == ("python", "examples/snippets/manage.py")
    said = await asyncio.to_thread(shared_demo.manage, *words)
    assert "announcement published to /api/snippets/" in said
    await expect(visitor.page.locator("#toasts")).to_contain_text("Hello from the shell")
    await visitor.picture("together-terminal")
    await visitor.leave()


async def test_so_is_one_statement_for_many_rows(browser, shared_demo):
    """Of which no signal of a model tells."""
    visitor = await Visitor.arrive(browser, shared_demo)
    await expect(titles(visitor).first).to_have_text("A message is a request")
    python, manage, *words = shlex.split(
        await visitor.page.locator(".terminal-write pre code").inner_text()
    )
    assert (python, manage) == ("python", "examples/snippets/manage.py")
    await visitor.page.get_by_role("link", name="A message is a request").click()
    await expect(heading(visitor)).to_have_text("A message is a request")
    await asyncio.to_thread(shared_demo.manage, *words)
    await expect(titles(visitor).first).to_have_text("Written from a shell")
    await expect(heading(visitor)).to_have_text("Written from a shell")
    await asyncio.to_thread(
        shared_demo.manage,
        *(word.replace("Written from a shell", "A message is a request") for word in words),
    )
    await expect(titles(visitor).first).to_have_text("A message is a request")
    await visitor.leave()


async def test_so_is_whatever_saves_a_snippet(browser, shared_demo):
    visitor = await Visitor.arrive(browser, shared_demo)
    await expect(titles(visitor)).to_have_count(SEEDED)
    code = "from snippets.models import Snippet; Snippet.objects.create(title='By hand', code='x')"
    await asyncio.to_thread(shared_demo.manage, "shell", "-c", code)
    await expect(titles(visitor).first).to_have_text("By hand")
    await visitor.leave()
