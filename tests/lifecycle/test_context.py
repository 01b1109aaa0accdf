"""Language, time zone, urlconf, script prefix: seen through a whole message, and never in the next one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import get_script_prefix
from django.utils import translation

from tests.lifecycle import support
from tests.lifecycle.fixtures import MakeRunner
from wsrequest.lifecycle.runner import PoolRunner

pytestmark = pytest.mark.usefixtures("urls")

DEFAULTS = {
    "language": "en-us",
    "timezone": "UTC",
    "urlconf": "tests.lifecycle.urls",
    "prefix": "/",
}


def without_thread(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != "thread"}


@pytest.mark.parametrize("url", ["/state/", "/astate/"])
async def test_what_a_view_activates_ends_with_its_message(
    make_runner: MakeRunner, url: str
) -> None:
    runner = make_runner(1)  # every message on the same thread
    for _ in range(3):
        recorder = await support.run(runner, f"{url}?language=fr&timezone=Europe/Paris")
        state = json.loads(recorder.text)
        assert without_thread(state["before"]) == DEFAULTS
        assert state["after"]["language"] == "fr"
        assert state["after"]["timezone"] == "Europe/Paris"
        if "sync" in state:
            assert state["sync"]["language"] == "fr"
            assert state["sync"]["timezone"] == "Europe/Paris"
    assert translation.get_language() == "en-us"
    assert get_script_prefix() == "/"


@pytest.mark.parametrize("url", ["/state/", "/astate/"])
async def test_what_a_hook_activates_is_seen_in_the_view_and_in_the_hooks_after(
    runner: PoolRunner, settings: Any, url: str
) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.Language"]
    recorder = await support.run(runner, url, headers={"x-language": "de"})
    assert json.loads(recorder.text)["before"]["language"] == "de"
    assert recorder.reply.headers["x-language-after"] == "de"
    again = await support.run(runner, url)
    assert json.loads(again.text)["before"]["language"] == "en-us"


@pytest.mark.parametrize("url", ["/stream/", "/astream/", "/sync-astream/", "/async-stream/"])
async def test_every_chunk_is_made_in_the_state_of_its_request(
    runner: PoolRunner, settings: Any, url: str
) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.Language"]
    recorder = await support.run(runner, url, headers={"x-language": "de"})
    lines = [line.split() for line in recorder.text.splitlines()]
    assert {line[1] for line in lines} == {"de"}
    assert {line[2] for line in lines} == {"tests.lifecycle.urls"}
    assert len({line[3] for line in lines}) == 1  # and all on one thread
    plain = await support.run(runner, url)
    assert {line.split()[1] for line in plain.text.splitlines()} == {"en-us"}


async def test_a_stream_keeps_the_urlconf_of_its_request(runner: PoolRunner, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.OtherURLs"]
    recorder = await support.run(runner, "/other-stream/", headers={"x-other": "yes"})
    assert {line.split()[2] for line in recorder.text.splitlines()} == {
        "tests.lifecycle.other_urls"
    }


async def test_messages_that_run_at_once_do_not_see_each_other(
    make_runner: MakeRunner, settings: Any
) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.Language"]
    runner = make_runner(2)
    languages = ["de", "fr", "en-us"] * 20
    recorders = [
        support.start(
            runner,
            ["/state/", "/astate/", "/astream/", "/stream/"][number % 4],
            headers={"x-language": language},
        )
        for number, language in enumerate(languages)
    ]
    for language, recorder in zip(languages, recorders, strict=True):
        text = (await recorder.wait()).text
        if recorder.heads:
            assert {line.split()[1] for line in text.splitlines()} == {language}
        else:
            assert json.loads(text)["before"]["language"] == language


@pytest.mark.parametrize("url", ["/state/", "/astate/"])
async def test_the_script_prefix_is_that_of_the_connection(runner: PoolRunner, url: str) -> None:
    prefixed = support.factory(root_path="/app")
    recorder = support.Recorder()
    import contextvars

    runner.start(
        support.call(support.message(f"/app{url}"), requests=prefixed),
        contextvars.copy_context(),
        recorder,
    )
    assert json.loads((await recorder.wait()).text)["before"]["prefix"] == "/app/"
    recorder = await support.run(runner, url)
    assert json.loads(recorder.text)["before"]["prefix"] == "/"
