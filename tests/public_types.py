"""What type checkers make of the public names, as a user writes them: `make types` checks this, nothing runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from wsrequest import WebSocketRequest
from wsrequest.asgi import get_asgi_application

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


def answer(message: str | bytes) -> HttpResponseBase:
    call = WebSocketRequest(message, {"REMOTE_ADDR": "127.0.0.1"}, enforce_csrf_checks=True)
    response: HttpResponseBase = call.get_response()
    assert_type(response.status_code, int)
    assert_type(call.get_url(), str | None)
    assert_type(call.get_method(), str)
    assert_type(call.get_token(), str | None)
    assert_type(call.is_valid(), bool)
    return response


async def aanswer(message: str) -> HttpRequest | None:
    call = WebSocketRequest(message)
    await call.aget_response()
    return call.request


application: Callable[[Scope, Receive, Send], Awaitable[None]] = get_asgi_application()
