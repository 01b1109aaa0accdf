"""Middleware of the lifecycle's tests."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from tests.lifecycle.views import Stage


class ThreadNote(MiddlewareMixin):
    """Says on which thread its hooks run."""

    def process_request(self, request: HttpRequest) -> None:
        request.hook_thread = threading.get_ident()  # type: ignore[attr-defined]


class Meeting(MiddlewareMixin):
    """A hook that ends only when another message is in it at the same time."""

    def process_request(self, request: HttpRequest) -> None:
        Stage.current.barrier.wait(20)


class Language(MiddlewareMixin):
    """Activates the language that the message's header names."""

    def process_request(self, request: HttpRequest) -> None:
        if language := request.headers.get("x-language"):
            translation.activate(language)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response["x-language-after"] = translation.get_language() or ""
        return response


class OtherURLs(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        if "x-other" in request.headers:
            request.urlconf = "tests.lifecycle.other_urls"


@sync_and_async_middleware
def mode(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Says in which mode it was made."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            response["x-mode"] = "async"
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = get_response(request)
        response["x-mode"] = "sync"
        return response

    return middleware


class Seen:
    """Every request that came by, in order."""

    requests: ClassVar[list[HttpRequest]] = []

    async_capable = True
    sync_capable = True

    def __new__(cls, get_response: Callable[[HttpRequest], Any]) -> Any:
        if iscoroutinefunction(get_response):

            async def amiddleware(request: HttpRequest) -> Awaitable[HttpResponse]:
                cls.requests.append(request)
                return await get_response(request)  # type: ignore[no-any-return]

            return amiddleware

        def middleware(request: HttpRequest) -> HttpResponse:
            cls.requests.append(request)
            return get_response(request)  # type: ignore[no-any-return]

        return middleware
