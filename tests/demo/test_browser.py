"""The demo, driven in a real Chromium against the real server, as a visitor would use it.

Every test ends with `Visitor.leave`, which fails on any console message, any violation of the page's
Content-Security-Policy, and anything said to the API otherwise than over the socket.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.demo.browser import Visitor, messages_of
from tests.demo.conftest import SEEDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from playwright.async_api import Browser, WebSocketRoute

    from tests.demo.server import DemoServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FIBONACCI = 'def fib(n: int) -> int:\n    """The n-th."""\n    return n if n < 2 else fib(n - 1)\n'


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, demo: DemoServer) -> AsyncIterator[Visitor]:
    visitor = await Visitor.arrive(browser, demo)
    await visitor.is_alone()
    yield visitor
    await visitor.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def member(
    browser: Browser,
    demo: DemoServer,
    login_cookies: httpx.Cookies,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Visitor]:
    """A visitor who has signed in before; behind the middleman where a test has one."""
    member = await Visitor.open(browser, demo, cookies=login_cookies)
    if "middleman" in request.fixturenames:
        await request.getfixturevalue("middleman").step_between(member)
    await member.go()
    await expect(member.page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(titles(member)).to_have_count(SEEDED)
    await member.is_alone()
    yield member
    await member.leave()


def titles(visitor: Visitor):
    return visitor.page.locator("#list .row-title")


def heading(visitor: Visitor):
    return visitor.page.locator("main h1")


def toasts(visitor: Visitor):
    return visitor.page.locator("#toasts")


def frames(visitor: Visitor):
    return visitor.page.locator("#frames > li")


def answers(visitor: Visitor):
    """Frames that have an answer in them; counters and the like come at any time."""
    return visitor.page.locator(".frame.received:has(.status)")


# --- one socket ---------------------------------------------------------------------------------------


async def test_everything_comes_over_one_websocket(visitor):
    visitor.sockets.clear()
    await visitor.page.reload()
    await expect(titles(visitor)).to_have_count(SEEDED)
    await visitor.page.get_by_role("link", name="Fan in two channels").click()
    await expect(heading(visitor)).to_have_text("Fan in two channels")
    assert len(visitor.sockets) == 1
    # Only a connection that negotiated the subprotocol is greeted.
    assert json.loads(visitor.received[0])["control"] == "hello"


async def test_the_policy_stops_an_inline_script(visitor):
    await visitor.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.head.append(script);
        }""",
    )
    assert await visitor.page.evaluate("window.ran") is None
    assert await visitor.violations() == ["script-src-elem: inline"]
    assert len(visitor.complaints) == 1
    assert "Content Security Policy" in visitor.complaints[0]
    # That was the test's own doing.
    visitor.complaints.clear()
    await visitor.page.evaluate("window.violations.length = 0")


# --- reading ------------------------------------------------------------------------------------------


async def test_a_visitor_reads(visitor):
    await expect(titles(visitor)).to_have_count(SEEDED)
    await expect(titles(visitor).first).to_have_text("A message is a request")
    await expect(heading(visitor)).to_contain_text("A whole REST API")
    await visitor.picture("home")

    await visitor.page.get_by_role("link", name="The newest row of each group").click()
    await expect(heading(visitor)).to_have_text("The newest row of each group")
    await expect(visitor.page.locator(".snippet .highlight .k").first).to_have_text("SELECT")
    await expect(visitor.page.locator("#list [aria-current=page]")).to_contain_text("newest row")
    await expect(visitor.page.get_by_role("link", name="Edit")).to_have_count(0)
    await expect(visitor.page.get_by_role("button", name="Delete")).to_have_count(0)
    assert await visitor.page.title() == "The newest row of each group · Snippets"


async def test_a_snippet_has_an_address(visitor):
    await visitor.go("#/4")
    await visitor.page.reload()
    await expect(heading(visitor)).to_have_text("Word count, in one pass")
    await visitor.page.get_by_role("link", name="Two themes").click()
    await expect(heading(visitor)).to_have_text("Two themes, one rule")
    await visitor.page.go_back()
    await expect(heading(visitor)).to_have_text("Word count, in one pass")


