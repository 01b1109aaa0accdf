"""What an application hears while servers die, networks go and laptops sleep: nothing twice, nothing left out."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WATCH = """async () => {
  ws.subscribe("/board/", {
    onSnapshot: (data) => snapshots.push(data.notes),
    onEvent: ({ event, data }) => events.push(data),
    onPresence: (members) => people.push(members.length),
  });
  window.board = ws.live("/board/");
  board.subscribe(() => {});
}"""


async def watches(tab):
    await tab.run(WATCH)
    await tab.sees("snapshots.length && board.getSnapshot()")


async def saw_all(tab, *slugs):
    """Each event once and in order; and the live answer is the present one."""
    last = ",".join(slugs)
    await tab.sees(f"events.join() === '{last}'")
    await tab.sees(f"board.getSnapshot().notes.join() === '{','.join(sorted(slugs))}'")


async def test_a_server_is_killed_and_comes_back(tab, site, process):
    await watches(tab)
    await site.add("a", "b")
    await saw_all(tab, "a", "b")
    process.kill()
    await tab.sees("states.includes('waiting')")
    process.start()
    await site.add("c")
    await saw_all(tab, "a", "b", "c")
    await site.add("d")
    await saw_all(tab, "a", "b", "c", "d")
    # The history says what was missed: the state was given once.
    assert await tab.run("snapshots.length") == 1


async def test_a_server_is_stopped_for_a_deploy(tab, site, process):
    await watches(tab)
    await site.add("a")
    await saw_all(tab, "a")
    process.stop()
    process.start()
    await site.add("b")
    await saw_all(tab, "a", "b")
    assert await tab.run("ws.get('/who/')") == {"user": "", "secure": False}


async def test_what_is_asked_meanwhile_is_answered_afterwards(tab, site, process):
    await tab.run("ws.get('/who/')")
    process.kill()
    await tab.sees("states.includes('waiting')")
    await tab.run("window.later = ws.get('/board/'), null")
    process.start()
    assert await tab.run("later") == {"notes": []}


async def test_a_write_with_a_key_is_made_once(tab, site, wire):
    """The connection is lost before the answer, and the request is sent again."""
    before = (await site.counters()).get("posts", 0)
    await tab.run(
        "window.made = ws.post('/board/?hold=once', { slug: 'a' }, { key: 'once' }), null"
    )
    await site.counted("posts", before + 1)
    wire.cut()
    await tab.sees("states.includes('waiting')")
    await site.client.get("/release/once/")
    assert (await tab.run("made"))["slug"] == "a"
    assert (await site.counters())["posts"] == before + 1


async def test_a_write_without_one_is_not_sent_again(tab, site, wire):
    """Whether it was made nobody knows, and the application is told so."""
    before = (await site.counters()).get("posts", 0)
    await tab.run("window.made = ws.post('/board/?hold=lost', { slug: 'a' }).catch(String), null")
    await site.counted("posts", before + 1)
    wire.cut()
    assert "lost" in await tab.run("made")
    await site.client.get("/release/lost/")
    await tab.run("ws.get('/who/')")
    assert (await site.counters())["posts"] == before + 1


async def test_a_network_that_goes_and_comes(tab, site, wire):
    await watches(tab)
    for slug in ("a", "b", "c"):
        wire.cut()
        await site.add(slug)
        await saw_all(tab, *"abc"[: "abc".index(slug) + 1])


async def test_a_browser_that_is_offline_waits_until_it_is_not(tab, context, site, wire):
    await watches(tab)
    await context.set_offline(True)
    wire.cut()  # which goes on by itself
    await tab.sees("states.includes('waiting')")
    await site.add("a")
    await context.set_offline(False)
    await saw_all(tab, "a")


async def test_a_page_that_was_frozen(tab, context, site, wire):
    """A laptop that sleeps: no timer runs, and the connection is gone when it wakes."""
    await watches(tab)
    devtools = await context.new_cdp_session(tab.page)
    await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    wire.cut()
    await site.add("a")
    await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    await saw_all(tab, "a")


async def test_a_slow_network(tab, site, wire):
    wire.delay = 0.3
    await watches(tab)
    await site.add("a", "b")
    await saw_all(tab, "a", "b")
    answers = await tab.run(
        "Promise.all([...Array(20).keys()].map(() => ws.get('/board/'))).then((all) => all.length)"
    )
    assert answers == 20
    assert len(tab.sockets) == 1


async def test_a_black_hole_is_noticed(new_tab, site, wire):
    """Nobody says that the connection is gone: only the missing pong does."""
    tab = await new_tab(clock=True)
    await watches(tab)
    wire.stall()
    await site.add("a")
    await tab.page.clock.run_for(60_000)
    await tab.sees("states.includes('waiting')")
    wire.cut()
    wire.flow()
    await tab.page.clock.run_for(60_000)
    await saw_all(tab, "a")
