"""Middleware whose hooks are called one after the other, where Django nests a call for each.

:class:`FusingHandler` loads ``settings.MIDDLEWARE`` as ``BaseHandler.load_middleware`` does, and fuses the plain ones
that stand next to one another. A middleware that is of the other mode (asynchronous in a synchronous chain, say), or
that overrides ``__call__``, is kept exactly as Django adapts it. Order, short-circuits and the conversion of exceptions
are Django's: its ``BaseHandler`` still runs the view.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response, response_for_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string

Hook = Callable[..., Any]
GetResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncGetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

#: Django's own: what is said here, its loader says.
logger = logging.getLogger("django.request")


class FusingHandler(BaseHandler, ABC):
    """A chain in one mode; a subclass says what fused hooks look like in it."""

    if TYPE_CHECKING:  # Django's own, which its stubs leave out
        _get_response: GetResponse
        _get_response_async: AsyncGetResponse
        _template_response_middleware: list[Hook]
        _exception_middleware: list[Hook]

    #: The mode of the chain.
    is_async = False

    @abstractmethod
    def fuse(self, run: Sequence[Any], inner: Any) -> Any:
        """A handler that runs the hooks of these elements (the outermost first) around ``inner``."""

    def load(self, innermost: tuple[Any, ...] = (), outermost: tuple[Any, ...] = ()) -> list[Hook]:
        """Make the chain, as ``load_middleware`` does; returns the ``process_view`` hooks in their order.

        ``innermost`` and ``outermost`` are elements of our own, with hooks as a middleware has them.
        """
        view_hooks: list[Hook] = []
        self._template_response_middleware = []
        self._exception_middleware = []
        # ``run`` holds the elements whose hooks will be called one after the other, ``inner`` is the handler in them.
        run = innermost
        inner: Any = self._get_response_async if self.is_async else self._get_response
        inner, inner_is_async = convert_exception_to_response(inner), self.is_async
        for path in reversed(django_settings.MIDDLEWARE):
            middleware = import_string(path)
            can_sync = getattr(middleware, "sync_capable", True)
            can_async = getattr(middleware, "async_capable", False)
            if not can_sync and not can_async:
                raise RuntimeError(
                    f"Middleware {path} must have at least one of "
                    "sync_capable/async_capable set to True."
                )
            in_async_mode = can_async and (inner_is_async or not can_sync)
            handler = self._adapt(self.fuse(run, inner), inner_is_async, in_async_mode, path)
            try:
                instance = middleware(handler)
            except MiddlewareNotUsed as unused:
                _log_unused(path, unused)
                continue
            if instance is None:
                raise ImproperlyConfigured(f"Middleware factory {path} returned None.")
            self._collect_hooks(instance, view_hooks)
            if in_async_mode == self.is_async and _is_fusible(instance):
                if inner_is_async != self.is_async:
                    inner, inner_is_async = handler, self.is_async
                run = (instance, *run)
            else:
                run, inner, inner_is_async = (
                    (),
                    convert_exception_to_response(instance),
                    in_async_mode,
                )
        inner = self._adapt(inner, inner_is_async, self.is_async, "the chain")
        self._middleware_chain = self.fuse((*outermost, *run), inner)
        return view_hooks

    def resolve_request(self, request: HttpRequest) -> Any:
        """As Django's, but for a request that names its view itself."""
        view = getattr(request, "own_view", None)
        if view is None:
            return super().resolve_request(request)
        request.resolver_match = ResolverMatch(view, (), {})
        return request.resolver_match

    def _collect_hooks(self, instance: Any, view_hooks: list[Hook]) -> None:
        if hasattr(instance, "process_view"):
            view_hooks.insert(0, instance.process_view)
        if hasattr(instance, "process_template_response"):
            hook = self.adapt_method_mode(self.is_async, instance.process_template_response)
            self._template_response_middleware.append(hook)
        if hasattr(instance, "process_exception"):
            # Django calls these synchronously in either mode.
            hook = self.adapt_method_mode(False, instance.process_exception)
            self._exception_middleware.append(hook)

    def _adapt(self, handler: Any, is_async: bool, to_async: bool, name: str) -> Any:
        return self.adapt_method_mode(
            to_async, handler, is_async, debug=django_settings.DEBUG, name=f"middleware {name}"
        )


def _log_unused(path: str, unused: MiddlewareNotUsed) -> None:
    if django_settings.DEBUG and str(unused):
        logger.debug("MiddlewareNotUsed(%r): %s", path, unused)
    elif django_settings.DEBUG:
        logger.debug("MiddlewareNotUsed: %r", path)


def _is_fusible(instance: Any) -> bool:
    """Whether all that this middleware does is in plain synchronous hooks, called in MiddlewareMixin's own order."""
    kind = type(instance)
    return (
        isinstance(instance, MiddlewareMixin)
        and kind.__call__ is MiddlewareMixin.__call__
        and kind.__acall__ is MiddlewareMixin.__acall__
        and not iscoroutinefunction(getattr(instance, "process_request", None))
        and not iscoroutinefunction(getattr(instance, "process_response", None))
    )


# What follows does what nested middleware would do: an element whose ``process_request`` answered sees the response in
# its own ``process_response``, one that raised does not, and each exception becomes a response before the next
# element outward sees it.


class Hooks:
    """The hooks of a run of elements, the outermost first."""

    def __init__(self, run: Sequence[Any]) -> None:
        self._elements = len(run)
        self.before = _hooks(run, "process_request")
        self.after = _hooks(run, "process_response")[::-1]

    def call_before(self, request: HttpRequest) -> tuple[HttpResponseBase | None, int]:
        """The response, if an element gave one, and how many elements are to see the response on its way out."""
        for depth, hook in self.before:
            try:
                response = hook(request)
            except Exception as error:  # noqa: BLE001 (as convert_exception_to_response does)
                return response_for_exception(request, error), depth
            if response:
                return response, depth + 1
        return None, self._elements

    def call_after(
        self, request: HttpRequest, response: HttpResponseBase, elements: int
    ) -> HttpResponseBase:
        """The response as the outermost ``elements`` leave it."""
        for depth, hook in self.after:
            if depth < elements:
                try:
                    response = hook(request, response)
                except Exception as error:  # noqa: BLE001 (as above)
                    response = response_for_exception(request, error)
        return response


def _hooks(run: Sequence[Any], name: str) -> list[tuple[int, Hook]]:
    """The hooks of this name, each with the number of elements around its own."""
    return [
        (depth, getattr(element, name))
        for depth, element in enumerate(run)
        if hasattr(element, name)
    ]
