"""The standalone example, run as its README says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect as websockets_connect

from tests.support.client import Peer, connect
from tests.support.ports import free_port
from tests.support.server import ROOT

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

EXAMPLE = ROOT / "examples" / "standalone"
PATIENCE = 60_000  # ms


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, folder = free_port(), tmp_path_factory.mktemp("standalone")
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            # A shell's background processes, as this may be one's child, ignore SIGINT.
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                "-W",
                "error",
                "-X",
                "dev",
                "ws.py",
                str(port),
            ],
            cwd=EXAMPLE,
            env={**kept, "BOARD_DB": str(folder / "board.sqlite3")},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port}/" in line, (folder / "errors").read_text()
    yield port
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE / 1000) == 0
    process.stdout.close()
    assert "Traceback" not in (folder / "errors").read_text()


@asynccontextmanager
async def page(browser: Browser, port: int) -> AsyncIterator[Page]:
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/")
    await page.wait_for_selector("#state[data-state=open]")
    yield page
    await context.close()


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_two_visitors(browser: Browser, port: int) -> None:
    async with page(browser, port) as one, page(browser, port) as other:
        complaints: list[str] = []
        one.on("pageerror", lambda error: complaints.append(str(error)))
        await one.fill("#text", "A bridge to the island")
        await one.press("#text", "Enter")
        await one.fill("#text", "A lighthouse")
        await one.click("form button")
        await other.wait_for_function("document.querySelectorAll('#ideas li').length === 2")
        await other.click("[aria-label^='Star: A bridge']")
        await one.wait_for_selector("#ideas li:first-child:has-text('A bridge to the island')")
        assert await one.text_content("#ideas li:first-child .stars") == "1"
        assert await one.text_content("#wire li.in") != ""
        await one.click("[aria-label='Remove: A bridge to the island']")
        await one.click("[aria-label='Remove: A lighthouse']")
        await other.wait_for_selector("#empty:visible")
        # A view's own words.
        await one.fill("#text", "   ")
        await one.press("#text", "Enter")
        await one.wait_for_selector("#error:has-text('This field cannot be blank.')")
        assert complaints == []


async def test_a_page_of_2014(port: int) -> None:
    """By SockJS' plain WebSocket, and by the other one, which a program finds beside it."""
    async with websockets_connect(f"ws://127.0.0.1:{port}/ws/api/websocket") as socket:
        answer = await Peer(socket).plain("/api/ideas/")
        assert (answer["status"], answer["data"]) == (200, [])
    async with connect(f"ws://127.0.0.1:{port}/ws/", origin=f"http://127.0.0.1:{port}") as peer:
        made = await peer.request("/api/ideas/", method="POST", data={"text": "x"})
        assert made["status"] == 201
        url = f"/api/ideas/{made['data']['id']}/"
        assert (await peer.request(f"{url}star/", id=2, method="POST"))["status"] == 204
        assert (await peer.request(url, id=3, method="DELETE"))["status"] == 204
        assert (await peer.request(f"{url}star/", id=4, method="POST"))["status"] == 404
