"""Handshake hooks that note which trace they are in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from opentelemetry import trace

SEEN: list[str] = []


def accept(request: HttpRequest) -> None:
    SEEN.append(trace.format_trace_id(trace.get_current_span().get_span_context().trace_id))


async def aaccept(request: HttpRequest) -> None:
    accept(request)


def refuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=418)
