"""The handlers under a runner: hops, signals, the end of a request."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from tests.lifecycle import support, views
from tests.lifecycle.fixtures import MakeRunner
from tests.lifecycle.views import Background, Stage
from wsrequest.lifecycle import runner as runner_module
from wsrequest.lifecycle import views as views_module
from wsrequest.lifecycle.handler import (
    AsyncHandler,
    SyncHandler,
    async_handler,
    sync_handler,
)
from wsrequest.lifecycle.hop import MessageThread
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.views import LONGEST_KEPT, any_view_is_async, view_is_async

pytestmark = pytest.mark.usefixtures("urls")


async def any_text(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(text)


urlpatterns = [path("a/<text>/", any_text), path("s/<text>/", views.text)]

SOURCE = Path(views.__file__).read_bytes()


class CountingThread(MessageThread):
    hops: ClassVar[int] = 0

    async def _call(self, submit: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        type(self).hops += 1
        return await super()._call(submit, function, *args, **kwargs)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        type(self).hops += 1
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize(("url", "hops"), [("/ahello/", 2), ("/threads/", 4)])
async def test_the_default_seven_and_an_async_view_take_two_hops(
    runner: PoolRunner, monkeypatch: pytest.MonkeyPatch, url: str, hops: int
) -> None:
    """The second view makes two of its own."""
    monkeypatch.setattr(runner_module, "MessageThread", CountingThread)
    CountingThread.hops = 0
    assert (await support.run(runner, url)).status == 200
    assert hops == CountingThread.hops


async def test_a_sync_view_takes_one_job(runner: PoolRunner, monkeypatch: Any) -> None:
    jobs = []
    submit = runner.pool.submit
    monkeypatch.setattr(
        runner.pool, "submit", lambda job, lane=None: (jobs.append(job), submit(job, lane))
    )
    assert (await support.run(runner, "/hello/")).status == 200
    assert len(jobs) == 1


async def test_without_hooks_that_need_a_thread_only_the_signals_take_one(
    runner: PoolRunner, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MIDDLEWARE = []
    monkeypatch.setattr(runner_module, "MessageThread", CountingThread)
    CountingThread.hops = 0
    assert (await support.run(runner, "/ahello/")).text == "hello"
    assert CountingThread.hops == 2


@pytest.mark.parametrize("url", ["/hello/", "/ahello/", "/stream/", "/astream/", "/file/"])
async def test_the_signals_come_once_and_in_one_thread_of_the_pool(
    runner: PoolRunner, url: str
) -> None:
    with support.signal_log() as log:
        await support.run(runner, url)
    assert log.names == ["started", "finished"]
    assert log.threads <= {worker._thread.ident for worker in runner.pool.workers}
    assert len(log.threads) == 1


@pytest.mark.parametrize("how", ["404", "403", "400", "ValueError", "exit", "interrupt"])
@pytest.mark.parametrize("url", ["/fail/", "/afail/"])
async def test_the_signals_come_once_when_a_view_fails(
    runner: PoolRunner, url: str, how: str, settings: Any
) -> None:
    with support.signal_log() as log:
        recorder = await support.run(runner, f"{url}?how={how}")
    assert log.names == ["started", "finished"]
    assert len(recorder.replies) + len(recorder.errors) == 1
    if how in ("exit", "interrupt"):
        assert [error.status for error in recorder.errors if error] == [500]


async def test_the_signals_come_once_with_propagated_exceptions(
    runner: PoolRunner, settings: Any
) -> None:
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    for url in ("/fail/", "/afail/"):
        with support.signal_log() as log:
            recorder = await support.run(runner, url)
        assert log.names == ["started", "finished"]
        assert [error.status for error in recorder.errors if error] == [500]


async def test_the_signals_name_the_handler_and_the_request(runner: PoolRunner) -> None:
    seen: list[Any] = []

    def started(sender: Any, environ: dict[str, Any], **kwargs: Any) -> None:
        seen.append((sender, environ["PATH_INFO"]))

    def finished(sender: Any, **kwargs: Any) -> None:
        seen.append(sender)

    with support.listening(request_started, started), support.listening(request_finished, finished):
        await support.run(runner, "/hello/")
        await support.run(runner, "/ahello/")
    assert seen == [(SyncHandler, "/hello/"), SyncHandler, (AsyncHandler, "/ahello/"), AsyncHandler]


async def test_a_cancelled_view_ends_its_request(runner: PoolRunner, stage: Stage) -> None:
    with support.signal_log() as log:
        recorder = support.start(runner, "/await/")
        assert stage.async_entered is not None
        await asyncio.wait_for(stage.async_entered.wait(), support.PATIENCE)
        assert recorder.task is not None
        recorder.task.cancel()
        await recorder.wait()
    assert stage.cancelled
    assert log.names == ["started", "finished"]
    assert recorder.replies == []
    assert recorder.errors == []


class Gate:
    """A hook that waits in its thread, so that a test can act meanwhile."""

    entered: ClassVar[threading.Event]
    may_go: ClassVar[threading.Event]

    @classmethod
    def reset(cls) -> None:
        cls.entered, cls.may_go = threading.Event(), threading.Event()

    @classmethod
    def wait(cls) -> None:
        cls.entered.set()
        assert cls.may_go.wait(support.PATIENCE)


class SlowRequest(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        Gate.wait()


class SlowResponse(MiddlewareMixin):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        Gate.wait()
        return response


@pytest.mark.parametrize("hook", ["SlowRequest", "SlowResponse"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("url", ["/ahello/", "/async-stream/"])
async def test_a_request_that_is_cancelled_in_a_hop_ends_once(
    runner: PoolRunner, settings: Any, hook: str, times: int, url: str
) -> None:
    """The hop runs on: what ends the request waits for it, and finds what it did."""
    settings.MIDDLEWARE = [f"tests.lifecycle.test_handler.{hook}"]
    Gate.reset()
    finished = threading.Event()
    with (
        support.signal_log() as log,
        support.listening(request_finished, lambda **kwargs: finished.set()),
    ):
        recorder = support.start(runner, url)
        assert await asyncio.to_thread(Gate.entered.wait, support.PATIENCE)
        assert recorder.task is not None
        for _ in range(times):
            recorder.task.cancel()
            await asyncio.sleep(0)  # the task sees the first before the second comes
            await asyncio.sleep(0)
        assert times > 1 or not recorder.done.is_set()  # the thread is still held
        Gate.may_go.set()
        await recorder.wait()
        assert await asyncio.to_thread(finished.wait, support.PATIENCE)
        await support.run(runner, "/hello/")  # whatever came too late would be in the log now
    assert log.names == ["started", "finished"] * 2


async def test_a_request_that_is_cancelled_before_it_began_leaves_nothing(
    make_runner: MakeRunner, stage: Stage
) -> None:
    runner = make_runner(1)
    blocking = support.start(runner, "/wait/")
    assert await asyncio.to_thread(stage.entered.wait, support.PATIENCE)
    with support.signal_log() as log:
        recorder = support.start(runner, "/ahello/")
        await asyncio.sleep(0)  # it is in the queue for the one thread
        assert recorder.task is not None
        recorder.task.cancel()
        stage.may_leave.set()
        await recorder.wait()
        await blocking.wait()
    assert log.names.count("started") == log.names.count("finished") - 1  # that of the first one
    assert recorder.replies == []


async def test_a_view_that_ends_itself_is_answered(runner: PoolRunner) -> None:
    recorder = await support.run(runner, "/afail/?how=exit")
    assert len(recorder.errors) == 1
    assert (await support.run(runner, "/ahello/")).text == "hello"


@pytest.mark.parametrize("url", ["/stream/", "/astream/", "/sync-astream/", "/async-stream/"])
async def test_a_stream_is_a_head_chunks_and_an_end(runner: PoolRunner, url: str) -> None:
    recorder = await support.run(runner, url)
    assert recorder.status == 200
    assert recorder.ends == 1
    assert recorder.replies == []
    assert len(recorder.chunks) == recorder.text.count("\n") >= 1


@pytest.mark.parametrize("url", ["/file/", "/afile/"])
async def test_a_file_comes_in_chunks_of_64_kib(
    runner: PoolRunner, url: str, monkeypatch: Any
) -> None:
    recorder = await support.run(runner, url)
    assert b"".join(recorder.chunks) == SOURCE
    assert len(recorder.chunks[0]) == min(2**16, len(b"".join(recorder.chunks)))
    assert recorder.heads[0].headers["content-disposition"] == 'inline; filename="views.py"'


async def test_a_large_part_of_a_stream_is_cut(runner: PoolRunner, monkeypatch: Any) -> None:
    monkeypatch.setattr(runner_module, "CHUNK_SIZE", 7)
    recorder = await support.run(runner, "/stream/")
    assert max(map(len, recorder.chunks)) == 7
    assert recorder.text.count("\n") == 3


@pytest.mark.parametrize("url", ["/endless/", "/aendless/"])
async def test_a_cancelled_stream_is_closed(runner: PoolRunner, stage: Stage, url: str) -> None:
    with support.signal_log() as log:
        recorder = support.start(runner, url)
        await asyncio.wait_for(recorder.got_chunk.wait(), support.PATIENCE)
        assert recorder.task is not None
        recorder.task.cancel()
        await recorder.wait()
    assert stage.cleaned_up.is_set()
    assert log.names == ["started", "finished"]
    assert not any(worker.leased for worker in runner.pool.workers)


async def test_a_broken_stream_ends_with_500(runner: PoolRunner) -> None:
    with support.signal_log() as log:
        recorder = await support.run(runner, "/broken-stream/")
    assert recorder.chunks == [b"first"]
    assert [error.status for error in recorder.errors if error] == [500]
    assert recorder.ends == 1
    assert log.names == ["started", "finished"]


async def test_head_of_a_stream_reads_none_of_it(runner: PoolRunner, stage: Stage) -> None:
    for url in ("/endless/", "/aendless/"):
        with support.signal_log() as log:
            recorder = await support.run(runner, url, "HEAD")
        assert recorder.status == 200
        assert recorder.heads == recorder.chunks == []
        assert log.names == ["started", "finished"]


async def test_a_task_that_outlives_its_request_keeps_the_database(
    runner: PoolRunner, stage: Stage, transactional_db: None
) -> None:
    assert (await support.run(runner, "/background/")).text == "answered"
    stage.may_leave.set()
    await asyncio.wait_for(Background.task, support.PATIENCE)
    assert json.loads((await support.run(runner, "/users/")).text) == ["later"]


async def test_sync_to_async_in_a_view_runs_on_the_thread_of_the_hooks(
    runner: PoolRunner, settings: Any
) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.ThreadNote"]
    told = json.loads((await support.run(runner, "/threads/")).text)
    assert set(told["hops"]) == {told["hook"]}
    assert told["hook"] in {worker._thread.ident for worker in runner.pool.workers}
    assert told["loop"] == threading.get_ident()


async def test_messages_that_run_at_once_have_a_thread_each(
    make_runner: MakeRunner, stage: Stage, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        "tests.lifecycle.middleware.Meeting",
        "tests.lifecycle.middleware.ThreadNote",
    ]
    runner = make_runner(2)
    recorders = [support.start(runner, "/meet/") for _ in range(2)]
    told = [json.loads((await recorder.wait()).text) for recorder in recorders]
    assert {(*one["threads"], one["hook"]) for one in told} == {
        (worker._thread.ident,) * 3 for worker in runner.pool.workers
    }


async def test_a_sync_view_keeps_its_thread_when_nobody_waits(
    make_runner: MakeRunner, stage: Stage
) -> None:
    """There is no task to cancel: the sink is told ``finished`` when the thread is free."""
    runner = make_runner(1)
    recorder = support.start(runner, "/wait/")
    assert await asyncio.to_thread(stage.entered.wait, support.PATIENCE)
    assert recorder.task is None
    assert not recorder.done.is_set()
    stage.may_leave.set()
    assert (await recorder.wait()).text == "waited"


def test_the_hint_is_found_by_the_url(settings: Any) -> None:
    assert view_is_async("/ahello/")
    assert not view_is_async("/hello/")
    assert not view_is_async("/nowhere/")
    assert any_view_is_async()
    settings.ROOT_URLCONF = "tests.lifecycle.sync_urls"
    assert not view_is_async("/ahello/")
    assert not any_view_is_async()


@pytest.mark.parametrize("url", ["/other/", "/aother/"])
async def test_a_wrong_hint_is_never_wrong(runner: PoolRunner, settings: Any, url: str) -> None:
    """The middleware chooses another urlconf, in which the url is a view of the other kind."""
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.OtherURLs"]
    recorder = await support.run(runner, url, headers={"x-other": "yes"})
    assert json.loads(recorder.text)["before"]["urlconf"] == "tests.lifecycle.other_urls"
    assert (await support.run(runner, url)).status == 404


@pytest.mark.parametrize("handler", [SyncHandler, AsyncHandler])
@pytest.mark.parametrize("url", ["/hello/", "/ahello/", "/template/"])
async def test_either_handler_runs_either_kind_of_view(handler: Any, url: str) -> None:
    request = support.build(url)
    if handler is SyncHandler:
        response = await sync_to_async(handler().respond)(request)
    else:
        response = await handler().respond(request)
    assert isinstance(response, HttpResponse)
    assert response.status_code == 200
    response.close()


def test_handlers_are_made_once_and_again_after_any_setting_changed(settings: Any) -> None:
    first = sync_handler(), async_handler()
    assert (sync_handler(), async_handler()) == first
    settings.LOGIN_URL = "/anything/"
    assert sync_handler() is not first[0]
    assert async_handler() is not first[1]


class Counted(MiddlewareMixin):
    """Takes its time to be made, and counts how often it is."""

    made: ClassVar[list[int]] = []

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.made.append(threading.get_ident())
        threading.Event().wait(0.05)


@pytest.mark.parametrize("handler", [sync_handler, async_handler])
def test_threads_that_ask_at_once_make_one_handler(handler: Any, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.test_handler.Counted"]
    Counted.made.clear()
    barrier = threading.Barrier(8)
    handlers: list[Any] = []

    def ask() -> None:
        barrier.wait(support.PATIENCE)
        handlers.append(handler())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(support.PATIENCE)
    assert len(handlers) == 8
    assert len(set(map(id, handlers))) == 1
    assert len(Counted.made) == 1


def test_long_paths_are_not_kept(settings: Any) -> None:
    """They are the peer's to choose; what they lead to is found all the same."""
    settings.ROOT_URLCONF = "tests.lifecycle.test_handler"
    for length in (1, LONGEST_KEPT - len("/a//"), LONGEST_KEPT, 100_000):
        before = views_module._view_is_async.cache_info().currsize
        assert view_is_async(path := f"/a/{'x' * length}/")
        assert not view_is_async(f"/s/{'x' * length}/")
        after = views_module._view_is_async.cache_info().currsize
        assert after == before + (2 if len(path) <= LONGEST_KEPT else 0)


async def test_messages_share_no_context(runner: PoolRunner) -> None:
    """What one message sets in its context is neither in the caller's nor in the next message's."""
    before = dict(contextvars.copy_context().items())
    await support.run(runner, "/astate/?language=fr&timezone=Europe/Paris")
    assert dict(contextvars.copy_context().items()) == before
