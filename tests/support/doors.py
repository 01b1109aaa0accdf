"""Views that wait for a test in another process: at its :class:`~tests.shutdown.doorkeeper.Doorkeeper`.

Such a view connects to it, says its name, and goes on when it is told to.
"""

from __future__ import annotations

import asyncio
import os
import socket

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

DOORKEEPER = ("127.0.0.1", int(os.environ["DOORKEEPER"]))


def wait(request, name):
    with socket.create_connection(DOORKEEPER) as door:
        door.sendall(f"{name}\n".encode())
        door.recv(1)
    return HttpResponse(f"waited {name}")


async def pass_door(name):
    reader, writer = await asyncio.open_connection(*DOORKEEPER)
    writer.write(f"{name}\n".encode())
    try:
        await reader.read(1)
    finally:
        writer.close()


async def await_(request, name):
    await pass_door(name)
    return HttpResponse(f"waited {name}")


async def stream(request, name):
    async def parts():
        yield "first"
        await pass_door(name)
        yield "second"

    return StreamingHttpResponse(parts(), content_type="text/plain")


urlpatterns = [
    path("wait/<name>/", wait),
    path("await/<name>/", await_),
    path("stream/<name>/", stream),
]
