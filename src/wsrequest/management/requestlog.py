"""The lines that ``runserver`` writes for each request, as Django's own writes them; and for each message."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from wsrequest.log import request_log

#: Django's own logger of these: with DEBUG it writes to the terminal, in the colours of the statuses.
log = logging.getLogger("django.server")

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


class RequestLog:
    """ASGI middleware: a line for each HTTP request, and each WebSocket that is opened, refused or closed."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._app(scope, receive, _http(scope, send))
        elif scope["type"] == "websocket":
            await self._app(scope, receive, _websocket(scope, send))
        else:
            await self._app(scope, receive, send)


def _http(scope: Any, send: Any) -> Any:
    status, size = 0, 0
    line = f"{scope['method']} {_url(scope)} HTTP/{scope.get('http_version', '1.1')}"

    async def sending(message: Message) -> None:
        nonlocal status, size
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                write(line, status, size)
        await send(message)

    return sending


def _websocket(scope: Any, send: Any) -> Any:
    line = f"WebSocket {_url(scope)}"

    async def sending(message: Message) -> None:
        if message["type"] == "websocket.accept":
            write(line, 101, message.get("subprotocol") or "-")
        elif message["type"] == "websocket.http.response.start":
            write(line, message["status"], "-")
        await send(message)

    return sending


def _url(scope: Any) -> str:
    path, query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
    url: bytes = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return url.decode("latin-1")


def write(line: str, status: int, size: int | str) -> None:
    """A line, at the level that Django gives to such a status."""
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    facts = {"status_code": status, "server_time": time.strftime("%d/%b/%Y %H:%M:%S")}
    log.log(level, '"%s" %s %s', line, status, size, extra=facts)


class MessageLog(logging.Handler):
    """A line in the same form for each message that was answered, of what the package logs about it."""

    def emit(self, record: logging.LogRecord) -> None:
        status = getattr(record, "status_code", None)
        if record.levelno == logging.DEBUG and isinstance(status, int) and record.args:
            method, path, *_ = record.args
            write(f"{method} {str(path)[1:-1]} WebSocket", status, "-")


def log_messages() -> None:
    """Have such lines written, unless the project's LOGGING has its own of them."""
    if not request_log.isEnabledFor(logging.DEBUG):
        request_log.setLevel(logging.DEBUG)
        request_log.addHandler(MessageLog())
