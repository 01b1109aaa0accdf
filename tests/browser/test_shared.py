"""One connection for all tabs of a browser, by a SharedWorker."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SHARED = """async ({ worker = "/static/wsrequest/shared-worker.js", ...options }) => {
  const client = await import("/static/wsrequest/wsrequest.js");
  const { sharedSocket } = await import("/static/wsrequest/shared.js");
  Object.assign(window, client, { events: [], notices: [], people: [] });
  window.ws = new client.WSRequest("/ws/", { socket: sharedSocket(worker, options) });
  ws.subscribe("/board/", {
    onEvent: ({ data }) => events.push(data),
    onPresence: (members) => people.push(members.map((each) => each.connection)),
  });
  await ws.get("/who/");
}"""


@pytest.fixture
def connections(context) -> list[str]:
    """The sockets that pages open by themselves."""
    opened: list[str] = []
    context.on("page", lambda page: page.on("websocket", lambda socket: opened.append(socket.url)))
    return opened


async def test_two_tabs_have_one_connection(new_tab, connections, site):
    one, two = await new_tab(SHARED), await new_tab(SHARED)
    # Both begin to count at the same number.
    answers = await asyncio.gather(
        *(tab.run(f"ws.get('/board/?{n}')") for n, tab in enumerate([one, two] * 5))
    )
    assert answers == [{"notes": []}] * 10
    await site.add("a", "b")
    for tab in (one, two):
        await tab.sees("events.join() === 'a,b'")
    assert connections == []
    assert await one.run("ws.connection") == await two.run("ws.connection")


async def test_a_tab_that_is_closed_takes_its_requests_along(new_tab, site):
    one, two = await new_tab(SHARED), await new_tab(SHARED)
    for tab, name in ((one, "one"), (two, "two")):
        await tab.run(f"void ws.get('/wait/{name}/').catch(() => {{}})")
        await site.counted(f"{name} begun", 1)
    await one.page.close()
    await site.counted("one ended", 1)
    assert "two ended" not in await site.counters()
    await site.add("a")
    await two.sees("events.join() === 'a'")


async def test_it_comes_back_for_all(new_tab, connections, site, process):
    tabs = [await new_tab(SHARED), await new_tab(SHARED)]
    await site.add("a")
    process.kill()
    process.start()
    await site.add("b")
    for tab in tabs:
        await tab.sees("events.join() === 'a,b'")
    assert connections == []


async def test_who_signs_in_gets_another_one(new_tab):
    nobody, ada = await new_tab(SHARED), await new_tab(SHARED, {"identity": "ada"})
    await ada.run("ws.post('/sign-in/', { name: 'ada' })")
    assert (await ada.run("ws.get('/who/')"))["user"] == "ada"
    assert (await nobody.run("ws.get('/who/')"))["user"] == ""


async def test_without_a_worker_a_tab_has_its_own(new_tab, connections, site):
    tab = await new_tab(SHARED, {"worker": "/static/nowhere.js"})
    await site.add("a")
    await tab.sees("events.join() === 'a'")
    assert len(connections) == 1


async def test_a_page_that_is_shown_again_is_connected_again(new_tab, wire, site):
    tab = await new_tab(SHARED)
    await tab.page.goto(f"http://127.0.0.1:{wire.port}/who/")
    await tab.page.go_back()
    if not await tab.run("'ws' in window"):
        await tab.run(SHARED, {})  # it was not kept
    await site.add("a")
    await tab.sees("events.join() === 'a'")
