"""What a project with Channels has: consumers of its own, and the package's, behind Channels' middleware."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.exceptions import DenyConnection, StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from wsrequest import apublish
from wsrequest.asgi import get_asgi_application
from wsrequest.transports.channels import WebSocketRequestConsumer


class News(WebSocketRequestConsumer):
    """In a group of its class, and in one of its url."""

    groups = ("everyone",)
    closed_with: list[int | None] = []

    async def connect(self):
        self.name = self.scope["url_route"]["kwargs"]["name"]
        if self.name == "nobody":
            raise DenyConnection
        await self.channel_layer.group_add(f"news-{self.name}", self.channel_name)

    async def disconnect(self, code):
        self.closed_with.append(code)
        await self.channel_layer.group_discard(f"news-{self.name}", self.channel_name)

    async def news_told(self, message):
        self.notify("news", message["text"])

    async def news_over(self, message):
        raise StopConsumer

    async def news_broken(self, message):
        raise RuntimeError("on purpose")


class Own(AsyncJsonWebsocketConsumer):
    """A consumer that was there before."""

    async def receive_json(self, content):
        await apublish(content["url"], content["data"], event="told")
        await self.send_json({"done": True})


class TokenUser:
    """As the middleware of many a project: finds the user by a token in the query string."""

    def __init__(self, application):
        self.application = application

    async def __call__(self, scope, receive, send):
        from django.contrib.auth.models import User

        name = scope["query_string"].decode().removeprefix("token=")
        scope["user"] = await User.objects.filter(username=name).afirst()
        await self.application(scope, receive, send)


def make_application():
    """After Django is set up."""
    django = get_asgi_application()
    routes = [
        path("ws/", WebSocketRequestConsumer.as_asgi()),
        path("news/<name>/", News.as_asgi()),
        path("token/", TokenUser(WebSocketRequestConsumer.as_asgi())),
        path("own/", Own.as_asgi()),
    ]
    return ProtocolTypeRouter(
        {
            "http": django,
            "lifespan": django,
            "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routes))),
        }
    )
