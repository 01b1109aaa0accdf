"""Views whose responses fail while they are rendered."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin


class Catch(MiddlewareMixin):
    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse(f"caught {type(exception).__name__}")


class Failing(SimpleTemplateResponse):
    def render(self) -> Any:
        raise RuntimeError("while rendering")


class AsyncFailing(SimpleTemplateResponse):
    async def render(self) -> Any:  # type: ignore[override]
        raise RuntimeError("while rendering")


async def arender(request: HttpRequest) -> HttpResponse:
    return AsyncFailing("unused.html")


def render(request: HttpRequest) -> HttpResponse:
    return Failing("unused.html")


urlpatterns = [path("arender/", arender), path("render/", render)]
