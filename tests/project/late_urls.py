"""A URLconf that notes where it was imported."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse
from django.urls import path

try:
    asyncio.get_running_loop()
except RuntimeError:
    WHERE = "not on a loop"
else:
    WHERE = "on a loop"


def where_imported(request: HttpRequest) -> HttpResponse:
    return HttpResponse(WHERE)


urlpatterns = [path("where-imported/", where_imported)]
