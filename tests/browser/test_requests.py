"""Requests, streams, cancelling and cookies in a real page."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_stream_is_read_as_it_comes(tab):
    text = await tab.run(
        """async () => {
          const response = await ws.fetch("/numbers/5000/");
          let text = "";
          for await (const chunk of response.body) text += new TextDecoder().decode(chunk);
          return text;
        }"""
    )
    assert text.split() == [str(number) for number in range(5000)]


async def test_a_stream_that_is_left_ends_on_the_server(tab, site):
    before = (await site.counters()).get("ended", 0)
    assert "more" in await tab.run(
        """async () => {
          const response = await ws.fetch("/endless/");
          const reader = response.body.getReader();
          const { value } = await reader.read();
          await reader.cancel();
          return new TextDecoder().decode(value);
        }"""
    )
    await site.counted("ended", before + 1)


async def test_what_is_aborted_is_cancelled(tab, site):
    await tab.run(
        """() => {
          window.controller = new AbortController();
          window.waiting = ws.get("/wait/abort/", undefined, { signal: controller.signal })
            .catch((error) => error.name);
        }"""
    )
    await site.counted("abort begun", 1)
    await tab.run("controller.abort()")
    assert await tab.run("waiting") == "AbortError"
    await site.counted("abort ended", 1)


async def test_fetch_gives_a_real_response(tab):
    said = await tab.run(
        """async () => {
          const response = await ws.fetch("/board/nowhere/");
          return [response instanceof Response, response.status, response.ok, await response.json()];
        }"""
    )
    assert said == [True, 404, False, {"detail": "No such note."}]


async def test_a_no_is_an_error_with_its_data(tab):
    said = await tab.run(
        """ws.get("/board/nowhere/").catch((error) => [
          error instanceof WSRequestError, error.status, error.data.detail,
        ])"""
    )
    assert said == [True, 404, "No such note."]


async def test_a_login_over_the_socket_may_be_handed_to_the_browser(tab, context, new_tab):
    await tab.run("ws.post('/sign-in/', { name: 'ada' })")
    assert (await tab.run("ws.get('/who/')"))["user"] == "ada"
    assert "sessionid" not in await tab.run("document.cookie")
    status = await tab.run(
        """async () => {
          const { ticket } = await ws.post("/cookies/");
          const [, token] = document.cookie.match(/csrftoken=([^;]*)/);
          const { status } = await fetch("/cookies/", {
            method: "POST",
            headers: { "content-type": "application/json", "x-csrftoken": token },
            body: JSON.stringify({ ticket }),
          });
          return status;
        }"""
    )
    assert status == 204
    (session,) = [each for each in await context.cookies() if each["name"] == "sessionid"]
    assert session["httpOnly"]
    # The next page's handshake bears it.
    another = await new_tab()
    assert (await another.run("ws.get('/who/')"))["user"] == "ada"


async def test_who_is_here(tab, new_tab):
    hear = """() => void ws.subscribe("/lobby/", { onPresence: (members) => people.push(members.length) })"""
    await tab.run(hear)
    await tab.sees("people.at(-1) === 1")
    other = await new_tab()
    await other.run(hear)
    await other.sees("people.at(-1) === 2")
    await tab.sees("people.at(-1) === 2")
    await other.page.close()
    await tab.sees("people.at(-1) === 1")


async def test_two_tabs_see_what_either_writes(tab, new_tab):
    other = await new_tab()
    for each in (tab, other):
        await each.run("() => void (window.board = ws.live('/board/')).subscribe(() => {})")
        await each.sees("board.getSnapshot()")
    await asyncio.gather(
        tab.run("ws.post('/board/', { slug: 'one' })"),
        other.run("ws.post('/board/', { slug: 'two' })"),
    )
    for each in (tab, other):
        await each.sees("board.getSnapshot().notes.join() === 'one,two'")
