"""What the demo shows stays up to date by itself: the list, a snippet, one's own snippets, and the counters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from jsonpatch import JsonPatch, JsonPatchException, JsonPointerException
from playwright.async_api import expect

from tests.demo.browser import Visitor
from tests.demo.conftest import SEEDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from playwright.async_api import Browser

    from tests.demo.server import DemoServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Of the seeded snippets, those of the user demo.
DEMOS = [
    "A message is a request",
    "Full-jitter back-off",
    "Word count, in one pass",
    "Wait until a port answers",
    "Fan in two channels",
]


@pytest_asyncio.fixture(loop_scope="session")
async def ann(
    browser: Browser, demo: DemoServer, login_cookies: httpx.Cookies
) -> AsyncIterator[Visitor]:
    """Signed in as demo, on the page of her own snippets."""
    visitor = await Visitor.arrive(browser, demo, cookies=login_cookies)
    await visitor.is_alone()
    await visitor.page.get_by_role("link", name="My snippets").click()
    await expect(mine(visitor)).to_have_text(DEMOS)
    yield visitor
    await visitor.leave()


def mine(visitor: Visitor):
    return visitor.page.locator(".mine .row-title")


def titles(visitor: Visitor):
    return visitor.page.locator("#list .row-title")


def heading(visitor: Visitor):
    return visitor.page.locator("#main h1")


def figure(visitor: Visitor, name: str):
    return visitor.page.locator(f"#log [data-figure={name}]")


async def write(visitor: Visitor, title: str) -> None:
    await visitor.page.get_by_role("link", name="New").first.click()
    await visitor.write(title, "x = 1\n")
    await visitor.save()
    await expect(heading(visitor)).to_have_text(title)


async def test_what_one_writes_shows_in_the_other_window_without_an_event(
    browser, demo, ann, login_cookies
):
    window = await Visitor.arrive(browser, demo, cookies=login_cookies)
    await write(window, "From the other window")
    await expect(titles(ann).first).to_have_text("From the other window")
    await expect(mine(ann)).to_have_text(["From the other window", *DEMOS])
    await expect(ann.page.locator(".mine .fresh")).to_have_count(1)
    await ann.picture("live-mine")

    await ann.page.locator(".mine").get_by_role("link", name="From the other window").click()
    await expect(heading(ann)).to_have_text("From the other window")
    await window.page.get_by_role("link", name="Edit").click()
    await window.write("Written again", "y = 2\n")
    await window.save()
    await expect(heading(ann)).to_have_text("Written again")
    await expect(ann.page.locator(".snippet .highlight")).to_contain_text("y = 2")
    await expect(titles(ann).first).to_have_text("Written again")

    await ann.page.get_by_role("link", name="My snippets").click()
    await expect(mine(ann)).to_have_text(["Written again", *DEMOS])
    await window.page.get_by_role("button", name="Delete").click()
    await window.page.locator("dialog").get_by_role("button", name="Delete").click()
    await expect(mine(ann)).to_have_text(DEMOS)
    await expect(titles(ann)).to_have_count(SEEDED)
    events = {message["event"] for message in ann.heard if "event" in message}
    assert "patch" in events
    assert events <= {"patch", "replace", "join", "leave", "figures"}
    await window.leave()


async def test_one_s_own_are_nobody_else_s(browser, demo, ann, graces_cookies):
    grace = await Visitor.arrive(browser, demo, cookies=graces_cookies)
    await write(grace, "Of Grace")
    await expect(titles(ann).first).to_have_text("Of Grace")
    await grace.page.get_by_role("link", name="My snippets").click()
    await expect(mine(grace)).to_have_text(["Of Grace"])
    await write(ann, "Of Ann")
    await ann.page.get_by_role("link", name="My snippets").click()
    await expect(mine(ann)).to_have_text(["Of Ann", *DEMOS])
    await expect(titles(grace).first).to_have_text("Of Ann")
    await expect(mine(grace)).to_have_text(["Of Grace"])
    for visitor, theirs in ((ann, "Of Grace"), (grace, "Of Ann")):
        ids = {each["id"] for each in visitor.said if each.get("url") == "/api/snippets/mine/"}
        told = [each for each in visitor.heard if each.get("id") in ids]
        assert told
        assert theirs not in json.dumps(told)
    await grace.leave()


async def test_a_guest_has_none(browser, demo):
    guest = await Visitor.arrive(browser, demo)
    await expect(guest.page.locator("#mine")).to_be_hidden()
    await guest.go("#/mine")
    await guest.page.reload()
    await expect(heading(guest)).to_have_text("Sign in to see your own")
    await guest.leave()


async def test_further_pages_are_live_too(browser, demo, graces_cookies):
    for number in range(20):
        demo.execute(
            "INSERT INTO snippets_snippet (title, code, language, created, updated)"
            " VALUES (?, 'x', 'text', '2001-01-01', '2001-01-01')",
            f"Old {number}",
        )
    grace = await Visitor.arrive(browser, demo, cookies=graces_cookies)
    await expect(titles(grace)).to_have_count(20)
    await grace.page.get_by_role("button", name="Show more").click()
    await expect(titles(grace)).to_have_count(20 + SEEDED)
    await write(grace, "On top of all")
    await expect(titles(grace)).to_have_count(21 + SEEDED)
    await expect(titles(grace).first).to_have_text("On top of all")
    # The others have moved on to the next page, and are no news.
    await expect(grace.page.locator("#list .fresh")).to_have_count(1)
    await grace.leave()


async def test_the_counters_count(browser, demo, ann, login_cookies):
    """Of two windows of one user, who would be answered alike."""
    await expect(figure(ann, "audiences")).to_have_text("2")  # the list, and her own
    runs, saved = int(await figure(ann, "runs").inner_text()), figure(ann, "saved")
    before = int(await saved.inner_text())
    window = await Visitor.arrive(browser, demo, cookies=login_cookies)
    await expect(titles(window)).to_have_count(SEEDED)
    await write(window, "Counted")
    await expect(figure(window, "audiences")).to_have_text("3")  # and what was written
    await expect(mine(ann)).to_have_count(1 + len(DEMOS))
    await expect(figure(ann, "runs")).to_have_text(str(runs + 2))  # the list, and her own
    await expect(saved).to_have_text(str(before + 1))  # the list was for two
    await ann.page.get_by_role("link", name="Snippets", exact=False).first.click()
    await expect(ann.page.locator(".cost [data-figure=saved]")).to_have_text(str(before + 1))
    await ann.picture("live-figures")
    await window.leave()


# --- JSON Patch -----------------------------------------------------------------------------------------

PATCHES: list[tuple[Any, list[dict[str, Any]]]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}]),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}]),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/2", "value": 1}]),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/01", "value": 1}]),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}]),
    ({"foo": "bar"}, [{"op": "add", "path": "", "value": [1]}]),
    ({"foo": 1}, [{"op": "add", "path": "/__proto__", "value": {"polluted": True}}]),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}]),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}]),
    ({"foo": ["bar"]}, [{"op": "remove", "path": "/foo/1"}]),
    ({"foo": 1}, [{"op": "remove", "path": "/toString"}]),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": None}]),
    ({"baz": "qux"}, [{"op": "replace", "path": "", "value": "whole"}]),
    ({"baz": "qux"}, [{"op": "replace", "path": "/foo", "value": 1}]),
    ([1, 2, 3], [{"op": "replace", "path": "/0", "value": 9}]),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
    ),
    (
        {"foo": {"a": 1}},
        [{"op": "copy", "from": "/foo", "path": "/bar"}, {"op": "remove", "path": "/foo/a"}],
    ),
    ({"foo": ["a", 2, "c"]}, [{"op": "test", "path": "/foo/1", "value": 2}]),
    ({"foo": {"a": 1, "b": [2]}}, [{"op": "test", "path": "/foo", "value": {"b": [2], "a": 1}}]),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}]),
    ({"baz": []}, [{"op": "test", "path": "/baz", "value": {}}]),
    (
        {"/": 9, "~1": 10},
        [{"op": "replace", "path": "/~01", "value": 1}, {"op": "remove", "path": "/~1"}],
    ),
    ({"": {"": 1}}, [{"op": "replace", "path": "//", "value": 2}]),
]


async def test_the_client_s_json_patch_is_that_of_the_rfc(ann):
    """It gives what another implementation gives, and throws where that raises. The value is left as it was."""
    said = await ann.page.evaluate(
        """async (cases) => {
            const { patched } = await import("/static/wsrequest/wsrequest.js");
            return cases.map(([value, operations]) => {
                const before = JSON.stringify(value);
                let result;
                try { result = { is: patched(value, operations) }; } catch { result = "thrown"; }
                return JSON.stringify([result, before === JSON.stringify(value)]);
            });
        }""",
        PATCHES,
    )
    for (value, operations), text in zip(PATCHES, said, strict=True):
        try:
            expected: Any = {"is": JsonPatch(operations).apply(value)}
        except (JsonPatchException, JsonPointerException):
            expected = "thrown"
        assert json.loads(text) == [expected, True], operations
