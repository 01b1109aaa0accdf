"""The test project's urls, and those by which a test in another process sees and steers it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.sessions.models import Session
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from tests.project.gates import gates
from tests.project.models import Note
from wsrequest import publish

#: By name: what has been added.
logs: dict[str, list[Any]] = {}


@csrf_exempt
def log(request: HttpRequest, name: str) -> JsonResponse:
    entries = logs.setdefault(name, [])
    if request.method == "POST":
        entry = json.loads(request.body)
        entries.append(entry)
        publish(request.path, entry, event="added")
    return JsonResponse({"entries": entries})


@login_required
def room(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"room": name})


def texts(request: HttpRequest, start: str) -> JsonResponse:
    """Changes with the notes."""
    found = Note.objects.filter(slug__startswith=start).order_by("slug")
    if not found:
        raise Http404
    return JsonResponse({"texts": [note.text for note in found]})


def tally(request: HttpRequest, name: str) -> JsonResponse:
    """How many have come to a gate, or pieces of a stream were asked for; and how many left, or were closed."""
    gate = gates[name]
    return JsonResponse({"entered": gate.entered.count, "left": gate.left.count})


def tell(request: HttpRequest) -> HttpResponse:
    """Sends a notice to the connection that asks."""
    return JsonResponse({"told": request.websocket.notify("told", {"by": "a view"})})


def renew(request: HttpRequest) -> HttpResponse:
    """The rows that the cases of ``tests.same`` start from."""
    Session.objects.all().delete()
    Note.objects.all().delete()
    Note.objects.create(slug="first", text="one")
    Note.objects.create(slug="second", text="zwei\u00df")
    return HttpResponse(status=204)


urlpatterns = [
    path("log/<name>/", log),
    path("rooms/<name>/", room),
    path("texts/<start>/", texts),
    path("tally/<name>/", tally),
    path("tell/", tell),
    path("renew/", renew),
    path("door/", include("tests.support.doors")),
    path("", include("tests.project.urls")),
]