async def test_a_snippet_that_is_gone(visitor):
    await visitor.go("#/4711")
    await expect(heading(visitor)).to_have_text("No such snippet")


async def test_search(visitor):
    search = visitor.page.get_by_role("searchbox")
    await search.press_sequentially("jitter")
    await expect(titles(visitor)).to_have_text(["Full-jitter back-off"])
    await search.fill("nowhere to be found")
    await expect(visitor.page.locator("#list-empty")).to_contain_text("Nothing matches nowhere")
    await visitor.picture("empty")
    await visitor.page.get_by_role("button", name="Clear the search").click()
    await expect(titles(visitor)).to_have_count(SEEDED)


async def test_no_snippets_at_all(visitor):
    rows = visitor.demo.execute("SELECT * FROM snippets_snippet")
    try:
        visitor.demo.execute("DELETE FROM snippets_snippet")
        await visitor.page.reload()
        await expect(visitor.page.locator("#list-empty")).to_contain_text("no snippets yet")
    finally:
        for row in rows:
            places = ", ".join("?" * len(row))
            visitor.demo.execute(f"INSERT INTO snippets_snippet VALUES ({places})", *row)


async def test_further_pages(visitor):
    for number in range(20):
        visitor.demo.execute(
            "INSERT INTO snippets_snippet (title, code, language, created, updated)"
            " VALUES (?, 'x', 'text', '2001-01-01', '2001-01-01')",
            f"Old {number}",
        )
    await visitor.page.reload()
    await expect(titles(visitor)).to_have_count(20)
    await visitor.page.get_by_role("button", name="Show more").click()
    await expect(titles(visitor)).to_have_count(20 + SEEDED)
    await expect(visitor.page.get_by_role("button", name="Show more")).to_be_hidden()


# --- the session --------------------------------------------------------------------------------------


async def test_a_login_outlives_a_reload_and_ends_with_a_logout(visitor):
    await visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    await visitor.picture("sign-in")
    await visitor.page.keyboard.press("Escape")
    await expect(visitor.page.locator("#sign-in-dialog")).to_be_hidden()

    await visitor.sign_in()
    await expect(visitor.page.locator("#user-name")).to_have_text("demo")
    await visitor.page.reload()
    await expect(visitor.page.locator("#user-name")).to_have_text("demo")

    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


async def test_enter_signs_in(visitor):
    await visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    submit = visitor.page.locator("dialog").get_by_role("button", name="Sign in")
    await expect(submit).to_be_focused()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("#user-name")).to_have_text("demo")


async def test_a_wrong_password(visitor):
    await visitor.page.get_by_role("button", name="Sign in", exact=True).click()
    await visitor.page.get_by_label("Password").fill("wrong")
    await visitor.page.locator("dialog").get_by_role("button", name="Sign in").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("don't match")
    await visitor.picture("login-page")
    # The form on that page is filled in anew.
    await visitor.page.get_by_role("button", name="Sign in").click()
    await expect(visitor.page.locator("#user-name")).to_have_text("demo")


async def test_who_wants_to_write_is_asked_to_sign_in_and_comes_back(visitor):
    await visitor.page.get_by_role("link", name="New snippet").click()
    await expect(heading(visitor)).to_have_text("Sign in to write")
    await visitor.page.locator("dialog").get_by_role("button", name="Sign in").click()
    await expect(heading(visitor)).to_have_text("New snippet")
    await expect(visitor.page.get_by_label("Title")).to_be_focused()


