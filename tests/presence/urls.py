"""Rooms, and what is told of those who are in them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.project.gates import gates
from wsrequest import topic

#: Urls that refuse everybody by now.
closed: set[str] = set()

#: What was said of whom: the requests of PRESENCE_INFO.
asked: list[dict[str, Any]] = []


def room(request: HttpRequest, name: str) -> JsonResponse:
    status = 403 if request.get_full_path() in closed else 200
    return JsonResponse({"room": name}, status=status)


async def aroom(request: HttpRequest, name: str) -> JsonResponse:
    return room(request, name)


@login_required
def private(request: HttpRequest, name: str) -> JsonResponse:
    return room(request, name)


def at_gate(request: HttpRequest, name: str) -> JsonResponse:
    gates[name].pass_()
    return room(request, name)


@topic(lambda request: f"@club/{request.GET['of']}")
def club(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"club": request.GET["of"]})


@topic(lambda request: f"@of/{request.user.username or 'nobody'}")
def own(request: HttpRequest) -> JsonResponse:
    return room(request, "own")


def info(request: HttpRequest) -> Any:
    """What is told of who makes this request."""
    name = request.user.username
    asked.append({"path": request.get_full_path(), "user": name})
    if name in request.GET.getlist("gate"):
        gates["info"].pass_()
    if name in request.GET.getlist("bad"):
        return object()
    return {"name": request.user.username, "device": request.headers.get("x-device")}


urlpatterns = [
    path("rooms/<name>/", room),
    path("introduced/<name>/", room),
    path("aintroduced/<name>/", aroom),
    path("private/<name>/", private),
    path("gate/<name>/", at_gate),
    path("club/", club),
    path("own/", own),
    path("quiet/<name>/", room),
    path("", include("tests.subscribe.urls")),
]
