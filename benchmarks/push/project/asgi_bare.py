"""No Django at all: a loop over the connections' ``send``, with one frame that was made beforehand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.push.project.content import ANSWER, HAPPENED, HELLO, SUBSCRIBED

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Count(msgspec.Struct):
    count: int = 0


class Asked(msgspec.Struct):
    id: int
    method: str
    data: Count = msgspec.field(default_factory=Count)


decode = msgspec.json.Decoder(Asked).decode


class Bare:
    """All connections, and how many events there were."""

    def __init__(self) -> None:
        self.offset = 0
        self.sends: dict[Send, None] = {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise RuntimeError("There is nothing but WebSockets here.")
        await receive()
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        await send({"type": "websocket.send", "text": HELLO})
        while (event := await receive())["type"] == "websocket.receive":
            asked = decode(event["text"])
            if asked.method == "SUBSCRIBE":
                self.sends[send] = None
                answer = SUBSCRIBED % (asked.id, self.offset)
            else:
                await self.publish(asked.data.count)
                answer = ANSWER % (asked.id, asked.data.count)
            await send({"type": "websocket.send", "text": answer})
        self.sends.pop(send, None)

    async def publish(self, count: int) -> None:
        for _ in range(count):
            self.offset += 1
            message = {"type": "websocket.send", "text": HAPPENED % self.offset}
            for send in tuple(self.sends):
                await send(message)


application = Bare()
