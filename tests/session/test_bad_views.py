"""Views that do what no view should: one answer, and everything else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import override_settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.server import ServerThread

WORKERS = 3


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    """With few workers, so that one that is lost would be missed."""
    with override_settings(WSREQUEST={"WORKERS": WORKERS}):
        running = ServerThread().start()
        yield running
        running.stop()


@pytest.mark.parametrize("view", ["leave", "aleave", "interrupt", "cancels-itself"])
async def test_what_gets_past_django(server: ServerThread, view: str) -> None:
    async with connect(server.ws) as peer:
        for _ in range(2 * WORKERS):
            answer = await peer.request(f"/{view}/")
            assert answer["status"] == 500
            assert answer["data"]["code"] == "internal_error"
            assert "secret" not in str(answer)
        assert (await peer.request("/hello/"))["data"] == "hello"
        assert (await peer.request("/ahello/"))["data"] == "hello"


async def test_a_view_that_closes_the_database(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        for _ in range(2 * WORKERS):
            assert (await peer.request("/lose-database/"))["data"] == "closed"
            assert (await peer.request("/notes/"))["status"] == 200
            assert (await peer.request("/anotes/"))["status"] == 200


async def test_a_view_that_leaves_a_transaction_open(server: ServerThread, no_notes: None) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request("/break-transaction/"))["status"] == 200
        for _ in range(2 * WORKERS):
            assert (await peer.request("/notes/"))["data"] == {"notes": []}
        assert (await peer.request("/add-note/x/"))["data"] == "1"


@pytest.mark.parametrize(
    "url",
    [
        "/notes/",
        "/anotes/",
        *(f"/{view}/rows/" for view in ("stream", "astream", "mixed-stream", "amixed-stream")),
    ],
)
async def test_the_database_is_used_on_workers_only(server: ServerThread, url: str) -> None:
    """Another thread's connection would not be counted, and nobody would close it."""
    threads = set()

    def receiver(**facts: object) -> None:
        threads.add(threading.current_thread().name)

    connection_created.connect(receiver)
    async with connect(server.ws) as peer:
        answer = await peer.request(url)
        while answer.get("more") or "chunk" in answer:
            answer = await peer.answer(1)
    connection_created.disconnect(receiver)
    assert threads
    assert all(name.startswith("wsrequest-") for name in threads), threads


async def test_database_connections_never_outnumber_workers_and_are_kept(
    server: ServerThread, new_gate: Callable[[], Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    connection_created.connect(receiver := lambda **facts: opened.append(facts), weak=False)
    gate, last = new_gate(), new_gate()
    async with connect(server.ws) as peer, connect(server.ws) as other:
        for key in range(1, 11):
            await peer.send({"id": key, "url": f"/database-thread/?gate={gate.name}"})
            await other.send({"id": key, "url": f"/database-thread/?gate={gate.name}"})
        await gate.entered.reached(WORKERS)
        gate.open()
        threads = {(await one.next())["data"] for one in (peer, other) for _ in range(10)}
        assert len(threads) <= WORKERS
        for _ in range(10):
            assert (await peer.request("/anotes/"))["status"] == 200
        assert len(opened) == WORKERS
        for key in range(1, WORKERS + 1):  # each thread closes its own
            await peer.send({"id": key, "url": f"/database-thread/?close&gate={last.name}"})
        await last.entered.reached(WORKERS)
        last.open()
        for _ in range(WORKERS):
            await peer.next()
    connection_created.disconnect(receiver)
