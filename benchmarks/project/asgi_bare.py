"""No Django at all: what uvicorn alone costs, and the proof that the generator is faster than it.

It answers every request, over HTTP or a WebSocket, with the bytes that the empty view answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HELLO = '{"control":"hello","data":{"connection":"bare","heartbeat":20,"limits":{}}}'
ANSWER = '{"id":%d,"status":200,"headers":{"content-type":"application/json"},"data":{"ok":true}}'


class Identified(msgspec.Struct):
    id: int


decode = msgspec.json.Decoder(Identified).decode
decode_array = msgspec.json.Decoder(list[Identified]).decode


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    elif scope["type"] == "http":
        await _http(send)
    else:
        raise RuntimeError("There is no lifespan here.")


async def _websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    await send({"type": "websocket.send", "text": HELLO})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": _answer(event["text"])})


def _answer(text: str) -> str:
    """Answer a message, or an array of them with an array."""
    if text.startswith("["):
        return "[" + ",".join([ANSWER % message.id for message in decode_array(text)]) + "]"
    return ANSWER % decode(text).id


async def _http(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"ok":true}'})
