"""Django's middleware chain, once for synchronous views and once for asynchronous ones.

Each handler is made once and runs one request whole: :class:`SyncHandler` in the calling thread (one hop of the
caller), :class:`AsyncHandler` on the loop, with the synchronous hooks on a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished, request_started, setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix, set_urlconf
from django.utils.log import log_response

from wsrequest.lifecycle.chain import AsyncGetResponse, FusingHandler, GetResponse, Hook, Hooks
from wsrequest.lifecycle.hop import hop, hop_anywhere
from wsrequest.lifecycle.once import early_answer, once_of


class SyncHandler(FusingHandler):
    """The chain for synchronous views. (An async view works too, by Django's ``async_to_sync``.)"""

    def __init__(self) -> None:
        self._view_middleware = [
            *(cast("Any", self.adapt_method_mode(False, hook)) for hook in self.load()),
            early_answer,
        ]

    def fuse(self, run: Sequence[Any], inner: GetResponse) -> GetResponse:
        if not run:
            return inner
        hooks = Hooks(run)

        def fused(request: HttpRequest) -> HttpResponseBase:
            response, elements = hooks.call_before(request)
            if response is None:
                response = inner(request)
            return hooks.call_after(request, response, elements)

        return fused

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Run the request, from ``request_started`` on; the caller closes the response, which ends the request."""
        _start(self, request)
        try:
            response = self.get_response(request)
        except BaseException:  # DEBUG_PROPAGATE_EXCEPTIONS, or sys.exit() in a view
            _abandon(self, request)
            raise
        return _owned(self, request, response)


class AsyncHandler(FusingHandler):
    """The chain for asynchronous views. Where ``MiddlewareMixin`` would hop to a thread for each hook of each
    middleware (16 hops for the default seven), hooks that follow one another share one."""

    is_async = True

    def __init__(self) -> None:
        self._hop = hop_anywhere if _hooks_are_djangos_own() else hop
        resolution = _Resolution(self)
        hooks = self.load((resolution,), (_Edge(self),))
        self._view_middleware = [*resolution.complete(hooks), self._early_answer]

    def fuse(self, run: Sequence[Any], inner: AsyncGetResponse) -> AsyncGetResponse:
        if not run:
            return inner
        hop, hooks = self._hop, Hooks(run)
        # The view hooks are known only when all middleware is loaded, and this handler is made before.
        resolution = run[-1] if isinstance(run[-1], _Resolution) else None
        hops_before = len(hooks.before) > (resolution is not None)

        async def fused(request: HttpRequest) -> HttpResponseBase:
            if hops_before or (resolution is not None and resolution.needs_thread):
                response, elements = await hop(hooks.call_before, request)
            else:
                response, elements = hooks.call_before(request)
            if response is None:
                response = await inner(request)
            if any(depth < elements for depth, _ in hooks.after):
                response = await hop(hooks.call_after, request, response, elements)
            return response

        return fused

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

    async def _early_answer(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """The innermost ``process_view``."""
        once = once_of(request)
        return None if once is None else await once.aenter(self._hop, request, view, args, kwargs)

    def resolve_request(self, request: HttpRequest) -> Any:
        """The match that the fused hop found already, or Django's own look-up."""
        resolved = request.__dict__.get(_RESOLVED)
        return super().resolve_request(request) if resolved is None else resolved.match


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
        self.hooks: list[Hook] = []
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

    def complete(self, hooks: list[Hook]) -> list[Any]:
        """All hooks are known: what BaseHandler is to call as view middleware. Where all are synchronous, they were
        called here, and it only asks for the response."""
        self.hooks = hooks
        self._fused = not any(iscoroutinefunction(hook) for hook in self.hooks)
        self.needs_thread = self._fused and bool(self.hooks)
        if self._fused:
            return [self._response] if self.hooks else []
        return [self._handler.adapt_method_mode(True, hook) for hook in self.hooks]

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


def response_of(request: HttpRequest) -> HttpResponseBase | None:
    """What the whole chain has answered; None where it has not yet."""
    return request.__dict__.get(_RESPONSE)


def _abandon(handler: BaseHandler, request: HttpRequest) -> None:
    """End a request whose response nobody will hear of: its files, its database connections. A hop can't be stopped, so
    the response may be there already, and closed."""
    response = response_of(request)
    if response is None:
        request.close()
        if request.__dict__.get(_STARTED):
            request_finished.send(sender=type(handler))
    elif not response.closed:
        response.close()


def internals(thing: object) -> Any:
    """The same object, for the attributes of Django's that its type stubs leave out."""
    return thing