async def test_a_session_that_ended_elsewhere_costs_no_work(member):
    await member.page.get_by_role("link", name="New snippet").click()
    await member.write("Half-written", FIBONACCI)
    sessions = member.demo.execute("SELECT * FROM django_session")
    member.demo.execute("DELETE FROM django_session")
    await member.save()
    await expect(member.page.get_by_role("alert")).to_contain_text("credentials were not provided")
    for row in sessions:
        member.demo.execute("INSERT INTO django_session VALUES (?, ?, ?)", *row)
    await expect(member.page.get_by_label("Title")).to_have_value("Half-written")
    await expect(member.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


async def test_a_lost_connection_is_made_again(member):
    await member.page.get_by_role("link", name="New snippet").click()
    await member.write("Written through a restart", FIBONACCI)
    await expect(member.page.locator(".preview .highlight")).to_be_visible()
    member.demo.stop()
    await expect(member.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    await expect(member.page.locator("#connection-text")).to_contain_text("Offline, next try in")
    await member.picture("offline")
    await member.page.set_viewport_size({"width": 360, "height": 740})
    await assert_fits(member, 360)
    await member.picture("phone-offline")
    # What is asked now waits for the next connection.
    await member.save()
    await expect(member.page.get_by_text("Waiting for the connection…")).to_be_visible()
    member.demo.start()
    # The back-off is random; its ceiling has grown to a few seconds by now.
    await expect(member.page.locator("#connection-text")).to_have_text("Connected", timeout=30_000)
    await expect(heading(member)).to_have_text("Written through a restart")
    await expect(member.page.locator("#user-name")).to_have_text("demo")
    # The browser itself writes into the console that the server was leaving (503), and then gone.
    expected = re.compile("ERR_CONNECTION_REFUSED|Unexpected response code: 503")
    assert [text for text in member.complaints if not expected.search(text)] == []
    member.complaints.clear()


# --- the socket's client, with a man in the middle ------------------------------------------------------


#: The url of one snippet.
DETAIL = r"/api/snippets/\d+/"


class Middleman:
    """Between the page and the real server; he cuts the line when he is told to, with any close code."""

    def __init__(self) -> None:
        self.lines: list[WebSocketRoute] = []
        self.said: list[str] = []  # by the page
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.deaf = False  # swallow whatever is said, by either side
        self.cut_at: tuple[str, int] | None = None  # (what the page must not say, close code)

    async def step_between(self, visitor: Visitor) -> None:
        """Take the lines of a page that is still empty; its time stands still until a test moves it.

        So a state that ends by itself is never missed.
        """
        await visitor.page.route_web_socket("**/ws/", self.connect)
        await visitor.page.clock.install(time=0)
        # The distance, in seconds, is only more than any machine takes between these two calls.
        await visitor.page.clock.pause_at(3_600)

    async def connect(self, line: WebSocketRoute) -> None:
        self.lines.append(line)
        server = line.connect_to_server()

        async def pass_on(text: str | bytes) -> None:
            assert isinstance(text, str)
            self.said.append(text)
            self.heard.put_nowait(text)
            if self.cut_at and self.cut_at[0] in text:
                code, self.cut_at = self.cut_at[1], None
                await line.close(code=code)
            elif not self.deaf:
                server.send(text)

        def pass_back(text: str | bytes) -> None:
            if not self.deaf:
                line.send(text)

        line.on_message(pass_on)
        server.on_message(pass_back)

    async def hear(self, pattern: str) -> Any:
        """The next frame of the page's that has this in it: a message, or a list of them."""
        async with asyncio.timeout(15):
            while not re.search(pattern, text := await self.heard.get()):
                pass
        messages = messages_of([text])
        return messages if len(messages) > 1 else messages[0]

    async def cut(self, code: int) -> None:
        await self.lines[-1].close(code=code)


@pytest.fixture
def middleman() -> Middleman:
    return Middleman()


# (4011 is for who has nothing to say; but this page watches something.)
@pytest.mark.parametrize("code", [1001, 1012, 4011, 4100, 4102, 4105, 4200, 4201])
async def test_it_comes_back(member, middleman, code):
    await middleman.cut(code)
    await expect(member.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    await member.page.clock.run_for(1_000)
    await expect(member.page.locator("#connection-text")).to_have_text("Connected")
    assert len(middleman.lines) == 2


async def test_who_does_not_want_to_wait_need_not(member, middleman):
    await middleman.cut(4100)
    await expect(member.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    await member.page.get_by_role("button", name="Retry now").click()
    await expect(member.page.locator("#connection-text")).to_have_text("Connected")
    assert len(middleman.lines) == 2


@pytest.mark.parametrize("code", [1009, 4000, 4001, 4003, 4010, 4029])
async def test_it_stays_away(member, middleman, code):
    await middleman.cut(code)
    await expect(member.page.locator("#connection-text")).to_have_text("Disconnected")
    await member.page.clock.run_for(60_000)
    assert len(middleman.lines) == 1
    # But a person may try.
    await member.page.get_by_role("button", name="Retry now").click()
    await expect(member.page.locator("#connection-text")).to_have_text("Connected")


async def test_it_goes_when_the_server_leaves_and_comes_back_in_its_turn(member, middleman):
    middleman.lines[-1].send('{"control":"goaway","data":{"delay":5}}')
    await expect(frames(member).get_by_text("goaway")).to_have_count(1)
    # Nothing is asked any more of a server that would refuse it.
    await member.page.get_by_role("link", name="Two themes").click()
    await middleman.cut(4200)
    await expect(member.page.locator("#connection-text")).to_have_text("Offline, next try in 5 s")
    assert not re.search(DETAIL, "".join(middleman.said))
    await member.page.clock.run_for(5_000)
    await expect(heading(member)).to_have_text("Two themes, one rule")
    assert len(middleman.lines) == 2


async def test_what_crossed_the_goaway_is_asked_again(member, middleman):
    middleman.deaf = True
    await member.page.get_by_role("link", name="Two themes").click()
    refusal = {"status": 503, "headers": {}, "data": {"error": "...", "code": "going_away"}}
    asked = await middleman.hear(DETAIL)
    middleman.lines[-1].send(json.dumps({"id": asked["id"], **refusal}))
    middleman.deaf = False
    await middleman.cut(4200)
    await member.page.clock.run_for(1_000)
    await expect(heading(member)).to_have_text("Two themes, one rule")


async def test_a_subscription_that_can_not_be_had_just_now_is_asked_for_again(member, middleman):
    middleman.deaf = True
    await member.page.get_by_role("link", name="Two themes").click()
    asked = await middleman.hear(DETAIL)
    refusal = {
        "status": 503,
        "headers": {"retry-after": "3"},
        "data": {"code": "broker_unavailable"},
    }
    middleman.lines[-1].send(json.dumps({"id": asked["id"], **refusal}))
    await expect(frames(member).locator(".s5")).to_have_text(["503"])
    middleman.deaf = False
    await member.page.clock.run_for(2_900)
    await expect(heading(member)).to_have_count(0)
    await member.page.clock.run_for(200)
    await expect(heading(member)).to_have_text("Two themes, one rule")


async def test_after_a_loss_it_goes_on_from_the_new_state(member, middleman):
    """A `lost` asks for nothing; the `replace` has the state, and the position to come back with."""
    first = next(text for text in middleman.said if "SUBSCRIBE" in text)
    (asked,) = [each for each in json.loads(first) if each.get("live")]
    row = {
        "id": 1,
        "title": "All that is left",
        "language": "go",
        "owner": None,
        "updated": "2001-01-01",
    }
    other = {**row, "id": 2, "title": "And one more"}
    state = {"results": [row], "next": None}
    for message in (
        {"event": "lost", "data": {"from": 1, "to": None, "why": "epoch"}},
        {"event": "replace", "data": state, "rev": 1, "epoch": "another", "offset": 41},
        {"event": "patch", "data": [{"op": "add", "path": "/results/0", "value": other}], "rev": 2},
        {"event": "announcement", "data": "From another life", "offset": 42},
    ):
        middleman.lines[-1].send(json.dumps({"id": asked["id"], **message}))
    await expect(titles(member)).to_have_text(["And one more", "All that is left"])
    await expect(toasts(member)).to_contain_text("From another life")
    await middleman.cut(4200)
    await member.page.clock.run_for(1_000)
    await middleman.hear('"since":{"epoch":"another","offset":42}')
    # Which the real server does not know: so the state that it answers is the truth.
    await expect(titles(member)).to_have_count(SEEDED)


async def test_a_patch_that_does_not_fit_begins_the_subscription_anew(member, middleman):
    await member.page.get_by_role("link", name="Two themes").click()
    asked = await middleman.hear(DETAIL)
    await expect(heading(member)).to_have_text("Two themes, one rule")
    patch = [
        {"op": "replace", "path": "/title", "value": "x"},
        {"op": "remove", "path": "/nowhere"},
    ]
    message = {"id": asked["id"], "event": "patch", "data": patch, "rev": 1}
    middleman.lines[-1].send(json.dumps(message))
    cancel, again = await middleman.hear(DETAIL)
    assert cancel == {"cancel": asked["id"]}
    since = again.pop("since")  # no event is missed, either
    assert (again, since["offset"]) == ({**asked, "id": again["id"]}, 0)
    await expect(answers(member).last).to_contain_text("SUBSCRIBE /api/snippets/6/")
    await expect(heading(member)).to_have_text("Two themes, one rule")


async def test_it_waits_longer_and_longer(member, middleman):
    # At the top of the jitter the ceilings show: 0.5 s, 1 s, 2 s, ... and 30 s at the most.
    await member.page.evaluate("Math.random = () => 0.999999")
    for seconds in (1, 1, 2, 4, 8, 16, 30, 30):
        await middleman.cut(4100)
        text = f"Offline, next try in {seconds} s"
        await expect(member.page.locator("#connection-text")).to_have_text(text)
        await member.page.clock.run_for(seconds * 1000)
        await expect(member.page.locator("#connection-text")).to_have_text("Connected")
    # A connection that lasted was a good one.
    await member.page.clock.run_for(15_000)
    await middleman.cut(4100)
    await expect(member.page.locator("#connection-text")).to_have_text(
        "Offline, next try in 1 s",
    )


async def test_it_says_something_in_every_heartbeat(member, middleman):
    for beat in (1, 2, 3):
        await member.page.clock.run_for(20_000)
        await expect(frames(member).get_by_text("pong")).to_have_count(beat)
    assert sum("ping" in text for text in middleman.said) == 3
    assert len(middleman.lines) == 1


async def test_it_notices_that_nobody_is_there(member, middleman):
    middleman.deaf = True
    await member.page.clock.run_for(20_000)
    await expect(frames(member).get_by_text("ping", exact=True)).to_have_count(1)
    await member.page.clock.run_for(10_000)
    await expect(member.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    middleman.deaf = False
    await member.page.clock.run_for(1_000)
    await expect(member.page.locator("#connection-text")).to_have_text("Connected")
    assert len(middleman.lines) == 2


async def test_a_lost_read_is_asked_again(member, middleman):
    middleman.cut_at = ("/api/snippets/4/", 4105)
    await member.page.get_by_role("link", name="Word count").click()
    await expect(member.page.locator("#connection")).to_have_attribute("data-state", "waiting")
    await member.page.clock.run_for(1_000)
    await expect(heading(member)).to_have_text("Word count, in one pass")


async def test_a_lost_write_is_not(member, middleman):
    await member.page.get_by_role("link", name="New snippet").click()
    await member.write("Lost", FIBONACCI)
    middleman.cut_at = ('"title":"Lost"', 4105)
    await member.save()
    await expect(member.page.get_by_role("alert")).to_contain_text("Connection lost")
    await member.page.clock.run_for(1_000)
    await expect(member.page.locator("#connection-text")).to_have_text("Connected")
    assert sum('"title":"Lost"' in text for text in middleman.said) == 1
    # What was written is still there, to be sent again by who wrote it.
    await expect(member.page.get_by_label("Title")).to_have_value("Lost")
    await member.save()
    await expect(heading(member)).to_have_text("Lost")


# --- writing ------------------------------------------------------------------------------------------


async def test_create_edit_delete(member):
    page = member.page
    await page.get_by_role("link", name="New snippet").click()
    await member.write("Fibonacci", FIBONACCI)
    await expect(page.locator(".preview .highlight .nf").first).to_have_text("fib")
    await member.picture("editor")
    await member.save()

    await expect(heading(member)).to_have_text("Fibonacci")
    await expect(toasts(member)).to_contain_text("Created.")
    await expect(titles(member).first).to_have_text("Fibonacci")
    assert await page.locator(".snippet code").inner_text() != ""

    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_label("Code", exact=True)).to_have_value(FIBONACCI)
    await member.write("Fibonacci, in Ruby", "def fib(n) = n < 2 ? n : fib(n - 1)\n", "Ruby")
    await member.save()
    await expect(heading(member)).to_have_text("Fibonacci, in Ruby")
    await expect(page.locator(".snippet .meta")).to_contain_text("Ruby")
    await expect(titles(member).first).to_have_text("Fibonacci, in Ruby")

    await page.get_by_role("button", name="Delete").click()
    await member.picture("delete")
    await page.get_by_role("button", name="Keep it").click()
    await expect(heading(member)).to_have_text("Fibonacci, in Ruby")
    await page.get_by_role("button", name="Delete").click()
    await page.locator("dialog").get_by_role("button", name="Delete").click()
    await expect(toasts(member)).to_contain_text("Deleted.")
    await expect(titles(member)).to_have_count(SEEDED)
    await expect(heading(member)).to_contain_text("A whole REST API")


async def test_what_is_wrong_stands_beside_its_field(member):
    page = member.page
    await page.get_by_role("link", name="New snippet").click()
    await member.write("x" * 101, " \n")
    await member.save()
    title, code = page.get_by_label("Title"), page.get_by_label("Code", exact=True)
    await expect(page.locator("#error-title")).to_have_text(
        "Ensure this field has no more than 100 characters.",
    )
    await expect(page.locator("#error-code")).to_have_text("This field may not be blank.")
    await expect(page.locator("#error-language")).to_be_hidden()
    await expect(title).to_have_attribute("aria-invalid", "true")
    await expect(title).to_have_accessible_description(
        "Ensure this field has no more than 100 characters.",
    )
    await expect(title).to_be_focused()
    await expect(page.locator("#frames .status.s4")).to_have_text(["400"])
    await member.picture("validation")

    # What is being mended is not wrong any more; the rest still is.
    await title.fill("Short enough")
    await expect(page.locator("#error-title")).to_be_hidden()
    await expect(title).to_have_attribute("aria-invalid", "false")
    await expect(page.locator("#error-code")).to_be_visible()
    await code.fill("x = 1")
    await member.save()
    await expect(heading(member)).to_have_text("Short enough")


async def test_somebody_elses_snippet_is_read_only(member):
    await member.go("#/3")
    await expect(member.page.get_by_text("Only ada may change this snippet.")).to_be_visible()
    await expect(member.page.get_by_role("link", name="Edit")).to_have_count(0)
    # Nor does its address help.
    await member.go("#/3/edit")
    await expect(member.page.get_by_text("Only ada may change this snippet.")).to_be_visible()


async def test_markup_in_a_snippet_is_text(member):
    code = '<img src="nowhere.png" onerror="window.ran = true"><script>window.ran = true</script>'
    await member.page.get_by_role("link", name="New snippet").click()
    await member.write("<b>Bold</b>", code, "HTML")
    await expect(member.page.locator(".preview .highlight")).to_contain_text("onerror")
    await member.save()
    await expect(heading(member)).to_have_text("<b>Bold</b>")
    await expect(member.page.locator(".snippet .highlight")).to_contain_text("<script>")
    await expect(member.page.locator(".snippet img, .snippet script, h1 b")).to_have_count(0)
    assert await member.page.evaluate("window.ran") is None


# --- the log ------------------------------------------------------------------------------------------


async def test_the_log_shows_what_went_both_ways(visitor):
    page = visitor.page
    await visitor.page.get_by_role("link", name="Full-jitter").click()
    await expect(heading(visitor)).to_have_text("Full-jitter back-off")
    sent, received = page.locator(".frame.sent"), answers(visitor)
    await expect(page.locator(".frame.received").first).to_contain_text("hello")
    # What was asked in one turn went out as one frame.
    await expect(sent.first).to_contain_text("GET /api/session/")
    await expect(sent.first).to_contain_text("SUBSCRIBE /api/snippets/ live")
    await expect(sent.last).to_contain_text("SUBSCRIBE /api/snippets/2/ live")
    await expect(received.last).to_contain_text("SUBSCRIBE /api/snippets/2/")
    await expect(received.last.locator(".status")).to_have_text("200")
    await expect(received.last).to_contain_text(re.compile(r"\d+ ms"))
    await expect(received.last).to_contain_text(re.compile(r"\d+(\.\d)? K?B"))
    await expect(received.last).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))

    await received.last.locator("summary").click()
    text = received.last.locator("pre")
    await expect(text).not_to_be_empty()
    shown = json.loads(await text.inner_text())
    assert shown["status"] == 200
    assert shown["data"]["title"] == "Full-jitter back-off"
    await visitor.picture("log")


async def test_the_log_pauses_and_is_cleared(visitor):
    page = visitor.page
    await expect(titles(visitor)).to_have_count(SEEDED)
    await page.get_by_role("button", name="Pause the log").click()
    before = await frames(visitor).count()
    await page.get_by_role("link", name="Full-jitter").click()
    await expect(heading(visitor)).to_have_text("Full-jitter back-off")
    # One more answer is kept live: that is the last thing to be told.
    await expect(page.locator("#log [data-figure=audiences]")).to_have_text("2")
    await expect(page.locator("#log-counts")).to_contain_text(re.compile(r"[2-9] held back"))
    await expect(frames(visitor)).to_have_count(before)
    await page.get_by_role("button", name="Pause the log").click()
    await expect(frames(visitor).nth(before + 2)).to_be_attached()
    await page.get_by_role("button", name="Clear the log").click()
    await expect(frames(visitor)).to_have_count(0)
    await expect(page.locator("#log-empty")).to_be_visible()


@pytest.mark.parametrize(
    ("message", "status", "said"),
    [
        ('{"method": "GET", "url": "/api/snippets/1/"}', "200", "A message is a request"),
        ('{"method": "OPTIONS", "url": "/api/snippets/"}', "200", "application/json"),
        ('{"method": "GET", "url": "/nowhere/"}', "404", "Not Found"),
        ('{"method": "POST", "url": "/api/snippets/", "data": {}}', "403", "credentials"),
        ('{"method": "GET"}', "400", "Missing URL"),
        ("this is no JSON", "400", "Invalid formatted message."),
    ],
    ids=["get", "options", "not found", "forbidden", "no url", "no JSON"],
)
async def test_a_message_of_ones_own(visitor, message, status, said):
    page = visitor.page
    await expect(titles(visitor)).to_have_count(SEEDED)
    await page.get_by_role("button", name="Clear the log").click()
    await page.get_by_text("Send a message of your own").click()
    await page.get_by_label("Message, as JSON").fill(message)
    await page.get_by_role("button", name="Send", exact=True).click()
    answer = answers(visitor).last
    await expect(answer.locator(".status")).to_have_text(status)
    await answer.locator("summary").click()
    await expect(answer.locator("pre")).to_contain_text(said)


async def test_two_messages_in_one_frame(visitor):
    page = visitor.page
    await expect(titles(visitor)).to_have_count(SEEDED)
    await page.get_by_text("Send a message of your own").click()
    await page.get_by_role("button", name="two in one").click()
    await page.get_by_role("button", name="Clear the log").click()
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".frame.sent .line")).to_have_count(2)
    await expect(answers(visitor).locator(".line")).to_have_text(
        [re.compile("200 GET /api/s"), re.compile("200 GET /api/s")],
    )


