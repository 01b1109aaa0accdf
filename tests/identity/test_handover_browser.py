"""The cookie handover in a real Chromium, by the very script that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.support.server import ServerThread

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "login-and-csrf.md"

#: A login over the socket, as a page would do it.
OPEN = """
async (message) => {
  const socket = new WebSocket(`ws://${location.host}/ws/`, "wsrequest.v1.json");
  window.socket = socket;
  const heard = (wanted) => new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      for (const message of [JSON.parse(data)].flat()) if (wanted(message)) resolve(message);
    });
  });
  await heard(({ control }) => control === "hello");
  const answer = heard(({ id }) => id === message.id);
  socket.send(JSON.stringify(message));
  return (await answer).data;
}
"""


def script() -> str:
    (found,) = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert '"/cookies/"' in found
    return f"async () => {{ {found.replace('/cookies/', '/cookies/hand-over/')} return keepCookies(window.socket); }}"


async def user(page: Page, server: ServerThread) -> object:
    """Whom the browser's own cookies stand for, after the page was loaded again."""
    await page.goto(f"{server.http}/csrf-token/")
    return await page.evaluate("fetch('/whoami/').then((answer) => answer.json())")


async def test_a_login_over_the_socket_outlives_the_page(
    server: ServerThread, browser: Browser
) -> None:
    page = await (await browser.new_context()).new_page()
    ada = {"user": "ada", "known": True}
    nobody = {"user": "AnonymousUser", "known": False}
    assert await user(page, server) == nobody

    message = {
        "id": 1,
        "method": "POST",
        "url": "/log-in/",
        "headers": {"content-type": "application/x-www-form-urlencoded"},
        "data": {"name": "ada", "word": "secret"},
    }
    assert await page.evaluate(OPEN, message) == "welcome ada"
    # Without the handover, loading the page again would lose it.
    assert await page.evaluate("fetch('/whoami/').then((answer) => answer.json())") == nobody
    assert await page.evaluate(script()) == 204
    assert await user(page, server) == ada
    assert "sessionid" not in await page.evaluate("document.cookie")
    (session,) = (
        cookie for cookie in await page.context.cookies() if cookie["name"] == "sessionid"
    )
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")

    # The next socket bears it; and its logout is handed over, too.
    assert await page.evaluate(OPEN, {"id": 1, "url": "/whoami/"}) == ada
    assert await page.evaluate(OPEN, {"id": 2, "url": "/log-out/"}) == "bye"
    assert await page.evaluate(script()) == 204
    assert await user(page, server) == nobody
    assert "sessionid" not in {cookie["name"] for cookie in await page.context.cookies()}
    await page.context.close()
