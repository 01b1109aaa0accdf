"""Logs, which grow by an entry at a time: what a client has of one is what its events and snapshots say, together."""

from __future__ import annotations

import json
import os

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tests.project.models import Note
from wsrequest import publish


def log(request: HttpRequest, name: str) -> JsonResponse:
    if request.method == "POST":
        entry = json.loads(request.body)
        with transaction.atomic():
            Note.objects.create(slug=f"{name}-{entry}", text=name)
            publish(request.path, entry, event="added")
        return JsonResponse({"written": entry})
    if name.startswith("brief-"):
        return JsonResponse({"entries": []})
    slugs = Note.objects.filter(text=name).values_list("slug", flat=True)
    return JsonResponse({"entries": [slug.removeprefix(f"{name}-") for slug in slugs]})


def pid(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pid": os.getpid()})


urlpatterns = [path("log/<name>/", log), path("pid/", pid)]
