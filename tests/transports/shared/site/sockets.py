"""The same, with Socket.IO beside it."""

from __future__ import annotations

import socketio

from wsrequest.asgi import get_asgi_application

django = get_asgi_application()

from wsrequest.transports.socketio import get_socketio_server  # noqa: E402 (Django is set up)

application = socketio.ASGIApp(get_socketio_server(), django)
