"""The snippets of the README of 2014, extracted and run unchanged."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets

HERE = Path(__file__).parent
PATIENCE = 30

WS_PY, MESSAGE, SOCKJS = re.findall(
    r"```(?:python|json)\n(.*?)```", (HERE / "snippets.md").read_text(), re.DOTALL
)

# The example listens on a fixed port; here on a free one, which it tells. Nothing else is touched.
ANY_PORT = """
import runpy, sys
import tornado.web
from tornado.httpserver import HTTPServer

def listen(self, port):
    server = HTTPServer(self)
    server.listen(0, "127.0.0.1")
    print([socket.getsockname()[1] for socket in server._sockets.values()][0], flush=True)

tornado.web.Application.listen = listen
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def environment() -> dict[str, str]:
    """What the snippets find: a project on the path, and no settings chosen yet."""
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return kept | {"PYTHONPATH": str(HERE / "site")}


def test_ws_py(tmp_path: Path) -> None:
    """It uses ``os`` without importing it, as a fragment of a longer file; so it is given one."""
    file = tmp_path / "ws.py"
    file.write_text(WS_PY)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import os, runpy, sys; runpy.run_path(sys.argv[1], init_globals={'os': os})",
            str(file),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("""b'[{"name": "Apollo"}]'\n""", "")


@asynccontextmanager
async def sockjs_server(tmp_path: Path) -> AsyncIterator[int]:
    file = tmp_path / "server.py"
    await asyncio.to_thread(file.write_text, SOCKJS)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ANY_PORT,
        str(file),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        if not line:
            _, complaint = await process.communicate()
            pytest.fail(complaint.decode())
        yield int(line)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def ask(socket: Any, message: str) -> Any:
    await socket.send(message)
    return json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))


async def test_the_example_with_sockjs_and_tornado(tmp_path: Path) -> None:
    """Tornado calls ``on_message`` on its event loop, and the view may ask the database all the same."""
    async with sockjs_server(tmp_path) as port:
        address = f"ws://127.0.0.1:{port}/ws/api/websocket"
        async with websockets.connect(address) as socket:
            connected = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
            assert connected == {"connected": True}
            answer = await ask(socket, '{"method": "GET", "url": "/api/projects/"}')
            assert answer == [{"name": "Apollo"}]
            answer = await ask(socket, MESSAGE)
            assert answer == {
                "data": {"name": "Acme Inc."},
                "authorization": "JWT MY_JSON_WEB_TOKEN",
            }
            for bad, error, status in (
                ("not json", "Invalid formatted message.", 400),
                ('{"method": "GET"}', "Missing URL", 400),
            ):
                assert await ask(socket, bad) == {"error": error, "status_code": status}
            answer = await ask(socket, '{"method": "GET", "url": "/api/projects/"}')
            assert answer == [{"name": "Apollo"}]
