"""``request.websocket``: what a view knows of its connection, and says to it; and the signals about connections."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path
from django.utils.translation import gettext_lazy
from pytest_django.fixtures import Settings

from tests.project.gates import Gate, Tally, gates
from tests.project.models import Note
from tests.support.client import connect
from tests.support.memory import PATIENCE, MemoryConnection, MemoryTransport, connection, settle
from tests.support.server import ServerThread
from wsrequest.asgi import get_asgi_application
from wsrequest.lifecycle.websocket import WebSocket
from wsrequest.protocol.messages import RESERVED_EVENTS
from wsrequest.signals import connection_closed, connection_opened


def facts(request: HttpRequest) -> JsonResponse:
    websocket = getattr(request, "websocket", None)
    if websocket is None:
        return JsonResponse({"id": None})
    return JsonResponse({"id": websocket.id, "codec": websocket.codec, "state": websocket.state})


def remember(request: HttpRequest, name: str) -> HttpResponse:
    request.websocket.state[name] = True
    return HttpResponse()


def tell(request: HttpRequest, count: int) -> HttpResponse:
    heard = [request.websocket.notify("told", number) for number in range(count)]
    return JsonResponse(heard, safe=False)


async def atell(request: HttpRequest, count: int) -> HttpResponse:
    heard = []
    for number in range(0, count, 3):
        heard.append(request.websocket.notify("told", number))
        heard.append(await sync_to_async(request.websocket.notify)("told", number + 1))
        heard.append(await asyncio.to_thread(request.websocket.notify, "told", number + 2))
    return JsonResponse(heard, safe=False)


def tell_at_gate(request: HttpRequest, name: str) -> HttpResponse:
    gates[name].pass_()
    return JsonResponse(request.websocket.notify("too late"), safe=False)


def greet(request: HttpRequest) -> None:
    """A HANDSHAKE hook."""
    request.websocket.state["greeted"] = True
    assert request.websocket.notify("welcome", {"to": "you"})


urlpatterns = [
    path("facts/", facts),
    path("remember/<name>/", remember),
    path("tell/<int:count>/", tell),
    path("atell/<int:count>/", atell),
    path("tell-at-gate/<name>/", tell_at_gate),
    path("", include("tests.project.urls")),
]


@pytest.fixture(autouse=True)
def urls(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


async def pulled(peer: MemoryConnection, number: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    return messages


# --- what it knows -------------------------------------------------------------------------------


async def test_the_connection_that_hello_named(server: ServerThread) -> None:
    async with connect(server.ws) as peer, connect(server.ws) as other:
        assert peer.hello is not None
        said = (await peer.request("/facts/"))["data"]
        assert said == {"id": peer.hello["data"]["connection"], "codec": "json", "state": {}}
        assert (await other.request("/facts/"))["data"]["id"] != said["id"]


async def test_a_seed_connection_is_one_too(server: ServerThread) -> None:
    async with connect(server.ws, seed=True) as peer:
        said = (await peer.plain("/facts/"))["data"]
        assert said["id"]
        assert said["codec"] == "json"


async def test_a_msgpack_connection_says_so() -> None:
    async with connection(subprotocols=()) as peer:
        assert peer.session.websocket.codec == "json"
    websocket = WebSocket("an id", "msgpack", None)
    assert (websocket.codec, repr(websocket)) == ("msgpack", "<WebSocket an id>")


def test_over_http_there_is_none() -> None:
    assert Client().get("/facts/").json() == {"id": None}


async def test_state_lives_as_long_as_the_connection(server: ServerThread) -> None:
    async with connect(server.ws) as peer, connect(server.ws) as other:
        await asyncio.gather(peer.request("/remember/a/", id=1), other.request("/remember/b/"))
        await peer.request("/remember/c/", id=2)
        assert (await peer.request("/facts/"))["data"]["state"] == {"a": True, "c": True}
        assert (await other.request("/facts/"))["data"]["state"] == {"b": True}
    async with connect(server.ws) as peer:
        assert (await peer.request("/facts/"))["data"]["state"] == {}


# --- notify --------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["tell", "atell"])
async def test_notices_come_before_the_answer_of_the_view_that_sent_them(
    server: ServerThread, view: str
) -> None:
    async with connect(server.ws) as peer:
        for _ in range(20):
            await peer.send({"id": 1, "url": f"/{view}/9/"})
            notices = [await peer.next() for _ in range(9)]
            assert notices == [{"event": "told", "data": number} for number in range(9)]
            assert (await peer.next())["data"] == [True] * 9


async def test_notices_of_another_thread_keep_their_order() -> None:
    async with connection() as peer:
        notify = peer.session.websocket.notify

        def count() -> None:
            for number in range(200):
                notify("count", number)

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        messages = await pulled(peer, 600)
        assert sorted(message["data"] for message in messages) == sorted([*range(200)] * 3)
        for thread in threads:
            await asyncio.to_thread(thread.join)


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (None, None),
        ({"a": [1, 2.5, True, "\U0001f600é"]}, {"a": [1, 2.5, True, "\U0001f600é"]}),
        (date(2014, 5, 1), "2014-05-01"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (gettext_lazy("Yes"), "Yes"),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        (2**70, 2**70),
    ],
)
async def test_anything_that_django_writes_as_json_can_be_said(data: Any, heard: Any) -> None:
    async with connection() as peer:
        assert peer.session.websocket.notify("news", data) is True
        assert await peer.transport.pull() == {"event": "news", "data": heard}


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("subprotocols", [("wsrequest.v1.json",), ()])
@pytest.mark.parametrize(
    ("event", "data", "error"),
    [
        *[(name, 1, ValueError) for name in (*sorted(RESERVED_EVENTS), "", "half \ud83d")],
        *[(name, 1, TypeError) for name in (5, None, b"news", gettext_lazy("Yes"))],
        *[
            ("x", data, ValueError)
            for data in (float("nan"), [float("inf")], "half \ud83d", CIRCLE)
        ],
        *[("x", data, TypeError) for data in (b"bytes", object(), {(1, 2): 3}, {1, 2})],
    ],
)
async def test_what_cannot_be_said_is_an_error_of_the_caller(
    subprotocols: tuple[str, ...], event: Any, data: Any, error: type[Exception]
) -> None:
    async with connection(subprotocols=subprotocols) as peer:
        with pytest.raises(error):
            peer.session.websocket.notify(event, data)
        peer.transport.push({"ping": 1})
        assert await peer.transport.pull() == {"pong": 1}


async def test_a_seed_connection_hears_nothing(server: ServerThread) -> None:
    async with connect(server.ws, seed=True) as peer:
        assert (await peer.plain("/tell/3/"))["data"] == [False] * 3
        await peer.still_answers()


async def test_who_is_gone_hears_nothing_and_nobody_is_hurt(gate: Gate) -> None:
    async with connection() as peer:
        websocket = peer.session.websocket
        peer.transport.push({"id": 1, "url": f"/tell-at-gate/{gate.name}/"})
        await gate.entered.reached(1)
        await peer.leave()
        gate.open()
        await gate.left.reached(1)
        assert websocket.notify("news") is False
        assert await asyncio.to_thread(websocket.notify, "news") is False
        with pytest.raises(ValueError, match="can't be the name"):
            websocket.notify("patch")


async def test_whoever_keeps_it_does_not_keep_the_connection() -> None:
    async with connection() as peer:
        websocket, session = peer.session.websocket, weakref.ref(peer.session)
        await peer.leave()
        del peer
    assert websocket.notify("news") is False
    gc.collect()
    assert session() is None


async def test_a_client_that_does_not_read_is_closed_when_the_outbox_is_full(
    settings: Settings,
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        peer.session.outbox.put(b'{"pong":' + b"1" * 990 + b"}")
        assert peer.session.outbox.size == 999
        assert peer.session.websocket.notify("at the limit") is True
        await settle()
        assert not peer.task.done()
        assert peer.session.websocket.notify("past it") is True
        await peer.task
        assert peer.transport.closed_with == 4102


async def test_hello_comes_before_what_the_hook_says(
    server: ServerThread, settings: Settings
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": f"{__name__}.greet"}
    async with connect(server.ws) as peer:
        assert peer.hello is not None
        assert peer.hello["control"] == "hello"
        assert await peer.next() == {"event": "welcome", "data": {"to": "you"}}
        assert (await peer.request("/facts/"))["data"]["state"] == {"greeted": True}


# --- signals -------------------------------------------------------------------------------------


class Ear:
    """A receiver of both signals."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, WebSocket, str | None, Any]] = []
        self.threads: set[str] = set()
        self.tally = Tally()

    def opened(self, connection: WebSocket, user: str | None, **kwargs: Any) -> None:
        assert kwargs.keys() == {"signal", "sender"}
        self._note("opened", connection, user, "")

    def closed(self, connection: WebSocket, user: str | None, code: int | None, **_: Any) -> None:
        self._note("closed", connection, user, code)

    def _note(self, *heard: Any) -> None:
        self.heard.append(heard)
        self.threads.add(threading.current_thread().name.rpartition("-")[0])
        self.tally.add()


