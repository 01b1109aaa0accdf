"""Each limit of a connection at the limit, and one past it; and the page that lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import MemoryConnection, connection, settle
from tests.support.server import ServerThread
from wsrequest import conf
from wsrequest.lifecycle.once import MOST_WAITING
from wsrequest.session.registry import registry

ROOT = Path(__file__).resolve().parents[2]


async def pulled(peer: MemoryConnection, number: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    return messages


# --- a message -----------------------------------------------------------------------------------


def padded(size: int, text: str = "x") -> str:
    """A request in a frame of so many bytes."""
    message = {"id": 1, "method": "POST", "url": "/echo/", "data": ""}
    room = size - len(json.dumps(message))
    message["data"] = text * (room // len(text.encode())) + "x" * (room % len(text.encode()))
    frame = json.dumps(message, ensure_ascii=False)
    assert len(frame.encode()) == size
    return frame


@pytest.mark.parametrize("limit", [200, 1024 * 1024])
@pytest.mark.parametrize("text", ["x", "é", "\U0001f600"])
async def test_message_bytes(
    server: ServerThread, settings: Settings, limit: int, text: str
) -> None:
    settings.WSREQUEST = {"MAX_MESSAGE_BYTES": limit}
    async with connect(server.ws, origin=server.http) as peer:
        await peer.send_text(padded(limit, text))
        assert (await peer.answer(1))["status"] == 200
        await peer.send_text(padded(limit + 1, text))
        refused = await peer.next()
        assert refused["status"] == 413
        assert refused["data"]["limit"] == limit
        await peer.still_answers()


def nested(levels: int) -> dict[str, Any]:
    data: Any = 0
    for _ in range(levels - 1):
        data = [data]
    return {"id": 1, "method": "POST", "url": "/echo/", "data": data}


@pytest.mark.parametrize("limit", [2, 64])
async def test_depth(server: ServerThread, settings: Settings, limit: int) -> None:
    settings.WSREQUEST = {"MAX_DEPTH": limit}
    async with connect(server.ws, origin=server.http) as peer:
        await peer.send(nested(limit))
        assert (await peer.answer(1))["status"] == 200
        await peer.send(nested(limit + 1))
        refused = await peer.answer(1)
        assert (refused["status"], refused["data"]["code"]) == (400, "too_deep")
        await peer.still_answers()


@pytest.mark.parametrize("limit", [4, 10_000])
async def test_keys(server: ServerThread, settings: Settings, limit: int) -> None:
    settings.WSREQUEST = {"MAX_KEYS": limit}
    async with connect(server.ws, origin=server.http) as peer:
        data = {f"key {number}": 0 for number in range(limit)}
        answer = await peer.request("/echo/", method="POST", data=data)
        assert answer["status"] == 200
        refused = await peer.request("/echo/", method="POST", data=data | {"more": 0})
        assert (refused["status"], refused["data"]["code"]) == (400, "too_many_keys")
        await peer.still_answers()


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["gate", "agate"])
async def test_in_flight(gate: Gate, settings: Settings, view: str) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 3}
    async with connection(workers=5) as peer:
        for number in range(1, 5):
            peer.transport.push({"id": number, "url": f"/{view}/{gate.name}/"})
        await gate.entered.reached(3)
        peer.transport.push({"ping": 1})
        assert await peer.transport.pull() == {"pong": 1}
        assert gate.entered.count == 3
        peer.transport.push({"cancel": 4})
        assert (await peer.transport.pull())["status"] == 499
        gate.open()
        assert {answer["id"] for answer in await pulled(peer, 3)} == {1, 2, 3}
    assert gate.entered.count == 3


async def test_queued(gate: Gate, settings: Settings) -> None:
    """At the limit less one the socket is read; at the limit it is not, until a request has ended."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 3}
    async with connection() as peer:
        for number in range(1, 4):
            peer.transport.push({"id": number, "url": f"/agate/{gate.name}/"})
        peer.transport.push({"ping": 1})
        assert await peer.transport.pull() == {"pong": 1}
        peer.transport.push({"id": 4, "url": "/hello/"})
        peer.transport.push({"ping": 2})
        await gate.entered.reached(1)
        await settle()
        assert peer.transport.unread == 1
        gate.open()
        messages = await pulled(peer, 5)
        assert {"pong": 2} in messages
        assert {message.get("id") for message in messages} == {1, 2, 3, 4, None}


