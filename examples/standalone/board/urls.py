"""An API like any other. Nothing in it knows of sockets, or of anybody who watches."""

from __future__ import annotations

import json

from django.core.exceptions import ValidationError
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from board.models import Idea


@require_http_methods(["GET", "POST"])
def ideas(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return JsonResponse(list(Idea.objects.values("id", "text", "stars")[:50]), safe=False)
    idea = Idea(text=str(json.loads(request.body).get("text", "")).strip())
    try:
        idea.full_clean()
    except ValidationError as error:
        return JsonResponse(error.message_dict, status=400)
    idea.save()
    return JsonResponse({"id": idea.pk, "text": idea.text, "stars": idea.stars}, status=201)


@require_http_methods(["DELETE"])
def idea(request: HttpRequest, pk: int) -> HttpResponse:
    get_object_or_404(Idea, pk=pk).delete()
    return HttpResponse(status=204)


@require_POST
def star(request: HttpRequest, pk: int) -> HttpResponse:
    starred = Idea.objects.filter(pk=pk).update(stars=F("stars") + 1)
    return HttpResponse(status=204 if starred else 404)


urlpatterns = [
    path("api/ideas/", ideas),
    path("api/ideas/<int:pk>/", idea),
    path("api/ideas/<int:pk>/star/", star),
]
