"""The lifecycle as a function: in the caller's thread and a copy of its context."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from blockbuster import blockbuster
from django.http import StreamingHttpResponse
from django.urls import get_script_prefix, get_urlconf
from django.utils import timezone, translation

from tests.lifecycle import support
from tests.lifecycle.views import Stage
from wsrequest.lifecycle.inline import arun_inline, run_inline

pytestmark = pytest.mark.usefixtures("urls")

STREAMS = ["/stream/", "/astream/", "/sync-astream/", "/async-stream/"]


def state(response: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(response.content)
    return told


def test_it_runs_in_the_callers_thread() -> None:
    assert state(run_inline(support.build("/state/")))["before"]["thread"] == threading.get_ident()


def test_the_callers_language_holds_and_the_views_does_not_come_back() -> None:
    with translation.override("de"), timezone.override("Europe/Berlin"):
        told = state(run_inline(support.build("/state/?language=fr&timezone=Europe/Paris")))
        assert told["before"]["language"] == "de"
        assert told["before"]["timezone"] == "Europe/Berlin"
        assert told["after"]["language"] == "fr"
        assert translation.get_language() == "de"
        assert timezone.get_current_timezone_name() == "Europe/Berlin"
    assert get_urlconf() is None
    assert get_script_prefix() == "/"


@pytest.mark.parametrize("url", ["/state/", "/astate/"])
async def test_the_same_on_a_running_loop(url: str) -> None:
    with translation.override("de"), timezone.override("Europe/Berlin"):
        request = support.build(f"{url}?language=fr&timezone=Europe/Paris")
        told = state(await arun_inline(request))
        assert told["before"]["language"] == "de"
        assert told["before"]["timezone"] == "Europe/Berlin"
        assert told["after"]["language"] == "fr"
        assert translation.get_language() == "de"
        assert timezone.get_current_timezone_name() == "Europe/Berlin"


@pytest.mark.parametrize("url", ["/hello/", "/ahello/", "/fail/", "/nowhere/"])
def test_the_signals_come_once(url: str) -> None:
    with support.signal_log() as log:
        response = run_inline(support.build(url))
    assert log.names == ["started", "finished"]
    assert log.threads == {threading.get_ident()}
    assert response.closed


@pytest.mark.parametrize("url", ["/hello/", "/ahello/", "/fail/", "/afail/", "/nowhere/"])
async def test_the_signals_come_once_on_a_loop(url: str) -> None:
    with support.signal_log() as log:
        response = await arun_inline(support.build(url))
    assert log.names == ["started", "finished"]
    assert response.closed


def test_a_stream_is_read_in_its_requests_context_and_closed_at_its_end() -> None:
    with support.signal_log() as log:
        response = run_inline(support.build("/stream/?language=fr"))
        assert isinstance(response, StreamingHttpResponse)
        assert log.names == ["started"]
        lines = b"".join(response).decode().splitlines()  # type: ignore[arg-type]
        assert log.names == ["started", "finished"]
        response.close()
    assert log.names == ["started", "finished"]
    assert {tuple(line.split()[1:3]) for line in lines} == {("fr", "tests.lifecycle.urls")}
    assert translation.get_language() == "en-us"


def test_a_stream_that_nobody_reads_on_is_closed_by_the_caller(stage: Stage) -> None:
    with support.signal_log() as log:
        response = run_inline(support.build("/endless/"))
        assert next(iter(response)) == b"x"
        response.close()
    assert stage.cleaned_up.is_set()
    assert log.names == ["started", "finished"]


@pytest.mark.parametrize("url", STREAMS)
async def test_either_kind_of_stream_is_read_on_a_loop(url: str) -> None:
    with support.signal_log() as log:
        response = await arun_inline(support.build(f"{url}?language=fr"))
        assert isinstance(response, StreamingHttpResponse)
        text = b"".join([part async for part in response]).decode()
    assert log.names == ["started", "finished"]
    assert {tuple(line.split()[1:3]) for line in text.splitlines()} == {
        ("fr", "tests.lifecycle.urls")
    }


async def test_it_can_be_called_where_a_loop_runs(transactional_db: None) -> None:
    """As Tornado's handlers do. Django's ORM refuses to work in such a thread, so the request works beside it."""
    blockbuster._skip.value = True  # the loop is blocked on purpose
    try:
        with translation.override("de"):
            users = run_inline(support.build("/users/"))
            told = state(run_inline(support.build("/state/")))
            parts = list(run_inline(support.build("/stream/?language=fr")))  # type: ignore[call-overload]
    finally:
        blockbuster._skip.value = False
    assert json.loads(users.content) == []  # type: ignore[attr-defined]
    assert told["before"]["language"] == "de"
    assert told["before"]["thread"] != threading.get_ident()
    assert {part.split()[1] for part in parts} == {b"fr"}
    assert len({part.split()[3] for part in parts}) == 1


def test_propagated_exceptions_reach_the_caller(settings: Any) -> None:
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    with support.signal_log() as log, pytest.raises(ValueError, match="a secret"):
        run_inline(support.build("/fail/"))
    assert log.names == ["started", "finished"]


async def test_propagated_exceptions_reach_the_caller_on_a_loop(settings: Any) -> None:
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    for url in ("/fail/", "/afail/"):
        with support.signal_log() as log, pytest.raises(ValueError, match="a secret"):
            await arun_inline(support.build(url))
        assert log.names == ["started", "finished"]
