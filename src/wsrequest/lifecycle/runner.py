"""Where the lifecycle of a connection's requests runs.

A synchronous view takes one hop on the pool, from ``request_started`` to ``response.close()``. An asynchronous one runs
on the loop, with its hooks on one thread of the pool. Streams stay where their view ran.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from django.db import connections
from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import ShutDown, ViewFailed, WSRequestError
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.handler import (
    async_handler,
    sync_handler,
)
from wsrequest.lifecycle.hop import (
    MessageThread,
    hop_anywhere,
    leaving_no_connection,
    settle,
)
from wsrequest.lifecycle.identity import identity_of
from wsrequest.lifecycle.once import off_loop
from wsrequest.lifecycle.parts import (
    async_parts,
    carried_locals,
    pulled_parts,
    sync_parts,
    thread_parts,
)
from wsrequest.lifecycle.request import SocketRequest
from wsrequest.lifecycle.response import Reply, has_body
from wsrequest.lifecycle.sink import Answer, Sink
from wsrequest.lifecycle.threads import Bridge, Worker, WorkerPool, let_others_run
from wsrequest.lifecycle.turns import Turn, Turns

T = TypeVar("T")

#: Bytes in a chunk at most; a larger piece of a stream is cut.
CHUNK_SIZE = 2**16

#: Seconds that running views have when the process ends.
EXIT_TIME = 5.0


class PoolRunner:
    """Runs calls for the connections of one event loop."""

    def __init__(self, pool: WorkerPool, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self._bridge = Bridge(loop)
        self._turns = Turns(loop)
        self.loop = loop

    def start(self, call: Call, context: contextvars.Context, sink: Sink) -> None:
        """Run the call in a copy of ``context``. A synchronous view can't be stopped once a thread has begun with it;
        for anything else ``sink`` is told the task."""
        self._turns.asks(call.lane)
        start = self._start_async if call.is_async else self._start_sync
        if self._turns.alone(call.lane):
            start(call, context, sink, None)
        else:
            self._turns.begin(call.lane, functools.partial(start, call, context, sink))

    def _start_sync(
        self, call: Call, context: contextvars.Context, sink: Sink, turn: Turn | None
    ) -> None:
        def job(worker: Worker) -> None:
            if sink.abandoned:
                self._bridge.call(self._finish, sink, turn)
                return
            own_context = context.copy()
            try:
                outcome = own_context.run(_run_sync, call, self.pool, worker)
            except BaseException as error:  # noqa: BLE001 (sys.exit() in a view ends that view only)
                outcome = _failure(error, call)
            if isinstance(outcome, StreamingHttpResponse):
                if not worker.leased:
                    self.pool.keep(worker)
                stream = self._run_stream(worker, own_context, outcome, call, sink)
                self._bridge.call(self._start_task, stream, context, call, sink, turn)
            else:
                if turn is None:
                    self._bridge.call(_deliver, outcome, sink)
                else:
                    self._bridge.call(self._deliver_in_turn, outcome, sink, turn)
                if worker.leased:  # by a repeat that had to wait
                    self.pool.release(worker)
            self._give_way()

        try:
            self.pool.submit(job, call.lane)
        except RuntimeError:  # the pool is closed: the process ends
            sink.fail(ShutDown())
            self._finish(sink, turn)

    async def answer(self, call: Call, context: contextvars.Context) -> Reply:
        """Run the call and wait for its answer; of a stream, for its head. Cancelled, it stops what can be stopped."""
        answer = Answer(self.loop)
        self.start(call, context, answer)
        try:
            return await answer.reply
        except asyncio.CancelledError:
            answer.stop()
            raise

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function that is no part of a request on a thread of the pool."""
        return await MessageThread(self.pool, self._bridge).call_anywhere(function, *args, **kwargs)

    def post(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """The same, without waiting for it. It must not raise."""

        def job(worker: Worker) -> None:
            leaving_no_connection(function, *args, **kwargs)

        self.pool.submit(job)

    def on_loop(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it on the loop: at once where that is the caller's, else after all that other threads had called
        before."""
        if _running_loop() is self.loop:
            callback(*args)
        else:
            self._bridge.call(callback, *args)

    def _give_way(self) -> None:
        """By itself the interpreter lets the loop run every 5 ms only, and each busy thread before it. That is good for
        answers, which share frames then; but where one connection keeps all threads busy, others would wait for it with
        each request of theirs. So there the loop runs after each job, at a fifth more CPU."""
        if self._bridge.waiting and self.pool.hogged and self._turns.contended:
            let_others_run()

    def _start_async(
        self, call: Call, context: contextvars.Context, sink: Sink, turn: Turn | None
    ) -> None:
        if sink.abandoned:
            self._finish(sink, turn)
        else:
            self._start_task(self._run_async(call, sink), context, call, sink, turn)

    def _start_task(
        self, work: Any, context: contextvars.Context, call: Call, sink: Sink, turn: Turn | None
    ) -> None:
        task: asyncio.Task[None] = self.loop.create_task(work, context=context.copy())
        task.add_done_callback(functools.partial(_task_done, call, sink))
        if turn is not None:
            task.add_done_callback(lambda _: self._turns.ended(turn))
        sink.running(task)

    def _finish(self, sink: Sink, turn: Turn | None) -> None:
        """It need not run at all."""
        self._turns.ended(turn)
        sink.finished()

    def _deliver_in_turn(self, outcome: Reply | WSRequestError, sink: Sink, turn: Turn) -> None:
        try:
            _deliver(outcome, sink)
        finally:
            self._turns.ended(turn)

    async def _run_async(self, call: Call, sink: Sink) -> None:
        thread = MessageThread(self.pool, self._bridge, lane=call.lane)
        thread.enter()
        try:
            await _answer_async(call, sink)
        finally:
            try:
                if call.once is not None and call.once.entered:
                    await off_loop(call.once.free)
            finally:
                thread.release()

    async def _run_stream(
        self,
        worker: Worker,
        context: contextvars.Context,
        response: StreamingHttpResponse,
        call: Call,
        sink: Sink,
    ) -> None:
        """Go on with the stream that a synchronous view returned. Its iterator stays on the thread and in the context
        of the view, where its language and its database cursor are."""
        thread = MessageThread(self.pool, self._bridge, worker)
        try:
            if response.is_async:
                restore = await self._on(worker, context, carried_locals)
                restore()
                thread.enter()
                await _pump(async_parts(response), response, call, sink)
            else:
                pull = functools.partial(next, iter(sync_parts(response)), None)
                await _pump(
                    pulled_parts(lambda: self._on(worker, context, pull)), response, call, sink
                )
        finally:
            try:
                await self._on(worker, context, response.close)
            finally:
                thread.release()

    async def _on(
        self, worker: Worker, context: contextvars.Context, function: Callable[[], T]
    ) -> T:
        """Call the function on this very thread, in this very context (not in a copy of it)."""
        future: asyncio.Future[T] = self.loop.create_future()

        def job(worker: Worker) -> None:
            try:
                result = context.run(function)
            except BaseException as error:  # noqa: BLE001 (handed to who waits)
                self._bridge.call(settle, future, None, error)
            else:
                self._bridge.call(settle, future, result, None)

        worker.run_here(job)
        return await future


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@functools.cache
def _pool(size: int) -> WorkerPool:
    pool = WorkerPool(size, on_exit=connections.close_all)
    # As Python's own executors do it: what runs when the process ends may finish.
    atexit.register(pool.close, EXIT_TIME)
    return pool


def worker_pool() -> WorkerPool:
    """The process's pool: ``WSREQUEST["WORKERS"]`` threads for synchronous views, and one more for each message that
    needs its own (an asynchronous view, a stream)."""
    return _pool(get_settings().workers)


def _run_sync(
    call: Call, pool: WorkerPool, worker: Worker
) -> Reply | WSRequestError | StreamingHttpResponse:
    """The whole lifecycle in the calling thread; a stream comes back open."""
    request = call.request()
    if not isinstance(request, SocketRequest):
        return request
    if call.once is None:
        return _answer_sync(call, request)
    call.once.stand_aside = functools.partial(pool.keep, worker)
    with call.once:
        return _answer_sync(call, request)


def _answer_sync(call: Call, request: SocketRequest) -> Reply | StreamingHttpResponse:
    response = sync_handler().respond(request)
    call.identity = identity_of(request)
    if isinstance(response, StreamingHttpResponse) and has_body(request.method, response):
        return response
    try:
        if (step := call.last_step(request, response)) is not None:
            step()
        return call.reply(response if call.once is None else call.settle(request, response))
    finally:
        response.close()


async def _answer_async(call: Call, sink: Sink) -> None:
    try:
        request = call.request()
        if not isinstance(request, SocketRequest):
            _report(request, sink)
            return
        response = await async_handler().respond(request)
        call.identity = identity_of(request)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 (as in a thread: not even sys.exit() ends the loop)
        if call.once is not None:
            await off_loop(call.once.free)
        sink.fail(_failure(error, call))
        return
    try:
        if isinstance(response, StreamingHttpResponse) and has_body(request.method, response):
            parts = async_parts(response) if response.is_async else thread_parts(response)
            if call.once is not None:  # a stream is not kept
                await off_loop(call.once.free)
            await _pump(parts, response, call, sink)
            return
        sink.respond(await _reply_async(call, request, response))
    finally:
        if not response.closed:
            await hop_anywhere(response.close)


async def _reply_async(call: Call, request: SocketRequest, response: HttpResponseBase) -> Reply:
    if (step := call.last_step(request, response)) is not None:
        await hop_anywhere(step)
    if call.once is not None:
        response = await off_loop(call.settle, request, response)
    if call.is_laborious(response):
        return await hop_anywhere(call.reply, response)
    return call.reply(response)


async def _pump(
    parts: AsyncGenerator[bytes, None], response: StreamingHttpResponse, call: Call, sink: Sink
) -> None:
    """Send a stream, as fast as the sink takes it."""
    if isinstance(response, FileResponse):
        response.block_size = CHUNK_SIZE  # as Django's ASGIHandler has it
    error = None
    try:
        async with aclosing(parts):
            await sink.begin(call.head(response))
            async for part in parts:
                for start in range(0, len(part), CHUNK_SIZE):
                    await sink.chunk(part[start : start + CHUNK_SIZE])
    except asyncio.CancelledError:
        raise
    except BaseException as failure:  # noqa: BLE001 (the same, from a view's iterator)
        error = _failure(failure, call)
    sink.end(error)


def _task_done(call: Call, sink: Sink, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.answer_lost(call.factory.connection_id, call.message, error)
    sink.finished()


def _failure(error: BaseException, call: Call) -> WSRequestError:
    """Log what got past Django; the peer is told no more than that it happened."""
    log.failed(call.factory.connection_id, call.message, error)
    return ViewFailed()


def _report(outcome: Reply | WSRequestError, sink: Sink) -> None:
    if isinstance(outcome, WSRequestError):
        sink.fail(outcome)
    else:
        sink.respond(outcome)


def _deliver(outcome: Reply | WSRequestError, sink: Sink) -> None:
    try:
        _report(outcome, sink)
    finally:
        sink.finished()
