"""The same, as a consumer among others."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from wsrequest.asgi import get_asgi_application

django = get_asgi_application()

from wsrequest.transports.channels import WebSocketRequestConsumer  # noqa: E402 (Django is set up)

routes = [path("ws/", WebSocketRequestConsumer.as_asgi())]

application = ProtocolTypeRouter(
    {
        "http": django,
        "lifespan": django,
        "websocket": AuthMiddlewareStack(URLRouter(routes)),
    }
)
