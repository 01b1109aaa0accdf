"""The project's urls, with those that only these tests need."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from opentelemetry import trace

from wsrequest.contrib.prometheus import metrics_view


def _here() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    return {
        "trace": trace.format_trace_id(context.trace_id),
        "span": trace.format_span_id(context.span_id),
        "state": context.trace_state.to_header(),
    }


def traced(request: HttpRequest) -> JsonResponse:
    """Which span this is, and one more within it."""
    with trace.get_tracer("tests").start_as_current_span("inner"):
        pass
    return JsonResponse(_here())


async def atraced(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(0)  # another message may come in between
    with trace.get_tracer("tests").start_as_current_span("inner"):
        await asyncio.sleep(0)
    return JsonResponse(_here())


def traced_stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts():
        yield _here()["trace"]

    return StreamingHttpResponse(parts())


async def atraced_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts():
        yield _here()["trace"]

    return StreamingHttpResponse(parts())


async def unsendable(request: HttpRequest) -> HttpResponse:
    """Half of a surrogate pair in a header, which Django's own way to set one refuses."""
    response = HttpResponse()
    response.headers._store["x-odd"] = ("X-Odd", "\ud800")
    return response


urlpatterns = [
    path("unsendable/", unsendable),
    path("metrics/", metrics_view),
    path("traced/", traced),
    path("atraced/", atraced),
    path("traced-stream/", traced_stream),
    path("atraced-stream/", atraced_stream),
    path("", include("tests.project.urls")),
]