# --- looks --------------------------------------------------------------------------------------------


async def test_a_phone(browser, demo, login_cookies):
    visitor = await Visitor.arrive(browser, demo, width=360, height=740)
    await expect(titles(visitor)).to_have_count(SEEDED)
    await assert_fits(visitor, 360)
    await visitor.picture("phone-home")
    await visitor.leave()

    visitor = await Visitor.arrive(browser, demo, width=360, height=740, cookies=login_cookies)
    page = visitor.page
    await page.get_by_role("link", name="Word count").click()
    await expect(heading(visitor)).to_have_text("Word count, in one pass")
    await expect(titles(visitor).first).to_be_hidden()
    await assert_fits(visitor, 360)
    await visitor.picture("phone-snippet")

    await expect(frames(visitor).first).to_be_hidden()
    await page.get_by_role("button", name="Show the log of frames").click()
    await expect(frames(visitor).last).to_be_in_viewport()
    await assert_fits(visitor, 360)
    await visitor.picture("phone-log")
    await page.get_by_role("button", name="Show the log of frames").click()

    await page.get_by_role("link", name="Edit").click()
    await page.get_by_label("Title").fill("")
    await visitor.save()
    await expect(page.locator("#error-title")).to_be_visible()
    await assert_fits(visitor, 360)
    await visitor.picture("phone-validation")
    await page.get_by_role("link", name="All snippets").click()
    await page.get_by_role("link", name="All snippets").click()
    await page.get_by_role("link", name="My snippets").click()
    await expect(heading(visitor)).to_have_text("My snippets")
    await assert_fits(visitor, 360)
    await visitor.picture("phone-mine")
    await visitor.leave()


