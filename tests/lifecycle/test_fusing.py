"""The fused chain against Django's own, over random middleware stacks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.http.response import HttpResponseBase
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings

from tests.lifecycle import support
from tests.lifecycle.stacks import Element, Stack, Trace, installed, stacks
from wsrequest.lifecycle.handler import AsyncHandler, SyncHandler
from wsrequest.lifecycle.hop import MessageThread
from wsrequest.lifecycle.threads import WorkerPool


@dataclass
class Run:
    """What a run of a stack came to."""

    status: int
    body: bytes
    trace: list[str]
    log: list[tuple[int, str]]
    threads: set[int]


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2, on_exit=connections.close_all)
    yield pool
    pool.close(20)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(debug=False) as runner:
        yield runner


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    """What Django logs of a request, kept from the terminal."""
    logger, log = logging.getLogger("django.request"), Log()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(log)
    yield log
    logger.removeHandler(log)
    logger.propagate = propagate


def recorded(stack: Stack, log: Log, respond: Callable[[], HttpResponseBase]) -> Run:
    with installed(stack):
        log.lines = []
        response = respond()
        response.close()
        return Run(response.status_code, response.content, Trace.lines, log.lines, Trace.threads)


class DjangoHandler(BaseHandler):
    """Django's own handlers without their transports."""

    def __init__(self, *, is_async: bool) -> None:
        self.load_middleware(is_async=is_async)


@given(stack=stacks)
@example(  # view hooks of a middleware outside one that can't be fused
    stack=Stack((Element("mixin", {"view": "pass"}), Element("async function", {})), "plain", True)
)
@example(  # an asynchronous view hook among synchronous ones
    stack=Stack(
        (
            Element("mixin", {"view": "pass", "request": "pass"}),
            Element("async class", {"view": "pass"}),
            Element("mixin", {"view": "answer", "template": "pass"}),
        ),
        "plain",
        True,
    )
)
@example(  # a synchronous middleware around an asynchronous one
    stack=Stack(
        (
            Element("mixin", {"request": "pass", "response": "pass"}),
            Element("sync function", {}),
            Element("mixin async only", {"request": "pass", "view": "pass"}),
        ),
        "ValueError",
        True,
    )
)
@hypothesis_settings(max_examples=150)
def test_the_fused_chain_does_what_django_s_does(
    stack: Stack, pool: WorkerPool, loop: asyncio.Runner, log: Log
) -> None:
    async def ours() -> HttpResponseBase:
        MessageThread(pool).enter()
        return await AsyncHandler().respond(support.build("/view/"))

    async def theirs() -> HttpResponseBase:
        return await DjangoHandler(is_async=True).get_response_async(support.build("/view/"))

    expected = recorded(stack, log, lambda: loop.run(theirs()))
    run = recorded(stack, log, lambda: loop.run(ours()))
    assert (run.status, run.body) == (expected.status, expected.body)
    assert run.trace == expected.trace
    assert run.log == expected.log
    assert len(run.threads) <= 1, "synchronous code ran on more than one thread"
    assert threading.get_ident() not in run.threads, "synchronous code ran on the loop"


@given(stack=stacks)
@hypothesis_settings(max_examples=75)
def test_the_synchronous_chain_does_what_django_s_does(stack: Stack, log: Log) -> None:
    expected = recorded(
        stack, log, lambda: DjangoHandler(is_async=False).get_response(support.build("/view/"))
    )
    run = recorded(stack, log, lambda: SyncHandler().respond(support.build("/view/")))
    assert (run.status, run.body) == (expected.status, expected.body)
    assert run.trace == expected.trace
    assert run.log == expected.log


@pytest.mark.parametrize("handler", [SyncHandler, AsyncHandler])
@pytest.mark.parametrize("factory", ["nothing", "neither"])
def test_middleware_that_django_refuses_is_refused(
    handler: Any, factory: str, settings: Any
) -> None:
    settings.MIDDLEWARE = [f"tests.lifecycle.test_fusing.{factory}"]
    with pytest.raises(Exception) as ours:  # noqa: PT011 (Django's own, whatever it is)
        handler()
    with pytest.raises(type(ours.value)) as theirs:
        DjangoHandler(is_async=handler is AsyncHandler)
    assert type(ours.value) is type(theirs.value)


def nothing(get_response: Any) -> None:
    return None


def neither(get_response: Any) -> Any:
    return get_response


neither.sync_capable = neither.async_capable = False  # type: ignore[attr-defined]
