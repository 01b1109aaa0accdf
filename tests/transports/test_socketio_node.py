"""socket.io-client 4, and Sails' own client over it, in Node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ServerThread
from tests.transports.socketio_client import new_server
from wsrequest import disconnect

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).parent / "node" / "socketio.cjs"
PATIENCE = 120

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    running = new_server()
    yield running
    running.stop()


def started(server: ServerThread, part: str, transport: str) -> subprocess.Popen[str]:
    command = ["node", str(SCRIPT), server.http, part, transport]
    return subprocess.Popen(command, cwd=ROOT / "js", stdout=subprocess.PIPE, text=True)


def printed(node: subprocess.Popen[str]) -> Any:
    with node:
        out, _ = node.communicate(timeout=PATIENCE)
    return json.loads(out)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_requests(server: ServerThread, transport: str) -> None:
    assert printed(started(server, "direct", transport)) == [
        transport,
        {
            "body": "hello",
            "headers": {"content-type": "text/html; charset=utf-8"},
            "statusCode": 200,
        },
        201,
        [0x89, 0x50, 0x4E, 0x47],
        403,  # without an Origin, the header alone does not do
        "one",
        ["two", 1],
        204,
    ]


def test_a_refusal(server: ServerThread) -> None:
    assert printed(started(server, "refused", "websocket")) == [400, "bad_token", False]


def test_who_is_sent_away_comes_back(server: ServerThread) -> None:
    node = started(server, "dropped", "websocket")
    assert node.stdout is not None
    disconnect(node.stdout.readline().strip(), code=4200, on_commit=False)
    assert printed(node) == [4200, "transport close"]


def test_the_client_of_sails(server: ServerThread) -> None:
    assert printed(started(server, "sails", "websocket")) == [
        "sails",
        {"a": ["1"]},
        200,
        "application/json",
        404,
        True,
    ]
