"""What type checkers make of the public names, as a user writes them: `make types` checks this, nothing runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.views import View

from wsrequest import (
    EVERYONE,
    WebSocketRequest,
    adisconnect,
    anotify,
    apublish,
    atouch,
    disconnect,
    notify,
    publish,
    topic,
    touch,
)
from wsrequest.asgi import get_asgi_application

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

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


def say(user: User, users: QuerySet[User], connection_id: str) -> None:
    publish("/orders/42/", {"status": "paid"}, event="paid", to=user, using="default")
    publish(["/orders/42/", reverse_lazy("orders")], [1, 2], to=users, on_commit=False)
    publish(reverse_lazy("orders"), None, to=[user, 7, "8"])
    notify(user, "news", {"n": 1})
    notify(EVERYONE, "news")
    disconnect(user)
    disconnect(connection_id, code=4200)
    touch("/orders/42/", reverse_lazy("orders"))


async def asay(user: User) -> None:
    await apublish("/orders/42/", {"status": "paid"}, to=[user.pk])
    await anotify(user.pk, "news")
    await adisconnect(user)
    await atouch("/orders/42/")


def name(request: HttpRequest) -> str:
    return f"@orders/{request.user.pk}"


@topic(name)
def orders(request: HttpRequest, page: int) -> HttpResponse:
    return HttpResponse(str(page))


@topic(lambda request: f"@orders/{request.user.pk}")
async def aorders(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Orders(View):
    hears = topic(lambda request: f"@orders/{request.user.pk}")

    @topic(name)
    def get(self, request: HttpRequest, page: int = 1) -> HttpResponse:
        return orders(request, page)


def view_types(request: HttpRequest) -> None:
    assert_type(orders(request, 7), HttpResponse)
    assert_type(Orders().get(request, page=7), HttpResponse)


async def aview_types(request: HttpRequest) -> None:
    assert_type(await aorders(request), HttpResponse)