Listen = Callable[[Signal, Callable[..., Any]], None]


@pytest.fixture
def listen() -> Iterator[Listen]:
    connected: list[tuple[Signal, Callable[..., Any]]] = []

    def listen(signal: Signal, receiver: Callable[..., Any]) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield listen
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def ear(listen: Listen) -> Ear:
    ear = Ear()
    listen(connection_opened, ear.opened)
    listen(connection_closed, ear.closed)
    return ear


async def test_a_connection_is_opened_and_closed_once(ear: Ear) -> None:
    async with connection() as peer:
        await ear.tally.reached(1)
        peer.transport.push({"id": 1, "url": "/hello/"})
        assert (await peer.transport.pull())["data"] == "hello"
        await peer.leave()
        await ear.tally.reached(2)
    websocket = peer.session.websocket
    assert ear.heard == [("opened", websocket, None, ""), ("closed", websocket, None, None)]
    assert ear.threads == {"wsrequest"}


async def test_closed_says_with_which_code_this_side_closed(ear: Ear) -> None:
    async with connection() as peer:
        await ear.tally.reached(1)
        peer.session.close(4010)
        await peer.task
        await ear.tally.reached(2)
    assert ear.heard[1][3] == 4010


async def test_no_request_runs_before_the_receivers_have_returned(
    listen: Listen, gate: Gate
) -> None:
    listen(connection_opened, lambda connection, **_: connection.state.setdefault("n", 1))
    listen(connection_opened, lambda **_: gate.pass_())
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": "/facts/"})
        await gate.entered.reached(1)
        await settle()
        assert peer.transport.reads == 0
        gate.open()
        assert (await peer.transport.pull())["data"]["state"] == {"n": 1}


