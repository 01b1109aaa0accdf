"""Requests with a ``key``: run once, however often they are sent, and answered alike each time.

Django's cache holds two entries for a key: a marker, from before the view runs, and the answer, from after. Who makes
the marker runs the view; anybody else waits for the answer. The marker comes at the innermost ``process_view``, outside
of ATOMIC_REQUESTS, where the middleware has said who the user is; the answer is kept at the very end, as the client
gets it. A process that dies in between leaves the marker, and nothing runs twice.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from math import ceil
from types import TracebackType
from typing import Any, Literal, TypeVar

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import KeyBusy, KeyReused, WSRequestError
from wsrequest.lifecycle.hop import hop_anywhere
from wsrequest.lifecycle.identity import Identity
from wsrequest.lifecycle.kept import KeptAnswer, keep, read
from wsrequest.lifecycle.scope import credentials_of, fingerprint_of, scope_of, user_scope
from wsrequest.protocol.messages import SAFE_METHODS, Request

T = TypeVar("T")

#: Runs a synchronous function on the message's thread, or on any.
Hop = Callable[..., Awaitable[Any]]

#: Seconds between two looks at the cache, while another process runs the request: they grow.
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.02, 1.5, 0.5

#: Threads that may wait at the same time for an answer; one more repeat is answered 409 at once.
MOST_WAITING = 64

#: Refusals for who somebody is, or for the moment: nothing was done, and the same request may fare better later.
NOT_KEPT = frozenset({401, 403, 408, 425, 429})

_ATTRIBUTE = "_wsrequest_once"

# Of each key, the one request of this process that deals with the cache; others wait for it.
_leaders: dict[str, Once] = {}
_leaders_lock = threading.Lock()
_places = threading.BoundedSemaphore(MOST_WAITING)


def once_for(message: Request, cookie: str, connection: str | None = None) -> Once | None:
    """What a message with a key needs; None for any other. ``cookie`` is the handshake's Cookie header."""
    if message.key is None or message.method in SAFE_METHODS:
        return None
    return Once(message, cookie, connection)


def once_of(request: HttpRequest) -> Once | None:
    """The request's own, where it has a key."""
    once: Once | None = request.__dict__.get(_ATTRIBUTE)
    return once


