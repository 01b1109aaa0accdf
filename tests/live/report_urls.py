"""Views whose answers vary by this and that."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.live import urls
from tests.project.models import Note, Order
from wsrequest import depends_on


def varied(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "theme": request.COOKIES.get("theme"),
            "language": request.headers.get("accept-language"),
            "address": request.META.get("REMOTE_ADDR"),
        }
    )


def rows(request: HttpRequest) -> HttpResponse:
    """Some by keys that are numbers, and two by keys that may be tokens."""
    for pk in (7, 30, *range(100, 110)):
        Order.objects.filter(pk=pk).first()
    for slug in ("a", f"{SECRET}-as-a-key"):
        Note.objects.filter(slug=slug).first()
    get_user_model().objects.count()
    return JsonResponse({})


def who(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"who": request.user.pk})


def names(request: HttpRequest) -> HttpResponse:
    depends_on(*request.GET.getlist("n"))
    return JsonResponse({})


def alone(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"id": request.websocket.id})


SECRET = "hush"

urlpatterns = [
    path("varied/", varied),
    path("rows/", rows),
    path("who/", who),
    path("alone/", alone),
    path("names/", names),
    path("create/<slug>/", lambda request, slug: _create(slug)),
    *urls.urlpatterns,
]


def _create(slug: str) -> HttpResponse:
    Note.objects.create(slug=slug)
    return JsonResponse({})
