"""Random middleware stacks, and a trace of what ran in them.

A stack is data (:class:`Stack`); :func:`installed` makes it the project's. Every hook writes a line into ``trace``,
and a synchronous one its thread into ``threads``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import MiddlewareNotUsed, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.test import override_settings
from django.urls import path
from django.utils.decorators import (
    async_only_middleware,
    sync_and_async_middleware,
    sync_only_middleware,
)
from django.utils.deprecation import MiddlewareMixin
from hypothesis import strategies as st

HOOKS = ("request", "view", "template", "exception", "response")
KINDS = (
    "mixin",
    "mixin sync only",
    "mixin async only",
    "mixin with a call of its own",
    "sync class",
    "async class",
    "sync function",
    "async function",
    "function for both",
    "not used",
)
ACTIONS = ("pass", "pass", "pass", "answer", "404", "403", "ValueError")
VIEWS = ("plain", "template", "failing template", "404", "403", "ValueError", "None")


@dataclass(frozen=True)
class Element:
    """A middleware: its kind, and what each of its hooks does."""

    kind: str
    actions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stack:
    elements: tuple[Element, ...]
    view: str
    view_is_async: bool


elements = st.builds(
    Element,
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(HOOKS), st.sampled_from(ACTIONS), max_size=len(HOOKS)),
)
stacks = st.builds(
    Stack,
    st.lists(elements, max_size=6).map(tuple),
    st.sampled_from(VIEWS),
    st.booleans(),
)


class Trace:
    lines: ClassVar[list[str]] = []
    threads: ClassVar[set[int]] = set()

    @classmethod
    def clear(cls) -> None:
        cls.lines, cls.threads = [], set()


def act(action: str, name: str) -> HttpResponse | None:
    """What a hook does: None for going on."""
    match action:
        case "answer":
            return HttpResponse(f"answer of {name}", status=299)
        case "404":
            raise Http404(name)
        case "403":
            raise PermissionDenied(name)
        case "ValueError":
            raise ValueError(name)
    return None


def note(name: str, *, sync: bool = True) -> None:
    Trace.lines.append(name)
    if sync:
        Trace.threads.add(threading.get_ident())


def _hooks(element: Element, number: int) -> dict[str, Any]:
    """The hook methods of a class, those that MiddlewareMixin calls included."""

    def request(self: Any, request: HttpRequest) -> HttpResponse | None:
        note(f"{number} request")
        return act(element.actions["request"], f"{number} request")

    def view(self: Any, request: HttpRequest, *args: Any) -> HttpResponse | None:
        note(f"{number} view")
        return act(element.actions["view"], f"{number} view")

    def template(self: Any, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        note(f"{number} template")
        return (act(element.actions["template"], f"{number} template") and response) or response

    def exception(self: Any, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        note(f"{number} exception {type(exception).__name__}")
        return act(element.actions["exception"], f"{number} exception")

    def response(self: Any, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        note(f"{number} response {response.status_code}")
        return act(element.actions["response"], f"{number} response") or response

    hooks = {
        "process_request": request,
        "process_view": view,
        "process_template_response": template,
        "process_exception": exception,
        "process_response": response,
    }
    return {
        name: hook
        for name, hook in hooks.items()
        if name.removeprefix("process_").removesuffix("_response") in element.actions
        or (name == "process_response" and "response" in element.actions)
    }


def _class(element: Element, number: int) -> Any:
    hooks = _hooks(element, number)
    before, after = hooks.pop("process_request", None), hooks.pop("process_response", None)

    class Plain:
        sync_capable = element.kind == "sync class"
        async_capable = not sync_capable

        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: HttpRequest) -> Any:
            response = before(self, request) if before else None
            response = response or self.get_response(request)
            return after(self, request, response) if after else response

    class AsyncPlain(Plain):
        def __init__(self, get_response: Any) -> None:
            super().__init__(get_response)
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

        async def __call__(self, request: HttpRequest) -> Any:
            note(f"{number} call", sync=False)
            response = act(element.actions.get("request", "pass"), f"{number} call")
            response = response or await self.get_response(request)
            note(f"{number} back {response.status_code}", sync=False)
            return act(element.actions.get("response", "pass"), f"{number} back") or response

        if "view" in element.actions:

            async def process_view(self, request: HttpRequest, *args: Any) -> Any:
                note(f"{number} async view", sync=False)
                return act(element.actions["view"], f"{number} async view")

    if element.kind == "sync class":
        return type("Plain", (Plain,), hooks)
    hooks.pop("process_view", None)
    return type("AsyncPlain", (AsyncPlain,), hooks)


def _mixin(element: Element, number: int) -> Any:
    attributes = _hooks(element, number)
    attributes["sync_capable"] = element.kind != "mixin async only"
    attributes["async_capable"] = element.kind != "mixin sync only"
    base: type = MiddlewareMixin
    if element.kind == "mixin with a call of its own":

        class OwnCall(MiddlewareMixin):
            def __call__(self, request: HttpRequest) -> Any:
                if not iscoroutinefunction(self.get_response):
                    note(f"{number} call")
                return super().__call__(request)

        base = OwnCall
    return type("Mixin", (base,), attributes)


def _function(element: Element, number: int) -> Any:
    before = element.actions.get("request", "pass")
    after = element.actions.get("response", "pass")

    def factory(get_response: Any) -> Any:
        if iscoroutinefunction(get_response):

            async def amiddleware(request: HttpRequest) -> Any:
                note(f"{number} in", sync=False)
                response = act(before, f"{number} in") or await get_response(request)
                note(f"{number} out {response.status_code}", sync=False)
                return act(after, f"{number} out") or response

            return amiddleware

        def middleware(request: HttpRequest) -> Any:
            note(f"{number} in")
            response = act(before, f"{number} in") or get_response(request)
            note(f"{number} out {response.status_code}")
            return act(after, f"{number} out") or response

        return middleware

    decorate = {
        "sync function": sync_only_middleware,
        "async function": async_only_middleware,
        "function for both": sync_and_async_middleware,
    }[element.kind]
    return decorate(factory)


def _not_used(get_response: Any) -> Any:
    raise MiddlewareNotUsed


def make(element: Element, number: int) -> Any:
    if element.kind == "not used":
        return _not_used
    if "function" in element.kind:
        return _function(element, number)
    if "class" in element.kind:
        return _class(element, number)
    return _mixin(element, number)


class Rendered(SimpleTemplateResponse):
    fails = False

    def render(self) -> HttpResponseBase:
        note("render")
        if self.fails:
            raise ValueError("render")
        self.content = "rendered"
        return self


def _answer(kind: str) -> Any:
    act(kind, "view")
    if "template" in kind:
        response = Rendered("unused.html")
        response.fails = kind == "failing template"
        return response
    return None if kind == "None" else HttpResponse("plain")


def _view(stack: Stack) -> Any:
    def view(request: HttpRequest) -> Any:
        note("view")
        return _answer(stack.view)

    async def aview(request: HttpRequest) -> Any:
        note("view", sync=False)
        return _answer(stack.view)

    return aview if stack.view_is_async else view


urlpatterns: list[Any] = []


@contextmanager
def installed(stack: Stack) -> Iterator[None]:
    """Make the stack and its view (at ``/view/``) the project's."""
    module = sys.modules[__name__]
    names = []
    for number, element in enumerate(stack.elements):
        setattr(module, f"m{number}", make(element, number))
        names.append(f"{__name__}.m{number}")
    urlpatterns[:] = [path("view/", _view(stack))]
    with override_settings(MIDDLEWARE=names, ROOT_URLCONF=__name__):
        Trace.clear()
        yield