async def test_queued_refusals_count(gate: Gate, settings: Settings) -> None:
    """What waits to be said in order is bounded with the requests that wait."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 3}
    async with connection() as peer:
        peer.transport.push({"url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.transport.push(*({"url": ""} for _ in range(100)))
        await settle()
        assert peer.session._backlog._count() == 4
        assert peer.session._backlog.waiting == []
        gate.open()
        statuses = [answer["status"] for answer in await pulled(peer, 101)]
        assert statuses == [200] + [400] * 100


# --- what waits to be sent -----------------------------------------------------------------------


def fill(peer: MemoryConnection, size: int) -> None:
    peer.session.outbox.put(b'{"pong":' + b"1" * (size - 9) + b"}")
    assert peer.session.outbox.size == size


async def test_outbox(gate: Gate, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        fill(peer, 999)
        peer.transport.push({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.transport.push({"ping": 1})
        while not peer.session.outbox.full:
            await settle()
        peer.transport.push({"id": 2, "url": f"/gate/{gate.name}/"})
        peer.transport.push({"ping": 2})
        await settle()
        assert peer.transport.unread == 0
        assert gate.entered.count == 1
        gate.open()
        peer.transport.flow()
        messages = (await pulled(peer, 5))[1:]
        assert sorted(message.get("id", 0) for message in messages) == [0, 0, 1, 2]
    assert gate.entered.count == 2


@pytest.mark.parametrize("view", ["chunks", "achunks"])
async def test_outbox_and_streams(gate: Gate, settings: Settings, view: str) -> None:
    """A stream is asked for a part while there is room, and not for one more."""
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 10_000}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/100/1000/"})
        while not peer.session.outbox.full:
            await settle()
        await settle()
        assert peer.session.outbox.size < 11_100
        assert gate.entered.count <= 11
        peer.transport.flow()
        assert (await pulled(peer, 102))[-1] == {"id": 1, "end": True}


# --- connections ---------------------------------------------------------------------------------


async def test_connections(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_CONNECTIONS": 2}
    async with connect(server.ws) as first:
        async with connect(server.ws) as second:
            await first.still_answers()
            with pytest.raises(InvalidStatus) as refused:
                async with connect(server.ws):
                    raise AssertionError
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["retry-after"] == "5"
            await second.still_answers()
        await server_forgets(1)
        async with connect(server.ws) as third:
            await third.still_answers()


async def server_forgets(left: int) -> None:
    while len(registry.members) > left:
        await settle()


# --- the page ------------------------------------------------------------------------------------


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "topics" / "limits.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_limit_has_a_row() -> None:
    named = {name for row in rows() for name in re.findall(r"`([A-Z_]+)`", row[1])}
    limits = {name for name in conf.NAMES if name.startswith(("MAX_", "MESSAGE"))}
    assert named == limits | {name for name in conf.NAMES if name.endswith("_TIMEOUT")} | {
        "IDEMPOTENCY_WAIT",
        "PING_INTERVAL",
    }


def test_the_defaults_are_as_the_page_says() -> None:
    units: dict[str, Callable[[str], float | None]] = {
        "none": lambda text: None,
        "MiB": lambda text: float(text) * 2**20,
        "s": float,
        "": lambda text: float(text.replace(",", "")),
    }
    for _, setting, default, *_ in rows():
        if setting == "none":  # a limit that is not to be changed
            assert default == str(MOST_WAITING)
            continue
        factor = 2 if setting.startswith("twice") else 10 if setting.startswith("ten times") else 1
        name = re.findall(r"`(.*)`", setting)[0].lower()
        number, _, unit = default.partition(" ")
        said = units["none" if default == "none" else unit](number)
        value = getattr(conf.Settings(), name)
        assert said == (None if value is None else value * factor), setting


def test_every_row_names_tests_that_are_there() -> None:
    for *_, tests in rows():
        assert tests
        for test in re.findall(r"`(.*?)`", tests):
            file, _, name = test.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, test
