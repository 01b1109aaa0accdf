"""What is asked for: nothing, one row, a list through DRF; to wait for a second; to stream a lot.

``collect`` belongs to no measurement: it tidies up the process before its memory is looked at.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from rest_framework import generics, serializers

from benchmarks.project.models import Snippet
from benchmarks.project.settings import SLOW_SECONDS

EMPTY = b'{"ok":true}'
PART = b"A line of text that has to go through JSON.\n" * 1000


def empty(_request: HttpRequest) -> HttpResponse:
    """Do nothing: what is left is what the stack around a view costs."""
    return HttpResponse(EMPTY, content_type="application/json")


async def empty_async(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(EMPTY, content_type="application/json")


def slow(_request: HttpRequest) -> HttpResponse:
    time.sleep(SLOW_SECONDS)
    return HttpResponse(EMPTY, content_type="application/json")


async def slow_async(_request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(SLOW_SECONDS)
    return HttpResponse(EMPTY, content_type="application/json")


def stream(_request: HttpRequest, size: int) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        for start in range(0, size, len(PART)):
            yield PART[: size - start]

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def stream_async(_request: HttpRequest, size: int) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, size, len(PART)):
            yield PART[: size - start]

    return StreamingHttpResponse(parts(), content_type="text/plain")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(request.GET["path"]).open("rb"), content_type="application/zip")


def collect(_request: HttpRequest) -> JsonResponse:
    """Free what can be freed (cycles that wait for the collector, what the allocator keeps), and tell how many blocks
    of memory Python has in use."""
    gc.collect()
    with suppress(AttributeError, OSError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
    return JsonResponse({"blocks": sys.getallocatedblocks()})


def one_row(_request: HttpRequest) -> JsonResponse:
    """Make one query by primary key."""
    snippet = Snippet.objects.get(pk=1)
    return JsonResponse({"id": snippet.pk, "title": snippet.title})


class SnippetSerializer(serializers.ModelSerializer[Snippet]):
    class Meta:
        model = Snippet
        fields = ("id", "title", "code", "language", "created")


class SnippetList(generics.ListAPIView[Snippet]):
    """Twenty rows, serialized by DRF."""

    queryset = Snippet.objects.all()
    serializer_class = SnippetSerializer
