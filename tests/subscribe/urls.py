"""Views to subscribe to."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path

from tests.project.gates import gates
from wsrequest import topic

#: What the views answer, by name: the state of the application.
state: dict[str, Any] = {}

#: How often each view was asked, by name.
asked: dict[str, int] = {}


def _count(name: str) -> None:
    asked[name] = asked.get(name, 0) + 1


def thing(request: HttpRequest, name: str) -> JsonResponse:
    _count(name)
    status = state.get(f"{name} status", 200)
    return JsonResponse({"name": name, "state": state.get(name)}, status=status)


async def athing(request: HttpRequest, name: str) -> JsonResponse:
    return thing(request, name)


def at_gate(request: HttpRequest, name: str) -> JsonResponse:
    """Reads the state, and then waits: whatever happens meanwhile is not in its answer."""
    read = state.get(name)
    gates[name].pass_()
    return JsonResponse({"state": read})


async def aat_gate(request: HttpRequest, name: str) -> JsonResponse:
    read = state.get(name)
    await gates[name].apass()
    return JsonResponse({"state": read})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(("one", "two")))


async def endless(request: HttpRequest) -> StreamingHttpResponse:
    async def parts():
        while True:
            yield "again"

    return StreamingHttpResponse(parts())


def moved(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=302, headers={"Location": "/thing/a/"})


@login_required
def mine(request: HttpRequest) -> JsonResponse:
    _count("mine")
    return JsonResponse({"user": request.user.username})


def whoever(request: HttpRequest) -> JsonResponse:
    _count("whoever")
    return JsonResponse({"user": request.user.username})


@topic(lambda request: f"@orders-of-{request.user.pk}")
def my_orders(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"orders": state.get(f"orders of {request.user.username}", [])})


@topic(lambda request: "@elsewhere")
async def named_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"read": state.get("elsewhere")})


def enter(request: HttpRequest, name: str) -> HttpResponse:
    user, _ = User.objects.get_or_create(username=name)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(status=204)


def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse(status=204)


urlpatterns = [
    path("thing/<name>/", thing, name="thing"),
    path("athing/<name>/", athing),
    path("gate/<name>/", at_gate),
    path("agate/<name>/", aat_gate),
    path("stream/", stream),
    path("endless/", endless),
    path("moved/", moved),
    path("mine/", mine),
    path("whoever/", whoever),
    path("my-orders/", my_orders),
    path("named-async/", named_async),
    path("enter/<name>/", enter),
    path("leave/", leave),
    path("", include("tests.project.urls")),
]
