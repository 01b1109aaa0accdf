"""Answers that can't be sent, transports that fail, peers that do not read: each ends in one way, and frees what it
held."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.memory import PATIENCE, MemoryConnection, connection, settle

SURROGATE = "\ud800"


def header(request: HttpRequest) -> HttpResponse:
    """Django's own way to a header refuses this."""
    response = HttpResponse("x")
    response.headers._store["x-odd"] = ("X-Odd", SURROGATE)
    return response


async def aheader(request: HttpRequest) -> HttpResponse:
    return header(request)


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        yield "never seen"

    response = StreamingHttpResponse(parts())
    response.headers._store["x-odd"] = ("X-Odd", SURROGATE)
    return response


def expires(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("x")
    response.cookies["soon"] = "1"
    response.cookies["soon"]["expires"] = 3600
    return response


def written(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x", headers={"Set-Cookie": "hidden=secret; HttpOnly; Path=/"})


def seen(request: HttpRequest) -> JsonResponse:
    facts = {key: value for key, value in request.META.items() if isinstance(value, str)}
    return JsonResponse({"cookies": request.COOKIES, "meta": facts})


urlpatterns = [
    path("header/", header),
    path("aheader/", aheader),
    path("odd-stream/", stream),
    path("expires/", expires),
    path("written/", written),
    path("seen/", seen),
    path("", include("tests.project.urls")),
]


@pytest.fixture(autouse=True)
def urls(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


async def messages_until(
    peer: MemoryConnection, enough: Callable[[list[Any]], bool]
) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not enough(messages):
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    return messages


async def ask(peer: MemoryConnection, url: str, **message: Any) -> dict[str, Any]:
    peer.transport.push({"url": url, **message})
    (answer,) = await messages_until(peer, bool)
    return answer


@pytest.mark.parametrize("url", ["/header/", "/aheader/", "/odd-stream/"])
@pytest.mark.parametrize("with_id", [True, False])
async def test_what_cannot_be_encoded_is_answered_500_and_frees_its_place(
    url: str, with_id: bool, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 32}
    async with connection() as peer:
        for number in range(1, 34):
            answer = await ask(peer, url, **({"id": number} if with_id else {}))
            assert answer["status"] == 500
            assert answer["data"]["code"] == "internal_error"
            assert answer.get("id") == (number if with_id else None)
            assert "end" not in answer
        assert (await ask(peer, "/hello/", id=1))["data"] == "hello"
        while peer.session._backlog.running:  # a stream's place is free once its thread closed it
            await settle()


async def test_a_cookie_with_seconds_for_a_date_is_a_cookie() -> None:
    async with connection() as peer:
        for number in range(1, 34):
            assert (await ask(peer, "/expires/", id=number))["status"] == 200
        assert (await ask(peer, "/seen/"))["data"]["cookies"] == {"soon": "1"}


async def test_set_cookie_as_a_plain_header_is_a_cookie() -> None:
    async with connection() as peer:
        answer = await ask(peer, "/written/", id=1)
        assert "set-cookie" not in answer["headers"]
        assert answer["cookies"]["hidden"]["httponly"] is True
        assert "secret" not in str(answer)
        assert (await ask(peer, "/seen/", id=2))["data"]["cookies"] == {"hidden": "secret"}


CLIENT = (
    "cf-connecting-ip client-ip fastly-client-ip forwarded forwarded-for true-client-ip x-client-ip"
    " x-cluster-client-ip x-forwarded x-forwarded-for x-real-ip"
).split()


@pytest.mark.parametrize("name", CLIENT)
async def test_who_the_client_is_comes_from_the_handshake_alone(name: str) -> None:
    headers = ((b"host", b"testserver"), (name.encode(), b"192.0.2.1"))
    meta = "HTTP_" + name.upper().replace("-", "_")
    async with connection(headers=headers) as peer:
        assert (await ask(peer, "/seen/", id=1))["data"]["meta"][meta] == "192.0.2.1"
        refused = await ask(peer, "/seen/", id=2, headers={name.title(): "203.0.113.9"})
        assert refused["status"] == 400
        assert name.title() in refused["data"]["error"]
        assert refused["id"] == 2


@pytest.mark.parametrize("name", ["x-original-url", "x-rewrite-url"])
async def test_a_message_cannot_rewrite_its_url(name: str) -> None:
    async with connection() as peer:
        refused = await ask(peer, "/seen/", id=1, headers={name: "/admin/"})
        assert refused["status"] == 400
        assert name in refused["data"]["error"]


@pytest.mark.parametrize("with_ids", [True, False])
async def test_a_long_array_queues_no_more_than_it_may(
    gate: Gate, settings: Settings, with_ids: bool
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 2, "MAX_QUEUED": 3}
    async with connection() as peer:
        session, most = peer.session, 0
        accept = session._accept

        def noting(message: Any) -> None:
            nonlocal most
            accept(message)
            held = len(session._backlog.running) + len(session._backlog.waiting)
            most = max(most, held)

        session._accept = noting  # type: ignore[method-assign]
        url = f"/agate/{gate.name}/"
        numbered = [{"id": number} if with_ids else {} for number in range(1, 301)]
        peer.transport.push(*({"url": url} | message for message in numbered))
        await gate.entered.reached(2 if with_ids else 1)
        await settle()
        assert most == 5
        assert gate.entered.count == (2 if with_ids else 1)
        gate.open()
        answers = await messages_until(peer, lambda messages: len(messages) == 300)
        assert most == 5
        assert {answer["status"] for answer in answers} == {200}


async def test_no_request_begins_while_the_outbox_is_full(gate: Gate, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000, "MAX_IN_FLIGHT": 1}
    gate.open()
    async with connection() as peer, connection(pool=peer.pool) as neighbour:
        peer.transport.stall()
        peer.transport.push(
            {"id": 1, "url": "/odd/octets/"},
            *({"id": number, "url": f"/gate/{gate.name}/"} for number in range(2, 12)),
            *({"url": f"/agate/{gate.name}/"} for _ in range(10)),
        )
        while not peer.session.outbox.full:
            await settle()
        for _ in range(3):  # the pool has its turns
            assert (await ask(neighbour, "/hello/"))["status"] == 200
        await settle()
        assert gate.entered.count == 0
        peer.transport.flow()
        answers = await messages_until(peer, lambda messages: len(messages) == 21)
        assert [answer["status"] for answer in answers] == [200] * 21
        assert gate.entered.count == 20


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError, OSError])
async def test_a_peer_that_is_gone_while_a_frame_is_read(
    gate: Gate, settings: Settings, error: type[Exception]
) -> None:
    """No further request begins, and the reading of the frame does not wait for those that run."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 2, "MAX_QUEUED": 1}
    async with connection() as peer:
        url = f"/agate/{gate.name}/"
        peer.transport.push(*({"id": number, "url": url} for number in range(1, 21)))
        await gate.entered.reached(2)
        await settle()
        peer.transport.error = error()
        peer.session.outbox.put(b'{"pong":1}')  # something to send, and the writer finds out
        await settle()
        assert not peer.session._backlog.waiting
        # The server reads on only to be told that there is nothing more.
        await peer.leave()
        await gate.cancelled.reached(2)
        await settle()
    assert gate.entered.count == 2
    assert peer.transport.closed_with is None


async def test_no_place_that_becomes_free_is_given_to_who_is_gone(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connection() as peer:
        url = f"/gate/{gate.name}/"
        peer.transport.push(*({"id": number, "url": url} for number in range(1, 4)))
        await gate.entered.reached(1)
        await settle()
        peer.transport.error = ConnectionResetError()
        gate.open()  # its answer can't be sent; the second may have begun by then
        await gate.left.reached(1)
        await peer.leave()
        while peer.session._backlog.running:
            await settle()
        assert (await run_elsewhere(peer))["status"] == 200
    assert gate.entered.count == gate.left.count <= 2


async def run_elsewhere(peer: MemoryConnection) -> dict[str, Any]:
    """Another connection's request goes through the same pool."""
    async with connection(pool=peer.pool) as other:
        return await ask(other, "/hello/")


async def test_a_transport_that_fails_in_another_way_is_closed_and_reported(
    caplog: pytest.LogCaptureFixture, gate: Gate
) -> None:
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.transport.error = ValueError("of a transport")
        with caplog.at_level(logging.ERROR, "wsrequest"):
            peer.transport.push({"ping": 1})
            await peer.task
        await gate.cancelled.reached(1)
    assert peer.transport.closed_with == 4105
    (record,) = (record for record in caplog.records if record.name == "wsrequest.connection")
    assert peer.session.id in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "of a transport"


async def test_a_pool_that_is_closed_answers_that_the_server_shuts_down() -> None:
    async with connection() as peer:
        await asyncio.to_thread(peer.pool.close, PATIENCE)
        peer.transport.push({"id": 1, "url": "/hello/"}, {"id": 2, "url": "/hello/"})
        answers = await messages_until(peer, lambda messages: len(messages) == 2)
        assert [(answer["status"], answer["data"]["code"]) for answer in answers] == [
            (503, "shut_down")
        ] * 2
        assert not peer.session._backlog.running
