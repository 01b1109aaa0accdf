"""Prometheus's own client library, its parser, and real servers that are scraped."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.test import override_settings
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as families
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.server import ServerProcess, ServerThread
from wsrequest import WebSocketRequest
from wsrequest.conf import problems
from wsrequest.contrib.prometheus import PrometheusMetrics, _forget_the_dead
from wsrequest.metrics import INSTRUMENTS

PATH = "wsrequest.contrib.prometheus.PrometheusMetrics"


def test_without_the_client_library_the_check_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WSREQUEST = {"METRICS": PATH}
    assert problems() == []
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "wsrequest.contrib.prometheus")
    (problem,) = problems()
    assert problem.endswith('pip install "django-websocket-request[prometheus]"')


@pytest.fixture
def scraped(settings: Settings, database: None) -> Iterator[ServerThread]:
    """Django's own handler reads ROOT_URLCONF when it is made."""
    settings.ROOT_URLCONF = "tests.metrics.urls"
    settings.WSREQUEST = {"METRICS": PATH}
    running = ServerThread().start()
    yield running
    running.stop()


def scrape(url: str, **headers: str) -> httpx.Response:
    response = httpx.get(f"{url}/metrics/", headers=headers)
    assert response.status_code == 200
    return response


def samples(text: str, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    return sum(
        sample.value
        for family in families(text)
        for sample in family.samples
        if sample.name == f"wsrequest_{name}" and labels.items() <= sample.labels.items()
    )


async def test_a_real_server_is_scraped(
    scraped: ServerThread, new_gate: Callable[[], Gate]
) -> None:
    gate = new_gate()
    before = scrape(scraped.http).text
    async with connect(scraped.ws) as peer:
        await peer.request("/hello/")
        await peer.send({"id": 2, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        now = scrape(scraped.http).text
        assert samples(now, "connections") == 1
        assert samples(now, "requests_in_flight") == 1
        assert samples(now, "worker_threads") >= 1
        gate.open()
        await peer.answer(2)
    await scraped.connections_gone()
    after = scrape(scraped.http).text
    grown = {
        name: samples(after, name, **labels) - samples(before, name, **labels)
        for name, labels in {
            "connections_opened_total": {},
            "connections_closed_total": {"code": "peer"},
            "requests_total": {"method": "GET", "status": "2xx"},
            "request_seconds_count": {"method": "GET"},
            "queue_seconds_count": {},
            "outbox_peak_bytes_count": {},
            "messages_in_total": {"kind": "request"},
        }.items()
    }
    assert grown == {
        "connections_opened_total": 1,
        "connections_closed_total": 1,
        "requests_total": 2,
        "request_seconds_count": 2,
        "queue_seconds_count": 2,
        "outbox_peak_bytes_count": 1,
        "messages_in_total": 2,
    }
    assert samples(after, "connections") == samples(after, "requests_in_flight") == 0
    kinds = {family.name.removeprefix("wsrequest_"): family.type for family in families(after)}
    assert {name: kinds.get(name) for name in (each.name for each in INSTRUMENTS)} == {
        each.name: each.kind for each in INSTRUMENTS
    }


def test_the_format_is_what_prometheus_asks_for(scraped: ServerThread) -> None:
    plain = scrape(scraped.http)
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    asked = scrape(scraped.http, Accept="application/openmetrics-text; version=1.0.0")
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "wsrequest_connections" in {family.name for family in open_metrics(asked.text)}


def test_a_process_without_a_connection_shows_zeros(scraped: ServerThread) -> None:
    text = scrape(scraped.http).text
    for name in ("connections", "requests_queued", "worker_threads_leased"):
        assert f"wsrequest_{name} " in text


def test_only_reading_is_allowed(scraped: ServerThread) -> None:
    assert httpx.head(f"{scraped.http}/metrics/").status_code == 200
    assert httpx.put(f"{scraped.http}/metrics/").status_code in (403, 405)
    with override_settings(MIDDLEWARE=[]):
        assert (
            WebSocketRequest('{"url": "/metrics/", "method": "POST"}').get_response().status_code
            == 405
        )


async def test_no_message_sees_the_figures(scraped: ServerThread) -> None:
    """A proxy that keeps strangers from the url does not see what goes through a socket."""
    async with connect(scraped.ws) as peer:
        answer = await peer.request("/metrics/")
        assert answer["status"] == 404
        assert "wsrequest_" not in str(answer)
    plain = WebSocketRequest('{"url": "/metrics/"}').get_response
    assert (await asyncio.to_thread(plain)).status_code == 404


def test_another_registry_other_names_other_buckets() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry, namespace="chat", buckets={"queue_seconds": (1, 2)})
    metrics.observe("queue_seconds", 1.5)
    metrics.count("requests", 3, method="GET", status="2xx")
    metrics.count("requests", status="2xx", method="GET")
    metrics.gauge("worker_threads", 7)
    metrics.gauge_add("worker_threads", -2)
    value = registry.get_sample_value
    assert value("chat_queue_seconds_bucket", {"le": "1.0"}) == 0
    assert value("chat_queue_seconds_bucket", {"le": "2.0"}) == 1
    assert value("chat_requests_total", {"method": "GET", "status": "2xx"}) == 4
    assert value("chat_worker_threads") == 5
    assert REGISTRY.get_sample_value("chat_worker_threads") is None


def test_buckets_end_where_the_instruments_say() -> None:
    registry = CollectorRegistry()
    PrometheusMetrics(registry).observe("outbox_peak_bytes", 5000)
    ends = [
        sample.labels["le"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "wsrequest_outbox_peak_bytes_bucket"
    ]
    (peak,) = (each for each in INSTRUMENTS if each.name == "outbox_peak_bytes")
    assert [float(end) for end in ends] == [*peak.buckets, float("inf")]


def serve(folder: Path) -> ServerProcess:
    folder.mkdir()
    return ServerProcess(folder, "tests.metrics")


async def test_several_processes_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(figures))
    one = serve(tmp_path / "one").start()
    try:
        two = serve(tmp_path / "two").start()
        async with connect(one.ws) as peer, connect(two.ws) as other:
            await peer.request("/hello/")
            await other.request("/hello/")
            for server in (one, two):
                text = scrape(server.http).text
                assert samples(text, "connections") == 2
                assert samples(text, "requests_total", method="GET", status="2xx") == 2
                assert samples(text, "worker_threads") == 2
            two.stop()
            text = scrape(one.http).text
            assert samples(text, "connections") == 1
            assert samples(text, "worker_threads") == 1
            assert samples(text, "requests_total", method="GET", status="2xx") == 2
    finally:
        one.stop()


def test_a_process_of_another_user_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, signal: int) -> None:
        assert signal == 0
        raise {1: PermissionError, 2: ProcessLookupError}[pid]

    files = [tmp_path / f"gauge_livesum_{pid}.db" for pid in (1, 2)]
    for file in files:
        file.touch()
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(os, "name", "nt")
    _forget_the_dead(tmp_path)
    assert [file.exists() for file in files] == [True, True]
    monkeypatch.setattr(os, "name", "posix")
    _forget_the_dead(tmp_path)
    assert [file.exists() for file in files] == [True, False]