def early_answer(
    request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HttpResponse | None:
    """The innermost ``process_view`` of a synchronous chain."""
    once = request.__dict__.get(_ATTRIBUTE)
    return None if once is None else once.enter(request, view, args, kwargs)


async def off_loop(function: Callable[..., T], *args: Any) -> T:
    """Settle or free a request on a thread, also when those of the pool have ended."""
    try:
        return await hop_anywhere(function, *args)
    except RuntimeError:
        return await asyncio.to_thread(function, *args)


class Once:
    """One request with a key, from its arrival to its end.

    :meth:`enter` or :meth:`aenter` before the view, :meth:`settle` with its response; :meth:`free` wherever there is
    none.
    """

    def __init__(self, message: Request, cookie: str, connection: str | None) -> None:
        settings = get_settings()
        self._connection = connection
        #: Called before a thread waits, so that it takes nobody's place meanwhile.
        self.stand_aside: Callable[[], None] | None = None
        #: Whether the view was reached.
        self.entered = False
        self._message = message
        self._cookie = cookie
        self._alias = settings.idempotency_cache
        self._ttl = settings.idempotency_ttl
        timeouts = (settings.request_timeout, message.timeout and message.timeout / 1000)
        # At its timeout the request is answered 504: a second later nobody waits for what is found here.
        waits = [timeout + 1 for timeout in timeouts if timeout is not None]
        self._patience = min([settings.idempotency_wait, *waits])
        self._deadline = 0.0
        self._pause = FIRST_PAUSE
        self._name = ""
        self._mark = ""
        self._leader = self
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._claimed: float | None = None
        self._kept = False
        self._over = False
        self._answer: KeptAnswer | None = None
        self._error: WSRequestError | None = None
        # A hop that was given up may still be running when the request is freed.
        self._lock = threading.Lock()

    def attach(self, request: HttpRequest) -> None:
        """This is the request of the message."""
        request.__dict__[_ATTRIBUTE] = self

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self.free()
        return False

    # Before the view.

    def enter(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """What is to be answered instead of calling the view; None where this request is the first with its key."""
        if not self._begin(request, view, args, kwargs):
            if not _places.acquire(blocking=False):
                self._error = KeyBusy()
                return self._early()
            try:
                if self.stand_aside is not None:
                    self.stand_aside()
                while True:
                    concurrent.futures.wait((self._leader._done,), self._next_pause())
                    if self._look():
                        break
            finally:
                _places.release()
        return self._early()

    async def aenter(
        self,
        hop: Hop,
        request: HttpRequest,
        view: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """The same on an event loop."""
        self.entered = True
        found = await hop(self._begin, request, view, args, kwargs)
        while not found:
            pause = self._next_pause()
            if self._leader is self:
                await asyncio.sleep(pause)
            else:
                await asyncio.wait((asyncio.wrap_future(self._leader._done),), timeout=pause)
            found = await hop(self._look)
        return self._early()

    def _begin(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool:
        self.entered = True
        self._deadline = time.monotonic() + self._patience
        self._name = self._named(request, scope_of(request, view, args, kwargs, self._cookie))
        self._mark = f"{secrets.token_hex(8)} {fingerprint_of(request, self._message)}"
        return self._look()

    def _named(self, request: HttpRequest, scope: str) -> str:
        """The marker's name in the cache. Domains may be tenants, each with users of its own."""
        domain, _ = split_domain_port(request.get_host())
        parts = (domain, scope, credentials_of(self._message), str(self._message.key))
        return f"wsrequest.key.{sha256(repr(parts).encode()).hexdigest()}"

    def _look(self) -> bool:
        """Whether the wait is over: the key is ours, or it is known what to answer."""
        with self._lock:
            if self._over:
                return True
            with _leaders_lock:
                self._leader = _leaders.setdefault(self._name, self)
            cache = caches[self._alias]
            if self._leader is self and cache.add(self._name, self._mark, self._ttl):
                self._claimed = time.monotonic()
                return True
            found = cache.get_many((self._name, _answer_name(self._name)))
            mark = found.get(self._name)
            if mark is not None and mark.split()[1] != self._mark.split()[1]:
                self._error = KeyReused()
            elif mark is not None:
                self._answer = read(found.get(_answer_name(self._name)), mark)
            if self._answer is None and self._error is None:
                if time.monotonic() < self._deadline:
                    return False
                self._error = KeyBusy()
            self._step_down()
            return True

    def _next_pause(self) -> float:
        left = max(0.0, self._deadline - time.monotonic())
        if self._leader is not self:
            return left
        self._pause, pause = min(self._pause * PAUSE_GROWTH, LONGEST_PAUSE), self._pause
        return min(pause, left)

    def _early(self) -> HttpResponse | None:
        if self._answer is not None:
            return self._answer.response()
        if self._error is not None:
            response = JsonResponse(self._error.as_data(), status=self._error.status)
            if self._error.retry_after is not None:
                response.headers["Retry-After"] = str(self._error.retry_after)
            return response
        return None

    # After it.

    def settle(
        self, request: HttpRequest, response: HttpResponseBase, identity: Identity
    ) -> tuple[HttpResponseBase, Identity]:
        """What is to be sent for the response that came out of the middleware, and whose it is.

        The first request's answer is kept for its repeats; a repeat gets that one, and nothing that the middleware has
        made of it meanwhile.
        """
        early = self._early()
        if early is not None:
            return early, identity if self._answer is None else self._answer.identity
        with self._lock:
            if self._claimed is not None and not self._over and _may_be_kept(response):
                self._kept = True  # if not as an answer, so as a marker: the view has done its work
                try:
                    self._keep(request, response, identity)
                except Exception:  # noqa: BLE001 (logged)
                    log.key_failed(self._connection, self._message, "its answer could not be kept")
        self.free()
        return response, identity

    def _left(self) -> int:
        """Seconds, rounded up, for which the marker is still ours: after them it may be another's."""
        assert self._claimed is not None
        return ceil(self._ttl - (time.monotonic() - self._claimed))

    def _keep(self, request: HttpRequest, response: Any, identity: Identity) -> None:
        left = self._left()
        if left < 1:
            return
        cache, answer = caches[self._alias], keep(response, self._mark, identity)
        cache.set(_answer_name(self._name), answer, left)
        # Who was nobody and logged in with this very request will repeat it as a user, on this connection.
        scope = user_scope(request.__dict__.get("user"))
        other = self._name if scope is None else self._named(request, scope)
        if other != self._name and cache.add(other, self._mark, left):
            cache.set(_answer_name(other), answer, left)

    def free(self) -> None:
        """There is no answer to keep, or it is kept: give the key back, or let others look. May be called again."""
        with self._lock:
            if self._over:
                return
            self._over = True
            try:
                if self._claimed is not None and not self._kept and self._left() > 0:
                    caches[self._alias].delete(self._name)
            except Exception:  # noqa: BLE001 (logged)
                log.key_failed(self._connection, self._message, "its key could not be given back")
            finally:
                self._step_down()

    def _step_down(self) -> None:
        """Others in this process may look for themselves."""
        with _leaders_lock:
            if _leaders.get(self._name) is self:
                del _leaders[self._name]
        if not self._done.done():
            self._done.set_result(None)


def _answer_name(name: str) -> str:
    return f"{name}.answer"


def _may_be_kept(response: HttpResponseBase) -> bool:
    status = response.status_code
    return not response.streaming and status < 500 and status not in NOT_KEPT
