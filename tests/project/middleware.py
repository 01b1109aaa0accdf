"""Middleware of every kind. Each notes in the header ``x-seen`` that it saw the response."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.decorators import (
    async_only_middleware,
    sync_only_middleware,
)
from django.utils.deprecation import MiddlewareMixin


def _sign(response: HttpResponse, name: str) -> HttpResponse:
    response["x-seen"] = f"{response.get('x-seen', '')} {name}".strip()
    return response


@sync_only_middleware
def sync_only(get_response):
    def middleware(request):
        request.seen = [*getattr(request, "seen", []), "sync"]
        return _sign(get_response(request), "sync")

    return middleware


@async_only_middleware
def async_only(get_response):
    async def middleware(request):
        request.seen = [*getattr(request, "seen", []), "async"]
        return _sign(await get_response(request), "async")

    return middleware


class WithHooks(MiddlewareMixin):
    """One that answers by itself, one hook of each kind."""

    def process_request(self, request):
        request.seen = [*getattr(request, "seen", []), "hooks"]
        if "short" in request.GET:
            return HttpResponse("answered by a middleware")
        return None

    def process_view(self, request, view, args, kwargs):
        if "from-view-hook" in request.GET:
            return HttpResponse("answered by a view hook")
        return None

    def process_exception(self, request, error):
        if "rescue" in request.GET:
            return HttpResponse(f"rescued from {type(error).__name__}")
        return None

    def process_template_response(self, request, response):
        if response.context_data is not None:  # REST framework's has none
            response.context_data["hooked"] = True
        return response

    def process_response(self, request, response):
        return _sign(response, "hooks")
