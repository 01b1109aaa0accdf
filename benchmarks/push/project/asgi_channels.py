"""A consumer of Channels, as its tutorial has it; the event's text is made once, before it is sent to the group."""

from __future__ import annotations

from typing import Any

import django
from channels.generic.websocket import AsyncWebsocketConsumer

from benchmarks.push.project.asgi_bare import decode
from benchmarks.push.project.content import ANSWER, HAPPENED, HELLO, SUBSCRIBED

GROUP = "news"

django.setup()


class News(AsyncWebsocketConsumer):
    """Subscribes, or publishes."""

    #: One topic in one process.
    newest = 0

    async def connect(self) -> None:
        await self.accept(self.scope["subprotocols"][0])
        await self.send(text_data=HELLO)

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        asked = decode(text_data or "")
        if asked.method == "SUBSCRIBE":
            await self.channel_layer.group_add(GROUP, self.channel_name)
            await self.send(text_data=SUBSCRIBED % (asked.id, News.newest))
        else:
            await publish(self.channel_layer, asked.data.count)
            await self.send(text_data=ANSWER % (asked.id, asked.data.count))

    async def news_event(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


async def publish(layer: Any, count: int) -> None:
    for _ in range(count):
        News.newest += 1
        await layer.group_send(GROUP, {"type": "news.event", "text": HAPPENED % News.newest})


application = News.as_asgi()