@pytest.mark.parametrize("by_peer", [True, False])
async def test_closed_is_not_heard_before_opened_is_done(
    listen: Listen, ear: Ear, gate: Gate, by_peer: bool
) -> None:
    """Or an entry that the one makes and the other deletes would stay."""
    listen(connection_opened, lambda **_: gate.pass_())
    after: list[int] = []
    listen(connection_closed, lambda **_: after.append(gate.left.count))
    async with connection() as peer:
        await gate.entered.reached(1)
        if by_peer:
            peer.transport.leave()
        else:
            peer.session.close(4010)
            await peer.task
            await settle()
            assert ear.tally.count == 1
        gate.open()
        await ear.tally.reached(2)
    assert after == [1]


async def test_the_loop_goes_on_meanwhile(listen: Listen, gate: Gate) -> None:
    listen(connection_opened, lambda **_: gate.pass_())
    async with connection() as peer:
        await gate.entered.reached(1)
        peer.session.websocket.notify("news")
        assert await peer.transport.pull() == {"event": "news", "data": None}
        gate.open()


async def test_asynchronous_receivers_are_heard(listen: Listen) -> None:
    heard = Tally()

    async def receiver(**kwargs: Any) -> None:
        await asyncio.sleep(0)
        heard.add()

    listen(connection_opened, receiver)
    listen(connection_closed, receiver)
    async with connection() as peer:
        await heard.reached(1)
        await peer.leave()
        await heard.reached(2)


