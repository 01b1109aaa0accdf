"""The lifecycle in the caller's own thread, for code that calls it as a function.

The request runs in a *copy* of the caller's context: a language or time zone that the caller activated holds, and what
the view activates does not come back. A streamed body is read in that same copy. The response of a stream is closed
when it was read to its end or when the caller closes it, whichever comes first.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import SyncToAsync
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from wsrequest.lifecycle.handler import async_handler, sync_handler
from wsrequest.lifecycle.hop import MessageThread, hop
from wsrequest.lifecycle.identity import identity_of
from wsrequest.lifecycle.once import once_of
from wsrequest.lifecycle.parts import carried_locals
from wsrequest.lifecycle.runner import worker_pool
from wsrequest.lifecycle.threads import Worker
from wsrequest.lifecycle.views import view_is_async

P = ParamSpec("P")
T = TypeVar("T")


def run_inline(request: HttpRequest) -> HttpResponseBase:
    """Run the request here and now. An exception gets out only with DEBUG_PROPAGATE_EXCEPTIONS.

    Where the calling thread runs an event loop (Tornado's handlers do), Django forbids synchronous database access in
    it: there the request runs on a thread of the pool, and the caller waits.
    """
    place: _Here | _Beside = _Beside() if _loop_is_running() else _Here()
    response = place.run(_respond, request)
    if isinstance(response, StreamingHttpResponse):
        response.close = _once(response.close, place.run)  # type: ignore[method-assign]
        if not response.is_async:
            response.streaming_content = _Parts(response, place)
    return response


async def arun_inline(request: HttpRequest) -> HttpResponseBase:
    """The same on the running event loop. Synchronous code runs in the caller's thread-sensitive thread (that of an
    async test, or of Django's own handler), where there is none on a thread of the pool."""
    context = contextvars.copy_context()
    if SyncToAsync.thread_sensitive_context.get(None) is None:
        # The context holds it; it is released with the context, so that a stream has it to its end.
        context.run(MessageThread(worker_pool()).enter)
    response = await _in(context, _arespond(request))
    if isinstance(response, StreamingHttpResponse):
        # On a copy: it may be closed on a thread while the loop still is in the context, which only one can enter.
        response.close = _once(response.close, lambda *work: context.copy().run(*work))  # type: ignore[method-assign]
        response.streaming_content = _AsyncParts(response, context)
    return response


def _respond(request: HttpRequest) -> HttpResponseBase:
    once = once_of(request)
    with transactions_kept(), once or nullcontext():
        response = sync_handler().respond(request)
        if not response.streaming:
            response.close()
        if once is not None:
            response, _ = once.settle(request, response, identity_of(request))
    return response


async def _arespond(request: HttpRequest) -> HttpResponseBase:
    if not view_is_async(request.path_info):
        return await hop(_respond, request)
    kept = transactions_kept()
    await hop(kept.__enter__)
    once = once_of(request)
    try:
        response = await async_handler().respond(request)
        if once is not None:
            response, _ = await hop(once.settle, request, response, identity_of(request))
        return response
    finally:
        if once is not None:
            await hop(once.free)
        await hop(kept.__exit__, None, None, None)


@contextmanager
def transactions_kept() -> Iterator[None]:
    """Keep the caller's transactions (a TestCase's, say) from the signals of the request.

    Until Django 6, ``close_old_connections`` closes a connection that is in a transaction. Django's test client takes
    that receiver away meanwhile, for all threads; here only the connections of this thread that are in a transaction
    don't do what it asks.
    """
    kept = [
        connection.__dict__
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block and _CLOSE not in connection.__dict__
    ]
    for attributes in kept:
        attributes[_CLOSE] = lambda: None
    try:
        yield
    finally:
        for attributes in kept:
            del attributes[_CLOSE]


_CLOSE = "close_if_unusable_or_obsolete"


async def _in(context: contextvars.Context, work: Coroutine[Any, Any, T]) -> T:
    return await asyncio.get_running_loop().create_task(work, context=context)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Here:
    """The calling thread, and a copy of its context."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.context.run(function, *args, **kwargs)


class _Beside:
    """A thread of the pool for which the caller waits, and a context there with the caller's language and time zone."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self._restore: Callable[[], None] | None = carried_locals()
        self._pool = worker_pool()
        self._worker = self._pool.lease()

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        done = threading.Event()
        outcome: list[Any] = []

        def job(worker: Worker) -> None:
            try:
                outcome.extend((True, self.context.run(self._inside, function, *args, **kwargs)))
            except BaseException as error:  # noqa: BLE001 (raised again where the caller waits)
                outcome.extend((False, error))
            done.set()

        self._worker.run_here(job)
        done.wait()
        succeeded, result = outcome
        if not succeeded:
            raise result
        return cast("T", result)

    def __del__(self) -> None:
        self._pool.release(self._worker)

    def _inside(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._restore is not None:
            self._restore()
            self._restore = None
        return function(*args, **kwargs)


def _once(close: Callable[[], None], run: Callable[..., None]) -> Callable[[], None]:
    """``close`` in the request's context, and not a second time."""
    pending = [close]

    def close_once() -> None:
        if pending:
            run(_close_keeping_transactions, pending.pop())

    return close_once


def _close_keeping_transactions(close: Callable[[], None]) -> None:
    with transactions_kept():
        close()


class _Parts:
    """The parts of a stream, each made in the request's context; the last one closes the response."""

    def __init__(self, response: StreamingHttpResponse, place: _Here | _Beside) -> None:
        self._parts = iter(cast("Iterator[bytes]", response.streaming_content))
        self._response = response
        self._place = place

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part: bytes | None = self._place.run(next, self._parts, None)
        if part is None:
            self._response.close()
            raise StopIteration
        return part


class _AsyncParts:
    """The same for an event loop, over either kind of iterator."""

    def __init__(self, response: StreamingHttpResponse, context: contextvars.Context) -> None:
        parts = response.streaming_content
        self._pull: Callable[[], Coroutine[Any, Any, bytes | None]]
        if response.is_async:
            self._pull = _puller(aiter(cast("AsyncIterator[bytes]", parts)))
        else:
            pulled = iter(cast("Iterator[bytes]", parts))
            self._pull = lambda: hop(next, pulled, None)
        self._response = response
        self._context = context

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await _in(self._context, self._pull())
        if part is None:
            await _in(self._context, hop(self._response.close))
            raise StopAsyncIteration
        return part


def _puller(iterator: AsyncIterator[bytes]) -> Callable[[], Coroutine[Any, Any, bytes | None]]:
    async def pull() -> bytes | None:
        return await anext(iterator, None)

    return pull
