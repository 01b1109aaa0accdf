"""The URL patterns of the project that can be subscribed to, as templates: ``/api/orders/{pk}/``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver, get_script_prefix
from django.urls.resolvers import RoutePattern


@dataclass(frozen=True)
class Route:
    """A URL pattern whose view may answer GET."""

    #: ``{rest*}`` stands for a part that may have slashes in it.
    template: str
    view: Callable[..., Any]
    #: What answers GET: the view itself, or a method of its class, ...
    handler: Any
    #: ... which is this.
    view_class: type[Any] | None
    #: The ``NinjaAPI`` that it belongs to.
    ninja: Any = field(default=None)

    @property
    def address(self) -> str:
        return self.template.replace("*}", "}")


def routes() -> Iterator[Route]:
    """Those of ROOT_URLCONF, each template once: the first pattern wins, as it does for requests."""
    seen: set[str] = set()
    for template, view in _walk(get_resolver().url_patterns, get_script_prefix()):
        if template not in seen:
            route = _route(template, view)
            if route is not None:
                seen.add(template)
                yield route


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for entry in patterns:
        path = prefix + _template(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, path)
        elif isinstance(entry, URLPattern) and "format" not in re.findall(r"{(\w+)}", path):
            # (REST framework's suffixes are another way to write the Accept header.)
            yield path, entry.callback


def _template(pattern: Any) -> str:
    if isinstance(pattern, RoutePattern):
        path = str(pattern)
        for name, converter in pattern.converters.items():
            star = "*" if re.fullmatch(converter.regex, "a/b") else ""
            path = re.sub(rf"<(?:[^<>:]+:)?{re.escape(name)}>", f"{{{name}{star}}}", path)
        return path
    route: str = simplify_regex(str(pattern))
    return re.sub(r"<(\w+)>", r"{\1}", route).removeprefix("/")


def _route(template: str, view: Callable[..., Any]) -> Route | None:
    """None where the view answers no GET, as far as that can be told."""
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is not None:
        method = (getattr(view, "actions", None) or {"get": "get"}).get("get")
        handler = getattr(kind, method, None) if method else None
        return Route(template, view, handler, kind) if handler is not None else None
    operations = _ninja_operations(view)
    if operations is None:
        return Route(template, view, view, None)
    for operation in operations:
        if "GET" in operation.methods:
            return Route(template, view, operation.view_func, None, operation.api)
    return None


def _ninja_operations(view: Callable[..., Any]) -> Any:
    """Those of a django-ninja ``PathView``, which its view is a closure of; None for any other view."""
    if not inspect.isfunction(view) or not view.__module__.startswith("ninja."):
        return None
    owner = inspect.getclosurevars(view).nonlocals.get("self")
    return getattr(owner, "operations", None)
