"""What the answer to one request depended on, beyond its message: who may be given the same answer.

A watched request notes what is read of META, ``headers``, COOKIES, the session and the connection. Whoever has the same
values for all that was read would have been answered alike: a view that finds the same can only go on to ask the same.
So nothing may be missing here; what is noted in vain only makes answers less widely shared.

The reads of Django's own middleware that say nothing of the answer are left out, or no two browsers would ever share
one: SessionMiddleware and CsrfViewMiddleware look at their cookie in every request, CommonMiddleware at User-Agent.
What is *made* of these two cookies counts as soon as anybody else looks at it.

Reads that no Python code takes part in can't be noted: an extension that writes a ``dict`` with C functions of its own
(orjson or msgspec, given ``request.META`` itself), and ``dict.get(request.META, ...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.conf import settings as django_settings
from django.http import HttpHeaders, parse_cookie
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property
from msgspec import UNSET

from wsrequest.lifecycle.identity import identity_of
from wsrequest.lifecycle.noting import SESSIONS, Noted, NotedHeaders, note_session, was_accessed
from wsrequest.lifecycle.request import SocketRequest

if TYPE_CHECKING:
    from wsrequest.lifecycle.request import RequestFactory
    from wsrequest.lifecycle.websocket import WebSocket
    from wsrequest.protocol.codec import Codec
    from wsrequest.protocol.messages import Request


class Varies(NamedTuple):
    """What an answer depended on.

    ``meta``: keys of META, headers among them, that were read or that Vary names. ``cookies``: the names of cookies
    that were read. ``identity``: who asks; the user, the session, Authorization, the whole Cookie header, or ``Vary:
    Cookie`` with no cookie that explains it. ``alone``: the connection itself, so that nobody else is answered alike.
    """

    meta: frozenset[str] = frozenset()
    cookies: frozenset[str] = frozenset()
    identity: bool = False
    alone: bool = False


class Observed:
    """One watched request. Any thread may read the request meanwhile."""

    def __init__(self, begin: Callable[[], None] | None = None) -> None:
        """``begin`` is called when the request is made, in the context in which it is answered."""
        self._begin = begin
        self._request: SocketRequest | None = None
        self._meta: set[str] = set()
        self._cookies: set[str] = set()
        self._identity = False
        self._alone = False

    def watch(self, request: SocketRequest) -> None:
        """Note from here on what is read of the request."""
        self._request = request
        request.META = Noted(request.META, self.read_meta, self.touch_connection)
        request.__dict__[_OBSERVED] = self
        request.__class__ = _WatchedRequest
        if self._begin is not None:
            self._begin()

    def varies(self, response: HttpResponseBase) -> Varies:
        """What was read, and what the response says of itself. The request is held no longer."""
        self._identity |= self._knows_who()
        self._request = None
        identity = self._identity
        meta, cookies, alone = set(self._meta), frozenset(self._cookies), self._alone
        for key in _keys_of(response.headers.get("Vary", "")):
            if key == "HTTP_COOKIE":
                # LocaleMiddleware reads its cookie in every request, and says so by no Vary of this name.
                if not (identity or cookies - {django_settings.LANGUAGE_COOKIE_NAME}):
                    meta.add("HTTP_COOKIE")
            elif key == "HTTP_AUTHORIZATION":
                identity = True
            elif key == "HTTP_*":
                alone = True
            elif key not in _FIXED:
                meta.add(key)
        return Varies(frozenset(meta), cookies, identity, alone)

    def _knows_who(self) -> bool:
        request = self._request
        if request is None:  # the message could not become one, or it was asked before
            return False
        session = request.__dict__.get("session")
        # It may have been read by its middleware alone, to be saved again.
        return was_accessed(session) or identity_of(request) is not UNSET

    # Called by what stands in for parts of the request.

    def read_meta(self, key: str, module: str | None) -> None:
        """A key of META was read, or asked for, by code in this module."""
        if key in _FIXED:
            return
        if key == "HTTP_AUTHORIZATION":
            self._identity = True
        elif key in _MADE_OF_CSRF_COOKIE:
            # Its middleware asks after every view whether anybody wanted the token.
            if key == "CSRF_COOKIE" or module != _CSRF:
                self._identity = True  # the session may have it
                self._cookies.add(django_settings.CSRF_COOKIE_NAME)
        elif key in _OF_ONE_CONNECTION:
            self._alone = True
        elif not (
            key == "HTTP_USER_AGENT"
            and module == "django.middleware.common"
            and not django_settings.DISALLOWED_USER_AGENTS
        ):
            self._meta.add(key)

    def read_cookie(self, name: str, module: str | None) -> None:
        """A cookie was read, or asked for, by code in this module."""
        if module == SESSIONS:
            own = django_settings.SESSION_COOKIE_NAME
        elif module == _CSRF:
            own = django_settings.CSRF_COOKIE_NAME
        else:
            own = None
        if name != own:
            self._cookies.add(name)

    def touch_identity(self) -> None:
        """Something was read that tells who asks."""
        self._identity = True

    def touch_cookies(self) -> None:
        """All cookies were read."""
        self._meta.add("HTTP_COOKIE")

    def touch_connection(self) -> None:
        """Something was read that no other connection has."""
        self._alone = True


@lru_cache(maxsize=64)
def _keys_of(vary: str) -> tuple[str, ...]:
    """The keys of META that a Vary names."""
    names = (name.strip() for name in vary.split(","))
    return tuple(HttpHeaders.to_wsgi_name(name) for name in names if name)


class Asked(Protocol):
    """What has to be known of a :class:`~wsrequest.lifecycle.call.Call`."""

    factory: RequestFactory
    message: Request
    cookie: str
    trusted: bool
    codec: Codec


def likeness(varies: Varies, call: Asked) -> Hashable:
    """What two calls have to have in common so that one answer does for both, where the answer to one of them depended
    on this."""
    message, factory = call.message, call.factory
    headers = message.headers or {}
    own = ("authorization", "traceparent", "tracestate")
    known = factory.facts
    key: list[Hashable] = [
        varies,
        message.url,
        message.method,
        type(message).__name__,
        message.encoding,
        UNSET if message.data is UNSET else bytes(message.data),
        tuple(sorted(item for item in headers.items() if item[0] not in own)),
        tuple(_fact(known, name, factory) for name in _HOST),
        tuple(_fact(known, name, factory) for name in sorted(varies.meta - {"HTTP_COOKIE"})),
        call.trusted,
        call.codec.name,
    ]
    if not _TRACE.isdisjoint(varies.meta):
        key.append((headers.get("traceparent"), headers.get("tracestate")))
    cookie = call.cookie or known.get("HTTP_COOKIE", "")
    if "HTTP_COOKIE" in varies.meta:
        key.append(cookie)
    if varies.cookies or varies.identity:
        sent = parse_cookie(cookie)
        key.append(tuple(sent.get(name) for name in sorted(varies.cookies)))
        if varies.identity:
            # Whatever else a middleware goes by to find the user, or the session, it has read by its name.
            authorization = headers.get("authorization", known.get("HTTP_AUTHORIZATION"))
            session = sent.get(django_settings.SESSION_COOKIE_NAME)
            key.append((session, message.token, authorization))
    if varies.alone:
        key.append(factory.connection_id or factory)
    return tuple(key)


def _fact(known: Mapping[str, Any], name: str, factory: Hashable) -> Hashable:
    """A value of META as part of a key. What is equal may still be of another type, and be shown differently."""
    value = known.get(name)
    try:
        hash(value)
    except TypeError:
        return factory
    return (type(value), value)


_OBSERVED = "_wsrequest_observed"
_CSRF = "django.middleware.csrf"

#: What is compared for every request: where it came to.
_HOST = (
    "HTTP_HOST",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.url_scheme",
)
#: These, and what says the message, or is a constant.
_FIXED = frozenset(_HOST) | {
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "wsgi.multiprocess",
    "wsgi.multithread",
}
_MADE_OF_CSRF_COOKIE = frozenset({"CSRF_COOKIE", "CSRF_COOKIE_NEEDS_UPDATE"})
_OF_ONE_CONNECTION = frozenset({"REMOTE_PORT", "wsrequest.connection"})
_TRACE = frozenset({"HTTP_TRACEPARENT", "HTTP_TRACESTATE"})


class _WatchedRequest(SocketRequest):
    """A request of which it is noted what is read. (``scope`` is made of all of META, and so is a read of it.)"""

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]
        observed: Observed = self.__dict__[_OBSERVED]
        cookies = parse_cookie(dict.get(self.META, "HTTP_COOKIE", ""))
        return Noted(cookies, observed.read_cookie, observed.touch_cookies)

    @cached_property
    def headers(self) -> HttpHeaders:
        observed: Observed = self.__dict__[_OBSERVED]
        meta = dict(dict.items(self.META))
        return NotedHeaders(meta, observed.read_meta, observed.touch_connection)

    @property
    def websocket(self) -> WebSocket:  # type: ignore[override]
        self.__dict__[_OBSERVED].touch_connection()
        try:
            websocket: WebSocket = self.__dict__["websocket"]
        except KeyError:
            raise AttributeError("websocket") from None
        return websocket

    @property
    def session(self) -> Any:
        try:
            return self.__dict__["session"]
        except KeyError:
            raise AttributeError("session") from None

    @session.setter
    def session(self, session: Any) -> None:
        observed: Observed = self.__dict__[_OBSERVED]
        self.__dict__["session"] = session
        note_session(session, observed.touch_identity)

    @session.deleter
    def session(self) -> None:
        try:
            del self.__dict__["session"]
        except KeyError:
            raise AttributeError("session") from None
