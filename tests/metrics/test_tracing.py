"""OpenTelemetry's own instrumentation of Django, with a real server: a message continues the trace that it names."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django.fixtures import Settings

from tests.metrics.hooks import SEEN
from tests.project.gates import Gate
from tests.support.client import Message, connect
from tests.support.server import ServerThread
from wsrequest.asgi import get_asgi_application

BOTH = pytest.mark.parametrize("url", ["/traced/", "/atraced/"])


def traceparent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Of the process: a provider can be set once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(autouse=True)
def instrumented(exporter: InMemorySpanExporter, settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.metrics.urls"
    settings.MIDDLEWARE = list(settings.MIDDLEWARE)
    DjangoInstrumentor().instrument()
    settings.MIDDLEWARE = list(settings.MIDDLEWARE)  # says that it has changed
    exporter.clear()
    yield
    DjangoInstrumentor().uninstrument()


def complaints(caplog: pytest.LogCaptureFixture) -> set[str]:
    """What the instrumentation has to complain about, a context that it can't leave say, it logs."""
    return {
        record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")
    }


@pytest.fixture(autouse=True)
def nothing_goes_wrong(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert complaints(caplog) == set()


def spans(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


@BOTH
async def test_a_message_continues_the_trace_that_it_names(
    server: ServerThread, exporter: InMemorySpanExporter, url: str
) -> None:
    async with connect(server.ws) as peer:
        headers = {"traceparent": traceparent(0xA1), "tracestate": "vendor=1"}
        seen = (await peer.request(url, headers=headers))["data"]
    assert seen["trace"] == f"{0xA1:032x}"
    assert seen["state"] == "vendor=1"
    (span,) = spans(exporter, f"GET {url[1:]}")
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert span.parent.span_id == 0xA1
    assert trace.format_span_id(span.context.span_id) == seen["span"]
    assert span.attributes["http.status_code"] == 200
    (inner,) = spans(exporter, "inner")
    assert inner.parent is not None
    assert inner.parent.span_id == span.context.span_id


@pytest.fixture
def own_server(instrumented: None, database: None) -> Iterator[ServerThread]:
    """Django's own handler reads MIDDLEWARE when it is made."""
    running = ServerThread().start()
    yield running
    running.stop()


@BOTH
async def test_over_http_it_is_the_same(
    own_server: ServerThread, exporter: InMemorySpanExporter, url: str
) -> None:
    async with httpx.AsyncClient(base_url=own_server.http) as client:
        await client.get(url, headers={"traceparent": traceparent(0xB1)})
    async with connect(own_server.ws) as peer:
        await peer.request(url, headers={"traceparent": traceparent(0xB1)})
    over_http, over_socket = spans(exporter, f"GET {url[1:]}")
    for span in (over_http, over_socket):
        assert span.parent is not None
    assert over_http.parent == over_socket.parent
    same = ("http.method", "http.target", "http.route", "http.status_code", "http.scheme")
    assert [over_socket.attributes[name] for name in same] == [
        over_http.attributes[name] for name in same
    ]


@BOTH
async def test_without_one_the_handshakes_is_continued(server: ServerThread, url: str) -> None:
    handshake = {"traceparent": traceparent(0xC1), "tracestate": "vendor=handshake"}
    async with connect(server.ws, headers=handshake) as peer:
        for key in (1, 2):
            seen = (await peer.request(url, id=key))["data"]
            assert (seen["trace"], seen["state"]) == (f"{0xC1:032x}", "vendor=handshake")
        own = (await peer.request(url, headers={"traceparent": traceparent(0xC2)}))["data"]
        assert (own["trace"], own["state"]) == (f"{0xC2:032x}", "")  # the state is another trace's
        assert (await peer.request(url))["data"]["trace"] == f"{0xC1:032x}"


async def test_each_message_has_its_own_span(
    server: ServerThread, exporter: InMemorySpanExporter
) -> None:
    """Sixty at once, half of them with a trace: none sees that of another."""
    messages = [
        {"id": number, "url": url}
        | ({"headers": {"traceparent": traceparent(number)}} if number % 2 else {})
        for number, url in zip(
            range(1, 61), ["/traced/", "/atraced/", "/atraced/"] * 20, strict=True
        )
    ]
    seen: dict[int, Message] = {}
    async with connect(server.ws) as peer:
        await peer.send(*messages)
        for _ in messages:
            answer = await peer.next()
            seen[answer["id"]] = answer["data"]
    for number in range(1, 61, 2):
        assert seen[number]["trace"] == f"{number:032x}"
    assert len({answer["trace"] for answer in seen.values()}) == 60
    assert len({answer["span"] for answer in seen.values()}) == 60
    assert len(spans(exporter, "GET traced/")) == 20
    assert len(spans(exporter, "GET atraced/")) == 40


@pytest.mark.parametrize("url", ["/traced-stream/", "/atraced-stream/"])
async def test_a_stream_leaves_nothing_behind(server: ServerThread, url: str) -> None:
    async with connect(server.ws) as peer:
        for number in (0xD1, 0xD2):
            await peer.request(url, headers={"traceparent": traceparent(number)})
            chunk = await peer.answer(1)
            assert chunk["chunk"] in (
                f"{number:032x}",
                f"{0:032x}",
            )  # the span is over, as over HTTP
            assert (await peer.answer(1))["end"]
        assert (await peer.request("/traced/"))["data"]["trace"] not in (
            f"{0xD1:032x}",
            f"{0xD2:032x}",
        )


async def test_a_cancelled_message_leaves_nothing_behind(
    server: ServerThread,
    exporter: InMemorySpanExporter,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connect(server.ws) as peer:
        headers = {"traceparent": traceparent(0xE1)}
        await peer.send({"id": 1, "url": f"/agate/{gate.name}/", "headers": headers})
        await gate.entered.reached(1)
        await peer.send({"cancel": 1})
        assert (await peer.answer(1))["status"] == 499
        await gate.cancelled.reached(1)
        for url in ("/traced/", "/atraced/"):
            assert (await peer.request(url, id=2))["data"]["trace"] != f"{0xE1:032x}"
    await server.connections_gone()
    # Its middleware has no ``finally``: the span ends when the request is collected, in another context.
    gc.collect()
    (span,) = spans(exporter, "GET agate/<name>/")
    assert span.context.trace_id == 0xE1
    assert complaints(caplog) <= {"Failed to detach context"}
    caplog.clear()


@pytest.mark.parametrize(("excluded", "continues"), [("/ws/", True), (None, False)])
async def test_where_opentelemetry_wraps_the_whole_application(
    exporter: InMemorySpanExporter, database: None, excluded: str | None, continues: bool
) -> None:
    """Its span of the connection would be the parent of every message: the url of the socket has to be excluded."""
    application = OpenTelemetryMiddleware(get_asgi_application(), excluded_urls=excluded)
    server = ServerThread(application=application).start()
    async with connect(server.ws) as peer:
        headers = {"traceparent": traceparent(0x51)}
        seen = (await peer.request("/traced/", headers=headers))["data"]
        assert (seen["trace"] == f"{0x51:032x}") is continues
    await server.connections_gone()
    server.stop()


@pytest.mark.parametrize("hook", ["accept", "aaccept"])
async def test_the_handshake_has_a_span_where_it_runs_through_the_middleware(
    server: ServerThread, exporter: InMemorySpanExporter, settings: Settings, hook: str
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"tests.metrics.hooks.{hook}"}
    SEEN.clear()
    async with connect(server.ws, headers={"traceparent": traceparent(0xF1)}) as peer:
        seen = (await peer.request("/traced/"))["data"]
    assert [f"{0xF1:032x}"] == SEEN
    (opening,) = spans(exporter, "GET")
    (request,) = spans(exporter, "GET traced/")
    assert opening.attributes["http.target"] == "/ws/"
    assert opening.parent is not None
    assert opening.parent == request.parent
    assert seen["span"] != trace.format_span_id(opening.context.span_id)
