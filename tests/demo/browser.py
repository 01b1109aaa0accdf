"""A visitor with a real Chromium, who notices everything that should not be on a page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.demo.server import ROOT

if TYPE_CHECKING:
    import httpx
    from playwright.async_api import Browser, ConsoleMessage, Page, Request, WebSocket

    from tests.demo.server import DemoServer

PATIENCE = 15_000  # ms: what a busy machine may take, not what a page should
expect.set_options(timeout=PATIENCE)

SCREENSHOTS = ROOT / "build" / "screenshots"
# The page's policy is a wall: whatever runs into it is written down.
NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI || event.sample}`);
});
"""


def messages_of(frames: list[str]) -> list[dict[str, Any]]:
    """A frame is a message, or an array of them."""
    read = [json.loads(frame) for frame in frames]
    return [message for each in read for message in (each if isinstance(each, list) else [each])]


class Visitor:
    """One page, and what was heard and seen around it."""

    def __init__(self, page: Page, demo: DemoServer) -> None:
        self.page = page
        self.demo = demo
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.sockets: list[WebSocket] = []
        self.sent: list[str] = []  # frames, over the newest socket
        self.received: list[str] = []
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self.note_request)
        page.on("websocket", self.note_socket)

    @classmethod
    async def open(
        cls,
        browser: Browser,
        demo: DemoServer,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        cookies: httpx.Cookies | None = None,
    ) -> Visitor:
        """A visitor with an empty page."""
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=2 if width < 500 else 1,
            has_touch=width < 500,
            locale="en-US",
        )
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(NOTE_VIOLATIONS)
        if cookies:
            await context.add_cookies(
                [{"name": c.name, "value": c.value or "", "url": demo.url} for c in cookies.jar],
            )
        return cls(await context.new_page(), demo)

    @classmethod
    async def arrive(cls, browser: Browser, demo: DemoServer, **options: Any) -> Visitor:
        """A visitor (of the sort that :meth:`open` takes) on the demo's page."""
        visitor = await cls.open(browser, demo, **options)
        await visitor.go()
        return visitor

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def note_request(self, request: Request) -> None:
        self.requests.append(request)

    def note_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        self.sent, self.received = [], []
        socket.on("framesent", self.note_sent)
        socket.on("framereceived", self.note_received)

    def note_sent(self, payload: str | bytes) -> None:
        assert isinstance(payload, str)
        self.sent.append(payload)

    def note_received(self, payload: str | bytes) -> None:
        assert isinstance(payload, str)
        self.received.append(payload)

    @property
    def said(self) -> list[dict[str, Any]]:
        """Every message that the page has sent."""
        return messages_of(self.sent)

    @property
    def heard(self) -> list[dict[str, Any]]:
        """Every message that came."""
        return messages_of(self.received)

    async def go(self, fragment: str = "") -> None:
        await self.page.goto(f"{self.demo.url}{fragment}")
        await expect(self.page.locator("#connection-text")).to_have_text("Connected")

    async def is_alone(self) -> None:
        """Wait until whoever was there before has left: no word of it comes in between any more."""
        await expect(self.page.locator("#here > li")).to_have_count(1)
        await expect(self.page.locator("#log [data-figure=audiences]")).to_have_text(
            re.compile(r"\d")
        )

    async def sign_in(self) -> None:
        await self.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await self.page.locator("dialog").get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    async def write(self, title: str, code: str, language: str = "Python") -> None:
        await self.page.get_by_label("Title").fill(title)
        await self.page.get_by_label("Language").select_option(label=language)
        await self.page.get_by_label("Code", exact=True).fill(code)

    async def save(self) -> None:
        await self.page.get_by_role("button", name="Save").click()

    async def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        # A picture of the finished page, not of a movement.
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    async def violations(self) -> list[str]:
        return await self.page.evaluate("window.violations")

    async def leave(self) -> None:
        """Close the page; complain about everything that it complained about."""
        violations = await self.violations()
        await self.page.context.close()
        assert self.complaints == []
        assert violations == []
        # Documents and static files come over HTTP. What is said to the API is said over the socket.
        assert [r.url for r in self.requests if r.resource_type in ("xhr", "fetch")] == []
        assert [r.url for r in self.requests if "/api/" in r.url] == []
        assert {s.url for s in self.sockets} == {f"{self.demo.url.replace('http', 'ws')}ws/"}