@pytest.mark.parametrize(
    "failure", [RuntimeError, SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
async def test_a_receiver_that_fails_hurts_nobody(
    listen: Listen, failure: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**kwargs: Any) -> None:
        raise failure("of a receiver")

    last = Tally()
    listen(connection_opened, fail)
    listen(connection_closed, fail)
    with caplog.at_level(logging.ERROR):
        async with connection(workers=1) as peer:
            peer.transport.push({"id": 1, "url": "/hello/"})
            assert (await peer.transport.pull())["data"] == "hello"
            await peer.leave()
            peer.pool.submit(lambda worker: last.add())
            await last.reached(1)
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert errors == ["of a receiver"] * 2


async def test_a_receiver_gives_its_database_connection_back(
    database: None, listen: Listen
) -> None:
    used: list[Any] = []

    def query(**kwargs: Any) -> None:
        Note.objects.count()
        used.append(connections["default"])

    last = Tally()
    listen(connection_opened, query)
    listen(connection_closed, query)
    async with connection(workers=1) as peer:
        peer.transport.push({"ping": 1})
        await peer.transport.pull()
        assert [each.connection for each in used] == [None]
        await peer.leave()
        peer.pool.submit(lambda worker: last.add())
        await last.reached(1)
        assert [each.connection for each in used] == [None, None]


SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/ws/",
    "headers": [(b"host", b"testserver")],
    "subprotocols": ["wsrequest.v1.json"],
}


async def opened_over_asgi(scope: dict[str, Any], *, accepts: bool) -> list[str]:
    """What an ASGI server that leaves at once was sent."""
    sent: list[str] = []
    incoming = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        if message["type"] == "websocket.accept" and not accepts:
            raise ConnectionResetError
        sent.append(message["type"])

    async with asyncio.timeout(PATIENCE):
        await get_asgi_application()(SCOPE | scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("scope", "accepts"),
    [({}, False), ({"headers": [(b"host", b"elsewhere")]}, True), ({"path": "/other/"}, True)],
)
async def test_what_was_never_open_is_not_heard_of(
    ear: Ear, scope: dict[str, Any], accepts: bool
) -> None:
    await opened_over_asgi(scope, accepts=accepts)
    assert "websocket.accept" in await opened_over_asgi({}, accepts=True)
    await ear.tally.reached(2)  # of the second one alone
    assert [kind for kind, *_ in ear.heard] == ["opened", "closed"]


async def test_a_connection_whose_transport_fails_is_closed_once(ear: Ear) -> None:
    async with connection() as peer:
        await ear.tally.reached(1)
        peer.transport.error = ValueError("of a transport")
        peer.session.websocket.notify("news")
        await peer.task
        await ear.tally.reached(2)
    assert ear.heard[1][3] == 4105


async def test_what_reads_may_fail_too(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive(self: MemoryTransport) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(MemoryTransport, "receive", receive)
    with pytest.raises(ConnectionResetError):
        async with connection() as peer:
            await peer.task
    await ear.tally.reached(2)
    assert [kind for kind, *_ in ear.heard] == ["opened", "closed"]
