"""Views that say nothing of being live."""

from __future__ import annotations

from collections import Counter
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.project.models import Note, Order
from wsrequest import depends_on

#: How often each path was asked.
asked: Counter[str] = Counter()

#: What no database knows.
outside: dict[str, Any] = {}


def notes(request: HttpRequest) -> HttpResponse:
    asked[request.path] += 1
    found = Note.objects.filter(text__contains=request.GET.get("q", ""))
    return JsonResponse({"notes": [{"slug": note.slug, "text": note.text} for note in found]})


def note(request: HttpRequest, slug: str) -> HttpResponse:
    asked[request.path] += 1
    found = Note.objects.filter(slug=slug).first()
    if found is None:
        raise Http404
    return JsonResponse({"slug": found.slug, "text": found.text})


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("".join(f"<p>{note.text}</p>" for note in Note.objects.all()))


async def anotes(request: HttpRequest) -> HttpResponse:
    asked[request.path] += 1
    count = await Note.objects.acount()
    slugs = await sync_to_async(lambda: [note.slug for note in Note.objects.all()])()
    return JsonResponse({"count": count, "slugs": slugs})


def mine(request: HttpRequest) -> HttpResponse:
    asked[request.path] += 1
    if not request.user.is_authenticated:
        return HttpResponse(status=403)
    return JsonResponse(
        {"items": [order.item for order in Order.objects.filter(owner=request.user)]}
    )


def weather(request: HttpRequest) -> HttpResponse:
    asked[request.path] += 1
    depends_on("weather")
    return JsonResponse({"weather": outside.get("weather")})


urlpatterns = [
    path("notes/", notes),
    path("notes/<slug:slug>/", note),
    path("page/", page),
    path("anotes/", anotes),
    path("mine/", mine),
    path("weather/", weather),
]
