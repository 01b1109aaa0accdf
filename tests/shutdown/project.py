"""A project in one module, for servers in processes of their own: ``application``, with views that wait for the test.

Such a view connects to the test's :class:`~tests.shutdown.doorkeeper.Doorkeeper`, says its name, and goes on when it is
told to.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from wsrequest.asgi import get_asgi_application

DOORKEEPER = ("127.0.0.1", int(os.environ["DOORKEEPER"]))

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: only tests use it",
    USE_TZ=True,
    WSREQUEST=json.loads(os.environ["WSREQUEST"]),
)


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

application = get_asgi_application()