HARD_TO_HIT = """(width) => [...document.querySelectorAll("a.button, button, input, select")]
    .filter((e) => e.checkVisibility() && !e.closest(".compose, .pill"))
    .map((e) => [e, e.getBoundingClientRect()])
    .filter(([e, box]) => box.height < 40 || box.left < 0 || box.right > width)
    .map(([e, box]) => `${e.outerHTML} ${box.left}-${box.right}, ${box.height} high`)"""


async def assert_fits(visitor: Visitor, width: int) -> None:
    """Nothing sticks out to the side, and every control is large enough for a finger."""
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    assert await visitor.page.evaluate("document.querySelector('#columns').scrollWidth") <= width
    assert await visitor.page.evaluate(HARD_TO_HIT, width) == []


async def test_no_width_scrolls_sideways(visitor):
    for fragment in ("#/1", "#/2", "#/mine", "#/"):
        await visitor.go(fragment)
        await expect(heading(visitor)).to_be_visible()
        for width in (320, 360, 760, 761, 1240, 1241, 1920):
            await visitor.page.set_viewport_size({"width": width, "height": 700})
            # Only the panes scroll, and they only up and down.
            wide = await visitor.page.evaluate(
                """() => [document.documentElement, ...document.querySelectorAll(".columns, .pane")]
                    .filter((e) => e.scrollWidth > e.clientWidth)
                    .map((e) => `${e.className || e.tagName} ${e.scrollWidth} > ${e.clientWidth}`)""",
            )
            assert wide == [], f"{fragment} at {width}"


