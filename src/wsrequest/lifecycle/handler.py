"""Django's middleware chain, once for synchronous views and once for asynchronous ones.

:class:`SyncHandler` is Django's chain in its synchronous mode; the caller runs it whole in one thread hop.

:class:`AsyncHandler` is Django's chain in its asynchronous mode with one change: where ``MiddlewareMixin`` would hop to
a thread for each hook of each middleware (16 hops for the default seven), hooks that follow one another share one.
A middleware that is asynchronous itself, or that overrides ``__call__``, is kept exactly as Django adapts it. Order,
short-circuits and the conversion of exceptions are Django's: its ``BaseHandler`` still runs the view.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response, response_for_exception
from django.core.signals import request_finished, request_started, setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix, set_urlconf
from django.utils.deprecation import MiddlewareMixin
from django.utils.log import log_response
from django.utils.module_loading import import_string

from wsrequest.lifecycle.hop import hop, hop_anywhere

Hook = Callable[..., Any]
AsyncGetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

logger = logging.getLogger("wsrequest")


class SyncHandler(BaseHandler):
    """The chain for synchronous views. (An async view works too, by Django's ``async_to_sync``.)"""

    def __init__(self) -> None:
        self.load_middleware(is_async=False)

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Run the request, from ``request_started`` on; the caller closes the response, which ends the request."""
        _start(self, request)
        try:
            response = self.get_response(request)
        except BaseException:  # DEBUG_PROPAGATE_EXCEPTIONS, or sys.exit() in a view
            _abandon(self, request)
            raise
        return _owned(self, request, response)


class AsyncHandler(BaseHandler):
    """The chain for asynchronous views, with the synchronous hooks fused."""

    if TYPE_CHECKING:  # Django's own, which its stubs leave out
        _get_response_async: AsyncGetResponse
        _template_response_middleware: list[Callable[..., Any]]
        _exception_middleware: list[Callable[..., Any]]

    def __init__(self) -> None:
        self.load_middleware(is_async=True)

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Run the request. A response that is not a stream comes back closed already: its end (``request_finished``,
        which gives back database connections) shares the hop of the last hooks."""
        set_script_prefix(request.META["SCRIPT_NAME"])
        set_urlconf(django_settings.ROOT_URLCONF)
        try:
            response: HttpResponseBase = await self._middleware_chain(request)
        except BaseException:  # cancelled, or past Django's own handling
            await self._hop(_abandon, self, request)
            raise
        return response

    def load_middleware(self, is_async: bool = True) -> None:
        """As ``BaseHandler.load_middleware``, but for the fusing: ``run`` holds the middleware whose hooks will share
        hops, ``inner`` is the handler within them."""
        self._template_response_middleware = []
        self._exception_middleware = []
        self._hop = hop_anywhere if _hooks_are_djangos_own() else hop
        resolution = _Resolution(self)
        run: tuple[Any, ...] = (resolution,)
        inner: Any = convert_exception_to_response(self._get_response_async)
        inner_is_async = True
        for path in reversed(django_settings.MIDDLEWARE):
            middleware = import_string(path)
            can_sync = getattr(middleware, "sync_capable", True)
            can_async = getattr(middleware, "async_capable", False)
            if not can_sync and not can_async:
                raise RuntimeError(f"Middleware {path} must be sync_capable or async_capable.")
            in_async_mode = can_async and (inner_is_async or not can_sync)
            handler = self._adapt(_fuse(run, inner, self._hop), inner_is_async, in_async_mode, path)
            try:
                instance = middleware(handler)
            except MiddlewareNotUsed as unused:
                if str(unused) and django_settings.DEBUG:
                    logger.debug("MiddlewareNotUsed(%r): %s", path, unused)
                continue
            if instance is None:
                raise ImproperlyConfigured(f"Middleware factory {path} returned None.")
            self._collect_hooks(instance, resolution.hooks)
            if in_async_mode and _is_fusible(instance):
                if not inner_is_async:
                    inner, inner_is_async = handler, True
                run = (instance, *run)
            else:
                run, inner, inner_is_async = (
                    (),
                    convert_exception_to_response(instance),
                    in_async_mode,
                )
        self._view_middleware = resolution.complete()
        self._middleware_chain = _fuse(
            (_Edge(self), *run),
            self._adapt(inner, inner_is_async, True, "the chain"),
            self._hop,
        )

    def _collect_hooks(self, instance: Any, view_hooks: list[Callable[..., Any]]) -> None:
        if hasattr(instance, "process_view"):
            view_hooks.insert(0, instance.process_view)
        if hasattr(instance, "process_template_response"):
            hook = self.adapt_method_mode(True, instance.process_template_response)
            self._template_response_middleware.append(hook)
        if hasattr(instance, "process_exception"):
            # Django calls these synchronously in either mode.
            hook = self.adapt_method_mode(False, instance.process_exception)
            self._exception_middleware.append(hook)

    def resolve_request(self, request: HttpRequest) -> Any:
        """The match that the fused hop found already, or Django's own look-up."""
        resolved = request.__dict__.get(_RESOLVED)
        return super().resolve_request(request) if resolved is None else resolved.match

    def _adapt(self, handler: Any, is_async: bool, to_async: bool, name: str) -> Any:
        return self.adapt_method_mode(
            to_async, handler, is_async, debug=django_settings.DEBUG, name=f"middleware {name}"
        )


def sync_handler() -> SyncHandler:
    """The process's handler for synchronous views. Made again after any ``setting_changed``: middleware reads settings
    when it is made."""
    return _handler(SyncHandler)


def async_handler() -> AsyncHandler:
    """The process's handler for asynchronous views; see :func:`sync_handler`."""
    return _handler(AsyncHandler)


H = TypeVar("H", SyncHandler, AsyncHandler)
_handlers: dict[type[BaseHandler], Any] = {}
_making = threading.RLock()  # reentrant: importing a middleware may come back here


def _handler(kind: type[H]) -> H:
    """Made once, however many threads ask: middleware may keep state of its own."""
    handler: H | None = _handlers.get(kind)
    if handler is None:
        with _making:
            handler = _handlers.get(kind) or kind()
            _handlers[kind] = handler
    return handler


def _forget(**kwargs: Any) -> None:
    _handlers.clear()


setting_changed.connect(_forget, dispatch_uid="wsrequest.lifecycle.handler")


@dataclass(slots=True)
class _Resolved:
    """What the fused hop found out before the view: the match, and a view hook's response if one gave any."""

    match: Any
    response: HttpResponseBase | None


# Attributes of a request: how far it has come.
_RESOLVED = "_wsrequest_resolved"
_STARTED = "_wsrequest_started"
_RESPONSE = "_wsrequest_response"


class _Edge:
    """The outermost element of the chain: the signals and the end of a request, as Django's handlers have them."""

    def __init__(self, handler: BaseHandler) -> None:
        self._handler = handler

    def process_request(self, request: HttpRequest) -> None:
        _start(self._handler, request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        internals(response)._resource_closers.append(request.close)
        if response.status_code >= 400:
            log_response(
                "%s: %s",
                response.reason_phrase,
                request.path,
                response=cast("HttpResponse", response),
                request=request,
            )
        _owned(self._handler, request, response)
        if not response.streaming:
            response.close()
        return response


class _Resolution:
    """The innermost element: finds the view and calls the ``process_view`` hooks, in the hop of the request hooks."""

    def __init__(self, handler: AsyncHandler) -> None:
        self._handler = handler
        self.hooks: list[Callable[..., Any]] = []
        self._fused = False
        self.needs_thread = False

    def process_request(self, request: HttpRequest) -> None:
        if not self._fused:
            return
        match = self._handler.resolve_request(request)
        callback, args, kwargs = match
        response = None
        for hook in self.hooks:
            response = hook(request, callback, args, kwargs)
            if response:
                break
        request.__dict__[_RESOLVED] = _Resolved(match, response)

    def complete(self) -> list[Callable[..., Awaitable[HttpResponseBase | None]]]:
        """All hooks are known: what BaseHandler is to call as view middleware. Where all are synchronous, they were
        called here, and it only asks for the response."""
        self._fused = not any(iscoroutinefunction(hook) for hook in self.hooks)
        self.needs_thread = self._fused and bool(self.hooks)
        if self._fused:
            return [self._response] if self.hooks else []
        return [cast("Any", self._handler.adapt_method_mode(True, hook)) for hook in self.hooks]

    async def _response(self, request: HttpRequest, *args: Any) -> HttpResponseBase | None:
        resolved: _Resolved = request.__dict__[_RESOLVED]
        return resolved.response


def _hooks_are_djangos_own() -> bool:
    """Whether no hook leaves anything on its thread. Django's own keep what they know on the request, and in asgiref's
    Locals, which go where the message goes. Others may keep it in a ``threading.local`` or on a database connection (a
    tenant, say), and then the message must have its thread to itself from the first hook on.
    """
    receivers, async_receivers = request_started._live_receivers(None)
    return all(path.startswith("django.") for path in django_settings.MIDDLEWARE) and all(
        getattr(receiver, "__module__", "").startswith("django.")
        for receiver in (*receivers, *async_receivers)
    )


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


def _fuse(run: Sequence[Any], inner: AsyncGetResponse, hop: Callable[..., Any]) -> AsyncGetResponse:
    """A handler that runs the hooks of these elements (the outermost first) around ``inner``, in two hops at most."""
    if not run:
        return inner
    before = [getattr(element, "process_request", None) for element in run]
    after = [getattr(element, "process_response", None) for element in run]
    # The view hooks are known only when all middleware is loaded, and this handler is made before.
    resolution = run[-1] if isinstance(run[-1], _Resolution) else None
    hops_before = any(before[:-1] if resolution else before)

    async def fused(request: HttpRequest) -> HttpResponseBase:
        if hops_before or (resolution is not None and resolution.needs_thread):
            response, depth = await hop(_call_before, before, request)
        else:
            response, depth = _call_before(before, request)
        if response is None:
            response = await inner(request)
        if any(after[:depth]):
            response = await hop(_call_after, after[:depth], request, response)
        return cast("HttpResponseBase", response)

    return fused


# The two below do what nested middleware would do: an element whose ``process_request`` answered sees the response in
# its own ``process_response``, one that raised does not, and each exception becomes a response before the next
# element outward sees it.


def _call_before(
    hooks: Sequence[Hook | None], request: HttpRequest
) -> tuple[HttpResponseBase | None, int]:
    """The response, if an element gave one, and how many elements are to see the response on its way out."""
    for depth, hook in enumerate(hooks):
        if hook is None:
            continue
        try:
            response = hook(request)
        except Exception as error:  # noqa: BLE001 (as convert_exception_to_response does)
            return response_for_exception(request, error), depth
        if response:
            return response, depth + 1
    return None, len(hooks)


def _call_after(
    hooks: Sequence[Hook | None], request: HttpRequest, response: HttpResponseBase
) -> HttpResponseBase:
    for hook in reversed(hooks):
        if hook is None:
            continue
        try:
            response = hook(request, response)
        except Exception as error:  # noqa: BLE001 (as above)
            response = response_for_exception(request, error)
    return response


def _start(handler: BaseHandler, request: HttpRequest) -> None:
    set_script_prefix(request.META["SCRIPT_NAME"])
    request.__dict__[_STARTED] = True
    request_started.send(sender=type(handler), environ=request.META)


def _owned(
    handler: BaseHandler, request: HttpRequest, response: HttpResponseBase
) -> HttpResponseBase:
    """From here on, ``response.close()`` is the end of the request."""
    internals(response)._handler_class = type(handler)
    request.__dict__[_RESPONSE] = response
    return response


def _abandon(handler: BaseHandler, request: HttpRequest) -> None:
    """End a request whose response nobody will hear of: its files, its database connections. A hop can't be stopped, so
    the response may be there already, and closed."""
    response = request.__dict__.get(_RESPONSE)
    if response is None:
        request.close()
        if request.__dict__.get(_STARTED):
            request_finished.send(sender=type(handler))
    elif not response.closed:
        response.close()


def internals(thing: object) -> Any:
    """The same object, for the attributes of Django's that its type stubs leave out."""
    return thing
