"""{% wsrequest_script %} in a real page, under a policy that allows nothing but what bears its nonce."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.conftest import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_modules_have_their_names(context, site):
    page = await context.new_page()
    said: asyncio.Queue[str] = asyncio.Queue()
    page.on("console", lambda message: said.put_nowait(message.text))
    page.on("pageerror", lambda error: said.put_nowait(str(error)))

    await page.goto(f"{site.process.http}/tagged/")
    async with asyncio.timeout(PATIENCE / 1000):
        assert await said.get() == '{"user":"","secure":false}'
    loaded = await page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
    assert len([name for name in loaded if name.endswith("/wsrequest.js")]) == 1
    assert said.empty()
