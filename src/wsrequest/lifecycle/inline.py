"""The lifecycle in the caller's own thread, for code that calls it as a function.

The request runs in a *copy* of the caller's context: a language or time zone that the caller activated holds, and what
the view activates does not come back. A streamed body is read in that same copy. The response of a stream is closed
when it was read to its end or when the caller closes it, whichever comes first.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from asgiref.sync import SyncToAsync
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

from wsrequest.lifecycle.handler import async_handler, sync_handler, view_is_async
from wsrequest.lifecycle.hop import MessageThread, hop
from wsrequest.lifecycle.request import SocketRequest
from wsrequest.lifecycle.runner import worker_pool


def run_inline(request: SocketRequest) -> HttpResponseBase:
    """Run the request here and now. An exception gets out only with DEBUG_PROPAGATE_EXCEPTIONS."""
    context = contextvars.copy_context()
    response = context.run(_respond, request)
    if isinstance(response, StreamingHttpResponse):
        response.close = _once(response.close, context)  # type: ignore[method-assign]
        if not response.is_async:
            response.streaming_content = _Parts(response, context)
    return response


async def arun_inline(request: SocketRequest) -> HttpResponseBase:
    """The same on the running event loop. Synchronous code runs in the caller's thread-sensitive thread (that of an
    async test, or of Django's own handler), where there is none on a thread of the pool."""
    context = contextvars.copy_context()
    response = await _in(context, _arespond(request))
    if isinstance(response, StreamingHttpResponse):
        response.close = _once(response.close, context)  # type: ignore[method-assign]
        response.streaming_content = _AsyncParts(response, context)
    return response


def _respond(request: SocketRequest) -> HttpResponseBase:
    response = sync_handler().respond(request)
    if not response.streaming:
        response.close()
    return response


async def _arespond(request: SocketRequest) -> HttpResponseBase:
    if SyncToAsync.thread_sensitive_context.get(None) is None:
        thread = MessageThread(worker_pool())
        thread.enter()
        thread.release()  # at once: nobody tells when a caller is done, and it is only about whom the pool spares
    if view_is_async(request.path_info):
        return await async_handler().respond(request)
    return await hop(_respond, request)


async def _in(context: contextvars.Context, work: Any) -> Any:
    return await asyncio.get_running_loop().create_task(work, context=context)


def _once(close: Callable[[], None], context: contextvars.Context) -> Callable[[], None]:
    """``close`` in the request's context, and not a second time."""
    pending = [close]

    def close_once() -> None:
        if pending:
            context.run(pending.pop())

    return close_once


class _Parts:
    """The parts of a stream, each made in the request's context; the last one closes the response."""

    def __init__(self, response: StreamingHttpResponse, context: contextvars.Context) -> None:
        self._parts = iter(response.streaming_content)
        self._response = response
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._parts)
        except StopIteration:
            self._response.close()
            raise


class _AsyncParts:
    """The same for an event loop, over either kind of iterator."""

    def __init__(self, response: StreamingHttpResponse, context: contextvars.Context) -> None:
        parts = response.streaming_content
        if response.is_async:
            iterator = aiter(parts)
            self._pull: Callable[[], Any] = lambda: anext(iterator, None)
        else:
            pulled = iter(parts)
            self._pull = lambda: hop(next, pulled, None)
        self._response = response
        self._context = context

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await _in(self._context, self._next())
        if part is None:
            await _in(self._context, hop(self._response.close))
            raise StopAsyncIteration
        return part  # type: ignore[no-any-return]

    async def _next(self) -> bytes | None:
        part: bytes | None = await self._pull()
        return part
