"""The parts of a stream, pulled from where its view ran."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, cast

from django.http import StreamingHttpResponse
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from wsrequest.lifecycle.handler import internals
from wsrequest.lifecycle.hop import hop


async def async_parts(response: StreamingHttpResponse) -> AsyncGenerator[bytes, None]:
    """Those of an asynchronous iterator, on the loop; it is closed in any case."""
    iterator = internals(response)._iterator
    try:
        async for part in cast("AsyncIterator[bytes]", response.streaming_content):
            yield part
    finally:
        # response.close() knows the close() of a synchronous iterator only.
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


def sync_parts(response: StreamingHttpResponse) -> Iterator[bytes]:
    """Those of a synchronous iterator, for who is on its thread."""
    return cast("Iterator[bytes]", response.streaming_content)


def thread_parts(response: StreamingHttpResponse) -> AsyncGenerator[bytes, None]:
    """A synchronous iterator under an asynchronous view, on the thread of its message."""
    iterator = iter(sync_parts(response))
    return pulled_parts(lambda: hop(next, iterator, None))


async def pulled_parts(pull: Callable[[], Any]) -> AsyncGenerator[bytes, None]:
    """What ``pull`` gives, until it gives None."""
    while (part := await pull()) is not None:
        yield part


def carried_locals() -> Callable[[], None]:
    """Carry Django's per-request state to another thread, where asgiref's Locals would hide it."""
    language, zone = translation.get_language(), timezone.get_current_timezone()
    urlconf, prefix = get_urlconf(), get_script_prefix()

    def restore() -> None:
        if language is not None:
            translation.activate(language)
        timezone.activate(zone)
        set_urlconf(urlconf)
        set_script_prefix(prefix)

    return restore
