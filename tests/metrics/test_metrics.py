"""What is measured on a real server's connections."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.metrics.recorder import Recorder
from tests.project.gates import Gate
from tests.subscribe.test_subscribe import subscribe
from tests.support.client import connect
from tests.support.memory import connection, settle
from tests.support.server import ServerThread
from wsrequest import atouch, publish
from wsrequest.conf import get_settings
from wsrequest.metrics import INSTRUMENTS, metrics_in_force

OBSERVE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "observe.md"


async def test_connections_are_counted(server: ServerThread, recorder: Recorder) -> None:
    async with connect(server.ws), connect(server.ws, seed=True) as second:
        await second.plain("/hello/")
        assert recorder.value("connections") == 2
    await recorder.reached("connections", 0)
    assert recorder.value("connections_opened") == 2
    assert recorder.labelled("connections_closed") == {("peer",): 2}


async def test_a_close_of_ours_is_counted_by_its_code(
    server: ServerThread, recorder: Recorder, settings: Settings
) -> None:
    settings.WSREQUEST |= {"PING_INTERVAL": 0.1}
    async with connect(server.ws) as peer:
        assert await peer.close_code() == 4201
    await recorder.reached("connections", 0)
    assert recorder.labelled("connections_closed") == {("4201",): 1}


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_what_a_peer_closes_with_is_no_label(
    server: ServerThread, recorder: Recorder, code: int
) -> None:
    async with connect(server.ws) as peer:
        await peer.socket.close(code)
    await recorder.reached("connections", 0)
    assert recorder.labelled("connections_closed") == {("peer",): 1}


async def test_refusals_are_counted_by_reason(
    server: ServerThread, recorder: Recorder, settings: Settings
) -> None:
    settings.WSREQUEST |= {"MAX_CONNECTIONS": 1}
    for url, options in (
        (server.ws, {"origin": "https://evil.example"}),
        (f"{server.ws}nowhere/", {}),
        (server.ws, {"headers": {"Host": "evil.example"}}),
    ):
        with pytest.raises(InvalidStatus):
            async with connect(url, **options):
                pass
    async with connect(server.ws):
        with pytest.raises(InvalidStatus):
            async with connect(server.ws):
                pass
    assert recorder.labelled("connections_refused") == {
        ("origin_refused",): 1,
        ("path_unknown",): 1,
        ("host_refused",): 1,
        ("too_many_connections",): 1,
    }


async def test_requests_are_counted_by_method_and_class(
    server: ServerThread, recorder: Recorder
) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        for method, url in (
            ("get", "/hello/"),
            ("GET", "/ahello/?secret=1"),
            ("post", "/status/201/"),
            ("PURGE", "/hello/"),
            ("BREW", "/hello/"),
            ("GET", "/nowhere/"),
            ("GET", "/redirect/"),
            ("DELETE", "/fail/500/"),
        ):
            await peer.request(url, method=method)
        assert recorder.labelled("requests") == {
            ("GET", "2xx"): 2,
            ("POST", "2xx"): 1,
            ("OTHER", "2xx"): 2,
            ("GET", "4xx"): 1,
            ("GET", "3xx"): 1,
            ("DELETE", "5xx"): 1,
        }
        assert len(recorder.observations("request_seconds", method="GET")) == 4
        assert len(recorder.observations("request_seconds", method="OTHER")) == 2
        assert all(
            seconds >= 0 for seconds in recorder.observations("request_seconds", method="GET")
        )
        assert len(recorder.observations("queue_seconds")) == 8
        assert recorder.labelled("requests_cut_short") == {}


async def test_requests_in_flight_and_in_the_queue(
    server: ServerThread, recorder: Recorder, settings: Settings, gate: Gate
) -> None:
    settings.WSREQUEST |= {"MAX_IN_FLIGHT": 1}
    async with connect(server.ws) as peer:
        await peer.send(*({"id": key, "url": f"/gate/{gate.name}/"} for key in (1, 2, 3)))
        await gate.entered.reached(1)
        await recorder.reached("requests_queued", 2)
        assert recorder.value("requests_in_flight") == 1
        await peer.send({"cancel": 2})
        assert (await peer.answer(2))["status"] == 499
        await recorder.reached("requests_queued", 1)
        gate.open()
        assert (await peer.answer(3))["status"] == 200
        await recorder.reached("requests_in_flight", 0)
        assert recorder.value("requests_queued") == 0
        assert recorder.peak("requests_in_flight") == 1
        assert recorder.labelled("requests") == {("GET", "2xx"): 2, ("GET", "4xx"): 1}
        assert recorder.labelled("requests_cut_short") == {("cancelled",): 1}
        assert recorder.observations("queue_seconds")[1] > 0


async def test_nothing_stays_in_the_gauges_when_the_peer_goes(
    server: ServerThread, recorder: Recorder, settings: Settings, new_gate: Callable[[], Gate]
) -> None:
    settings.WSREQUEST |= {"MAX_IN_FLIGHT": 2}
    sync, own = new_gate(), new_gate()
    async with connect(server.ws) as peer:
        await peer.send(
            {"id": 1, "url": f"/gate/{sync.name}/"},
            {"id": 2, "url": f"/agate/{own.name}/"},
            {"id": 3, "url": "/hello/"},
            {"url": "/hello/"},
        )
        await sync.entered.reached(1)
        await own.entered.reached(1)
        await recorder.reached("requests_queued", 2)
        peer.abort()
    await recorder.reached("connections", 0)
    assert recorder.value("requests_queued") == 0
    await recorder.reached(
        "requests_in_flight", 1
    )  # a synchronous view keeps its place until it ends
    assert recorder.labelled("requests") == {("GET", "none"): 4}
    sync.open()
    await recorder.reached("requests_in_flight", 0)


async def test_a_seed_request_that_gives_up_in_the_queue(
    server: ServerThread, recorder: Recorder, gate: Gate
) -> None:
    async with connect(server.ws, seed=True) as peer:
        await peer.send({"url": f"/gate/{gate.name}/"})
        await peer.send({"url": "/hello/", "timeout": 1})
        await gate.entered.reached(1)
        await recorder.reached("requests_cut_short", 1, reason="timeout")
        assert recorder.value("requests_queued") == 0
        gate.open()
        assert [(await peer.next())["status"] for _ in range(2)] == [200, 504]
        await recorder.reached("requests_in_flight", 0)
        assert recorder.labelled("requests") == {("GET", "2xx"): 1, ("GET", "5xx"): 1}
        assert len(recorder.observations("queue_seconds")) == 1


@pytest.mark.parametrize("url", ["/chunks/{}/5/1000/", "/achunks/{}/5/1000/"])
async def test_streams_are_one_request_and_many_chunks(
    server: ServerThread, recorder: Recorder, gate: Gate, url: str
) -> None:
    async with connect(server.ws) as peer:
        await peer.request(url.format(gate.name))
        while "end" not in await peer.answer(1):
            pass
        await recorder.reached("requests_in_flight", 0)
        assert recorder.value("stream_chunks") == 5
        assert recorder.value("stream_bytes") == 5000
        assert recorder.labelled("requests") == {("GET", "2xx"): 1}
        assert recorder.labelled("requests_cut_short") == {}


@pytest.mark.parametrize("url", ["/broken-stream/", "/abroken-stream/"])
async def test_a_stream_that_breaks_is_counted_as_answered_and_as_cut_short(
    server: ServerThread, recorder: Recorder, url: str
) -> None:
    async with connect(server.ws) as peer:
        await peer.request(url)
        while "end" not in await peer.answer(1):
            pass
        await recorder.reached("requests_in_flight", 0)
        assert recorder.labelled("requests") == {("GET", "2xx"): 1}
        assert recorder.labelled("requests_cut_short") == {("internal_error",): 1}


async def test_a_stream_whose_peer_goes_is_counted_once(
    server: ServerThread, recorder: Recorder, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        await peer.request(f"/agated-stream/{gate.name}/")
        await gate.entered.reached(1)
        peer.abort()
    await recorder.reached("requests_in_flight", 0)
    assert recorder.labelled("requests") == {("GET", "2xx"): 1}


async def test_messages_that_never_become_requests(
    server: ServerThread, recorder: Recorder, settings: Settings, gate: Gate
) -> None:
    settings.WSREQUEST |= {"MESSAGE_BURST": 4, "MESSAGES_PER_SECOND": 0.001}
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        await peer.send_text("nonsense")
        await peer.send({"id": 2})
        await peer.send({"id": 1, "url": "/hello/"})
        await peer.send({"id": 3, "url": "/hello/"})
        for expected in (400, 400, 409, 429):
            assert (await peer.next())["status"] == expected
        gate.open()
        assert (await peer.answer(1))["status"] == 200
    assert recorder.labelled("messages_refused") == {
        ("invalid_message",): 1,
        ("missing_url",): 1,
        ("duplicate_id",): 1,
        ("rate_limited",): 1,
    }


async def test_a_flood_is_counted_by_its_close(
    server: ServerThread, recorder: Recorder, settings: Settings
) -> None:
    settings.WSREQUEST |= {"MESSAGE_BURST": 1, "MESSAGES_PER_SECOND": 0.001}
    async with connect(server.ws) as peer:
        await peer.send(*({"ping": number} for number in range(50)))
        assert await peer.close_code() == 4029
    await recorder.reached("connections", 0)
    assert recorder.labelled("connections_closed") == {("4029",): 1}


async def test_frames_messages_and_bytes(server: ServerThread, recorder: Recorder) -> None:
    async with connect(server.ws) as peer:
        await peer.send(
            {"ping": 1}, {"id": 1, "auth": "abc"}, {"cancel": 9}, {"id": 2, "url": "/hello/"}
        )
        await peer.answer(2)
        await peer.send({"ping": 2})
        await peer.first(lambda message: message.get("pong") == 2)
        await recorder.reached("frames_out", len(peer.frames))
        assert recorder.value("frames_in") == 2
        assert recorder.labelled("messages_in") == {
            ("request",): 1,
            ("auth",): 1,
            ("cancel",): 1,
            ("other",): 2,
        }
        # In a frame of several, the array's brackets and commas come on top.
        sent = sum(len(frame) for frame in peer.frames)
        assert 0 < recorder.value("bytes_out") <= sent


async def test_the_outbox_at_its_fullest(recorder: Recorder) -> None:
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": "/large/text/"})
        await recorder.reached("requests_in_flight", 0)
        await recorder.reached("requests", 1, method="GET", status="2xx")
        await settle()
        waiting = peer.session.outbox.size
        assert waiting > 1000
        peer.transport.flow()
        assert (await peer.transport.pull())["id"] == 1
        peer.transport.push({"ping": 1})
        await peer.transport.pull()
    assert recorder.observations("outbox_peak_bytes") == [waiting]


async def test_a_timeout_is_counted(server: ServerThread, recorder: Recorder, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        answer = await peer.request(f"/agate/{gate.name}/", timeout=10)
        assert answer["status"] == 504
        await recorder.reached("requests_in_flight", 0)
        assert recorder.labelled("requests") == {("GET", "5xx"): 1}
        assert recorder.labelled("requests_cut_short") == {("timeout",): 1}


async def test_the_threads_and_what_waits_for_them(
    recorder: Recorder, new_gate: Callable[[], Gate]
) -> None:
    one, stream = new_gate(), new_gate()
    async with connection(workers=1) as peer:
        for key in (1, 2, 3):
            peer.transport.push({"id": key, "url": f"/gate/{one.name}/"})
        await one.entered.reached(1)
        await recorder.reached("requests_in_flight", 3)
        peer.transport.push({"id": 4, "url": "/hello/"})
        await recorder.reached("requests_in_flight", 4)
        await recorder.reached("worker_jobs_waiting", 3)
        assert recorder.value("worker_threads") == 1
        one.open()
        await recorder.reached("requests_in_flight", 0)
        assert recorder.value("worker_jobs_waiting") == 0
        assert recorder.value("worker_threads_leased") == 0
        peer.transport.push({"id": 5, "url": f"/gated-stream/{stream.name}/"})
        await stream.entered.reached(1)
        peer.transport.push({"id": 6, "url": "/hello/"})
        await recorder.reached("worker_threads", 2)
        assert recorder.value("worker_threads_leased") == 1
        stream.open()
        await recorder.reached("requests_in_flight", 0)
        assert recorder.value("worker_threads_leased") == 0


async def test_all_that_is_promised_is_measured(
    server: ServerThread, recorder: Recorder, gate: Gate, settings: Settings
) -> None:
    async with connection() as peer:
        for number in (1, 2):
            await subscribe(peer, "/hello/", id=number, live=True)
        await atouch("/hello/")
        await recorder.until(lambda: {"live_reruns", "live_reruns_saved"} <= recorder.names)
    settings.WSREQUEST = {
        **settings.WSREQUEST,
        "BROKERS": {"default": {"BACKEND": "tests.push.told.Away"}},
    }
    with pytest.raises(InvalidStatus):
        async with connect(server.ws, origin="https://evil.example"):
            pass
    async with connect(server.ws) as peer:
        await peer.send_text("nonsense")
        await peer.request(f"/chunks/{gate.name}/2/10/", id=1)
        await peer.request("/hello/", id=2)
        await peer.request("/leave/", id=3)
    async with (
        connection() as peer
    ):  # (what makes a consumer slow, the tests of subscriptions show)
        peer.session.observer.slow_consumer("resync")
    await sync_to_async(transaction.atomic(publish))("/hello/", "after the commit")
    await recorder.reached("connections", 0)
    await recorder.until(lambda: recorder.names == {instrument.name for instrument in INSTRUMENTS})


async def test_metrics_that_fail_cost_nothing(
    server: ServerThread, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WSREQUEST = {"METRICS": "tests.metrics.recorder.Broken"}
    async with connect(server.ws) as peer:
        for _ in range(3):
            assert (await peer.request("/hello/"))["status"] == 200
    await server.connections_gone()
    complaints = [record.getMessage() for record in caplog.records if record.name == "wsrequest"]
    assert "METRICS could not take 'requests'; this is not said again" in complaints
    assert len(complaints) == len(set(complaints))


async def test_who_wants_no_figures_pays_for_none() -> None:
    async with connection() as peer:
        assert peer.session.observer is None
        assert peer.session.connection.on_refusal is None


async def test_a_log_for_each_request_needs_no_metrics(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsrequest.request")
    async with connection() as peer:
        peer.transport.push(
            [{"id": 1, "url": "/hello/"}, {"id": 1}, {"id": 2, "url": "/broken-stream/"}]
        )
        while "end" not in str(await peer.transport.pull()):
            pass
        assert peer.session.observer is not None


def test_a_class_is_made_once_and_an_object_taken_as_it_is(settings: Settings) -> None:
    settings.WSREQUEST = {"METRICS": "tests.metrics.recorder.Recorder"}
    made = metrics_in_force(get_settings())
    settings.WSREQUEST = {"METRICS": "tests.metrics.recorder.recorder"}
    taken = metrics_in_force(get_settings())
    settings.WSREQUEST = {"METRICS": "tests.metrics.recorder.Recorder", "PATH": "/x/"}
    assert metrics_in_force(get_settings()) is made
    assert taken is not made
    settings.WSREQUEST = {}
    assert metrics_in_force(get_settings()) is None


def test_the_documentation_lists_them() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (counter|gauge|histogram) \|(.*?)\|", OBSERVE.read_text(), re.MULTILINE
    )
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    ]
    assert documented == [(each.name, each.kind, each.labels) for each in INSTRUMENTS]
