"""`<live-fragment>`: HTML that stays as its view would render it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

START = """async ({ src }) => {
  window.ends = [];
  addEventListener("live-fragment:end", ({ detail }) => ends.push(detail.status));
  document.querySelector("main").innerHTML = `<live-fragment src="${src}">at first</live-fragment>`;
  const { LiveFragment } = await import("/static/wsrequest/fragment.js");
  window.LiveFragment = LiveFragment;
}"""


async def test_it_stays_up_to_date(new_tab, site):
    await site.add("milk", text="two <litres>")
    tab = await new_tab(START, {"src": "/card/milk/"})
    fragment = tab.page.locator("live-fragment")
    await expect(fragment.locator("p")).to_have_text("two <litres>")
    await expect(fragment).to_have_attribute("state", "live")
    await site.client.put("/board/milk/", json={"text": "three"})
    await expect(fragment.locator("p")).to_have_text("three")
    assert len(tab.sockets) == 1


async def test_what_one_is_writing_in_it_stays(new_tab, site):
    await site.add("milk", text="two")
    tab = await new_tab(START, {"src": "/card/milk/"})
    answer = tab.page.get_by_label("Answer")
    await answer.fill("half a sen")
    await answer.press("ArrowLeft")
    await site.client.put("/board/milk/", json={"text": "three"})
    await expect(tab.page.locator("live-fragment p")).to_have_text("three")
    await expect(answer).to_be_focused()
    await answer.press("X")
    await expect(answer).to_have_value("half a seXn")


async def test_another_src_shows_another_view(new_tab, site):
    await site.add("milk", text="two")
    await site.add("bread", text="one")
    tab = await new_tab(START, {"src": "/card/milk/"})
    fragment = tab.page.locator("live-fragment")
    await expect(fragment.locator("h2")).to_have_text("milk")
    await fragment.evaluate("(element) => element.setAttribute('src', '/card/bread/')")
    await expect(fragment.locator("h2")).to_have_text("bread")
    await site.client.put("/board/milk/", json={"text": "three"})
    await site.client.put("/board/bread/", json={"text": "four"})
    await expect(fragment.locator("p")).to_have_text("four")


async def test_what_is_gone_is_told_and_stays_to_be_seen(new_tab, site):
    await site.add("milk", text="two")
    tab = await new_tab(START, {"src": "/card/milk/"})
    fragment = tab.page.locator("live-fragment")
    await expect(fragment.locator("p")).to_have_text("two")
    await site.client.delete("/board/milk/")
    await tab.sees("ends.join() === '404'")
    await expect(fragment).to_have_attribute("state", "ended")
    await expect(fragment.locator("p")).to_have_text("two")


async def test_a_project_may_put_it_in_by_itself(new_tab, site):
    await site.add("milk", text="two")
    tab = await new_tab(START, {"src": "/card/milk/"})
    await expect(tab.page.locator("live-fragment p")).to_have_text("two")
    await tab.run(
        "LiveFragment.render = (element, html) => { element.textContent = html.length }, 0"
    )
    await site.client.put("/board/milk/", json={"text": "three"})
    await expect(tab.page.locator("live-fragment")).to_have_text(re.compile(r"^\d+$"))