# Each text with a colour of its own, and the first background behind it that is not see-through.
FAINT_TEXT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = pixel(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.disabled) continue;
    const [a, b] = [pixel(getComputedStyle(element).color), background(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...faint];
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_text_is_legible_in_both_themes(browser, demo, login_cookies, dark):
    visitor = await Visitor.arrive(browser, demo, dark=dark, cookies=login_cookies)
    theme = "dark" if dark else "light"
    await expect(titles(visitor)).to_have_count(SEEDED)
    assert await visitor.page.evaluate(FAINT_TEXT) == []
    for number in range(1, SEEDED + 1):
        await visitor.page.locator(f"#list a[href='#/{number}']").click()
        await expect(visitor.page.locator("#list [aria-current=page]")).to_have_attribute(
            "data-id",
            str(number),
        )
        await expect(visitor.page.locator(".snippet .highlight")).to_be_visible()
        assert await visitor.page.evaluate(FAINT_TEXT) == []
        if number == 1:
            await answers(visitor).locator("summary").last.click()
            await visitor.picture(f"snippet-{theme}")
    background = await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", background)[0]) < 40) is dark
    await visitor.page.get_by_role("link", name="New snippet").click()
    await visitor.save()
    await expect(visitor.page.locator("#error-title")).to_be_visible()
    assert await visitor.page.evaluate(FAINT_TEXT) == []
    await visitor.picture(f"validation-{theme}")
    await visitor.leave()


async def test_a_keyboard_is_enough(visitor):
    page = visitor.page
    await expect(titles(visitor)).to_have_count(SEEDED)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the snippet")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to the snippet")).to_be_in_viewport()
    await page.locator("#list a").nth(1).focus()
    await page.keyboard.press("Enter")
    await expect(heading(visitor)).to_have_text("Full-jitter back-off")
    # Who cannot see the page change hears it: the heading has the focus now.
    await expect(heading(visitor)).to_be_focused()
    await answers(visitor).locator("summary").last.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".frame details[open] pre")).to_contain_text('"status": 200')


async def test_everything_has_a_name(visitor):
    await expect(titles(visitor)).to_have_count(SEEDED)
    nameless = await visitor.page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, textarea")]
            .filter((e) => e.type !== "hidden")
            .filter((e) => !e.textContent.trim() && !e.ariaLabel && !e.labels?.length)
            .map((e) => e.outerHTML)""",
    )
    assert nameless == []
    ids = await visitor.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
