"""Subscriptions: what is measured. Beside them, at a path of its own, somebody who publishes when he is asked to."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.push.project.asgi_bare import Receive, Send, decode
from benchmarks.push.project.content import ANSWER, DATA, EVENT, HELLO, PUBLISH, URL
from wsrequest.asgi import get_asgi_application

subscriptions = get_asgi_application()

from wsrequest import apublish  # noqa: E402 -- Django is set up now

_DATA = json.loads(DATA)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and scope["path"] == PUBLISH:
        await _publish(scope, receive, send)
    else:
        await subscriptions(scope, receive, send)


async def _publish(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    await send({"type": "websocket.send", "text": HELLO})
    while (event := await receive())["type"] == "websocket.receive":
        asked = decode(event["text"])
        for _ in range(asked.data.count):
            await apublish(URL, _DATA, event=EVENT)
        answer = ANSWER % (asked.id, asked.data.count)
        await send({"type": "websocket.send", "text": answer})
