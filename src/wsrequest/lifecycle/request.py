"""Handshake + message -> ``HttpRequest``, as Django's own ASGI and WSGI handlers would have built it.

:class:`RequestFactory` is made once per connection and keeps what all its requests share; each message then costs a
copy of META. (``django.test``'s class of that name is for tests: it goes through a fake environ and a client's body
encoding.)
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from django.conf import settings as django_settings
from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict
from django.utils.encoding import repercent_broken_unicode
from django.utils.functional import cached_property
from msgspec import UNSET, UnsetType

from wsrequest.lifecycle.trust import CONNECTION_HEADERS, connection_only_headers, remote_user_keys
from wsrequest.protocol.body import payload
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.messages import Request
from wsrequest.protocol.tokens import without_tokens

if TYPE_CHECKING:
    from wsrequest.conf import Settings
    from wsrequest.lifecycle.websocket import WebSocket


class SocketRequest(ASGIRequest):
    """The ``HttpRequest`` of a message. An ASGIRequest, so that ``isinstance`` checks and ``request.scope`` hold;
    ``request.environ`` is there too, for code that was written for WSGI."""

    #: The connection by which the request came. A request over HTTP has no such attribute.
    websocket: WebSocket
    #: A view that answers instead of the one that the URLconf names.
    own_view: Callable[[HttpRequest], Any] | None = None

    #: By which the view of a SUBSCRIBE can name its topic; other requests have no such attribute.
    _wsrequest_subscription: Any

    #: CsrfViewMiddleware and REST framework leave alone a request that bears this.
    _dont_enforce_csrf_checks: bool

    if TYPE_CHECKING:  # Django's own, which its stubs leave out
        _encoding: str | None

        def _set_content_type_params(self, meta: dict[str, Any]) -> None: ...

    def __init__(
        self, factory: RequestFactory, meta: dict[str, Any], path: str, path_info: str, body: bytes
    ) -> None:
        # Not ASGIRequest.__init__: it would parse the same handshake headers again for each message.
        self._factory = factory
        if factory.websocket is not None:
            self.websocket = factory.websocket
        self.META = meta
        self.method = meta["REQUEST_METHOD"]
        self.path = path
        self.path_info = path_info
        self.script_name = meta["SCRIPT_NAME"]
        self.resolver_match = None
        self._post_parse_error = False
        self._read_started = False
        self._stream = BytesIO(body)
        if "CONTENT_TYPE" in meta:
            try:
                self._set_content_type_params(meta)
            except ValueError as error:  # a parameter in an unknown charset; Django 6.1 makes it a BadRequest itself
                raise BadRequest("Invalid content type.") from error
        else:
            self.content_type, self.content_params = "", {}

    @property
    def environ(self) -> dict[str, Any]:
        return self.META

    def get_host(self) -> str:
        # A fact of the connection, checked when that was opened; checked again only where a middleware changed it.
        host = self._factory.host
        if host is not None and self._factory.has_host_of(self.META):
            return host
        return super().get_host()

    @cached_property
    def scope(self) -> dict[str, Any]:  # type: ignore[override]
        """The ASGI scope that this request would have had over HTTP, with the handshake as ``websocket``."""
        return self._factory.scope(self)

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]
        # As WSGIRequest: raw non-ASCII in a query is UTF-8, or what ``request.encoding`` says.
        return QueryDict(self.META["QUERY_STRING"].encode("latin-1"), encoding=self._encoding)

    def _get_scheme(self) -> str:
        scheme: str = self.META["wsgi.url_scheme"]
        return scheme


class RequestFactory:
    """Makes the requests of one connection."""

    __slots__ = (
        "_added",
        "_known",
        "_prefix",
        "_settings",
        "_token",
        "handshake",
        "host",
        "websocket",
    )

    def __init__(
        self,
        handshake: Handshake,
        settings: Settings,
        *,
        meta: Mapping[str, Any] | None = None,
        websocket: WebSocket | None = None,
    ) -> None:
        """``meta`` is added to every request's META, where neither handshake nor message says otherwise;
        ``websocket`` becomes every request's attribute of this name."""
        self.handshake = handshake
        self.websocket = websocket
        self._settings = settings
        self._added = meta
        # The token in place of the handshake's Authorization; None for no Authorization at all.
        self._token: str | UnsetType | None = UNSET
        self._known: dict[str, Any] | None = None
        self._prefix = self._meta["SCRIPT_NAME"].rstrip("/")
        #: The Host that Django found to be allowed; None until it was asked.
        self.host: str | None = None

    def build(
        self,
        message: Request,
        cookie: str,
        *,
        trusted: bool,
        parts: tuple[str, str, str] | None = None,
    ) -> SocketRequest:
        """The request of a checked message; ``cookie`` is the Cookie header.

        ``trusted``: CSRF need not be checked again, since the Origin of the handshake was verified. ``parts``: what
        :meth:`split` says of its url, where that is known.
        Raises :class:`~wsrequest.errors.InvalidField` for ``data`` that can't be sent, and what Django's own
        constructors raise (``BadRequest``).
        """
        url, method = message.url, message.method
        assert url is not None and method is not None
        path, path_info, query = parts or self.split(url)
        added, body, content_type = payload(message)
        if added:
            query = f"{query}&{added}" if query else added
        meta = self._meta.copy()
        meta["REQUEST_METHOD"] = method
        meta["PATH_INFO"] = path_info
        meta["QUERY_STRING"] = query if query.isascii() else _latin1(query)
        if cookie:
            meta["HTTP_COOKIE"] = cookie
        if message.headers:
            for name, value in message.headers.items():
                meta[_meta_key(name)] = value if value.isascii() else _latin1(value)
            if "traceparent" in message.headers and "tracestate" not in message.headers:
                meta.pop("HTTP_TRACESTATE", None)  # the handshake's, and so about another trace
        if content_type is not None:
            meta["CONTENT_TYPE"] = content_type
        if body is not None:
            meta["CONTENT_LENGTH"] = str(len(body))
        if message.token is not None:
            meta["HTTP_AUTHORIZATION"] = self._authorization(message.token)
        request = SocketRequest(self, meta, path, path_info, body or b"")
        if trusted:
            request._dont_enforce_csrf_checks = True
        return request

    def authorized(self, token: str | None) -> RequestFactory:
        """The same factory, for requests that bear this token as their Authorization, or None at all."""
        other = copy.copy(self)
        other._token = token
        other._known = None
        return other

    def idle(self) -> None:
        """Forget what can be made again: most connections are silent for most of the time."""
        self._known = None

    @property
    def connection_id(self) -> str | None:
        """The id of the connection; None where a message came by none."""
        return None if self.websocket is None else self.websocket.id

    @property
    def authorization(self) -> str | None:
        """The Authorization header of requests whose message says nothing of it."""
        return self._meta.get("HTTP_AUTHORIZATION")

    def _authorization(self, token: str) -> str:
        value = f"{self._settings.token_scheme} {token}"
        return value if value.isascii() else _latin1(value)

    def opening(self, cookie: str = "") -> SocketRequest:
        """The handshake itself as a GET, with all its headers; a token stands nowhere but in Authorization."""
        handshake = self.handshake
        request = self.build(Request(url=quote(handshake.path), method="GET"), cookie, trusted=True)
        request.META["QUERY_STRING"] = handshake.query_string.decode("latin-1")
        for name_bytes, value in handshake.headers:
            name = name_bytes.decode("latin-1").lower()
            if "_" in name or name in ("cookie", "authorization"):  # these were judged
                continue
            text = value.decode("latin-1")
            if name == "sec-websocket-protocol":
                text = without_tokens(text)
            request.META.setdefault(_meta_key(name), text)
        return request

    @property
    def facts(self) -> Mapping[str, Any]:
        """What META of each of its requests begins with, before the message has its say. To be read only."""
        return self._meta

    @property
    def likeness(self) -> frozenset[tuple[str, Any]]:
        """What its requests have in common that an answer can depend on. Ports and ids of connections are not part of
        it, though a view could look at them."""
        return frozenset(item for item in self._meta.items() if item[0] not in _OF_ONE_CONNECTION)

    def has_host_of(self, meta: Mapping[str, Any]) -> bool:
        """Whether the connection's own headers say the host in this META."""
        own = self._meta
        return (
            meta.get("HTTP_HOST") is own.get("HTTP_HOST")
            and meta.get("HTTP_X_FORWARDED_HOST") is own.get("HTTP_X_FORWARDED_HOST")
            and meta["SERVER_NAME"] is own["SERVER_NAME"]
        )

    def scope(self, request: SocketRequest) -> dict[str, Any]:
        handshake, meta = self.handshake, request.META
        headers = [
            (key[5:].replace("_", "-").lower().encode(), str(value).encode("latin-1"))
            for key, value in meta.items()
            if key.startswith("HTTP_")
        ]
        for key, header in (
            ("CONTENT_TYPE", b"content-type"),
            ("CONTENT_LENGTH", b"content-length"),
        ):
            if key in meta:
                headers.append((header, str(meta[key]).encode("latin-1")))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": handshake.http_version,
            "method": request.method,
            "scheme": meta["wsgi.url_scheme"],
            "path": request.path,
            "query_string": meta["QUERY_STRING"].encode("latin-1"),
            "root_path": meta["SCRIPT_NAME"],
            "headers": headers,
            "client": handshake.client,
            "server": handshake.server,
            "websocket": handshake,
        }

    @property
    def _meta(self) -> dict[str, Any]:
        """What META of each request begins with."""
        meta = self._known
        if meta is None:
            meta = self._known = self._made_meta()
            if self._token is not UNSET:
                meta.pop("HTTP_AUTHORIZATION", None)
            if isinstance(self._token, str):
                meta["HTTP_AUTHORIZATION"] = self._authorization(self._token)
        return meta

    def _made_meta(self) -> dict[str, Any]:
        handshake = self.handshake
        meta: dict[str, Any] = {
            "SERVER_NAME": "unknown",
            "SERVER_PORT": "0",
            "wsgi.url_scheme": "https" if handshake.secure else "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
        }
        if handshake.client:
            meta["REMOTE_ADDR"] = meta["REMOTE_HOST"] = handshake.client[0]
            meta["REMOTE_PORT"] = handshake.client[1]
        if handshake.server:
            meta["SERVER_NAME"], meta["SERVER_PORT"] = (
                handshake.server[0],
                _port(handshake.server[1]),
            )
        kept = CONNECTION_HEADERS | connection_only_headers(self._settings.handshake_headers)
        for name_bytes, value_bytes in handshake.headers:
            name = name_bytes.decode("latin-1").lower()
            if (
                "_" in name
                or name == "cookie"
                or not (name in kept or name.startswith("x-forwarded-"))
            ):
                continue
            key, value = _meta_key(name), _header_value(name, value_bytes)
            meta[key] = f"{meta[key]},{value}" if key in meta else value
        if self.websocket is not None:
            meta["wsrequest.connection"] = self.websocket.id
        meta.update(self._added or {})
        # RemoteUserMiddleware looks for META[header] in its synchronous mode, and for META["HTTP_" + header] in its
        # asynchronous one. Under ASGI only the latter can be there; the chain that we choose must not decide who the
        # user is.
        for key in remote_user_keys():
            if f"HTTP_{key}" in meta:
                meta.setdefault(key, meta[f"HTTP_{key}"])
        forced = django_settings.FORCE_SCRIPT_NAME
        meta["SCRIPT_NAME"] = (
            forced if forced is not None else meta.get("SCRIPT_NAME") or handshake.root_path
        )
        return meta

    def split(self, url: str) -> tuple[str, str, str]:
        """``path`` (with the script prefix), ``path_info`` (without) and the query string as it was written.

        A url is what ``reverse()`` gives, with the prefix; one without it is taken as it is. A fragment is dropped, as
        browsers do.
        """
        path, _, query = url.partition("#")[0].partition("?")
        path, prefix = _decoded(path), self._prefix
        if not prefix:
            return path if path[:1] == "/" else f"/{path.replace('/', '', 1)}", path or "/", query
        if path == prefix or path.startswith(f"{prefix}/"):
            return path, path[len(prefix) :] or "/", query
        return f"{prefix}/{path.replace('/', '', 1)}", path or "/", query


_OF_ONE_CONNECTION = {"REMOTE_PORT", "wsrequest.connection"}


def _decoded(path: str) -> str:
    """Percent-decoded exactly once; bytes that are not UTF-8 stay percent-encoded, as in WSGI's get_path_info."""
    if "%" not in path and path.isascii():
        return path
    return repercent_broken_unicode(unquote_to_bytes(path)).decode()


def _latin1(text: str) -> str:
    """UTF-8 bytes read as latin-1, which is how META holds what is not ASCII (PEP 3333)."""
    return text.encode().decode("latin-1")


def _meta_key(name: str) -> str:
    return _META_KEYS.get(name) or f"HTTP_{name.upper().replace('-', '_')}"


def _header_value(name: str, value: bytes) -> str:
    """The value as text; for what many clients say alike, one string for all of them."""
    if name in _SAID_ALIKE and len(value) <= _SHORT:
        return _shared(value)
    return value.decode("latin-1")


#: None of these is a secret, which must not be kept for longer than its connection.
_SAID_ALIKE = frozenset({"accept-language", "host", "origin", "user-agent"})
_SHORT = 256


@functools.lru_cache(maxsize=256)
def _shared(value: bytes) -> str:
    return value.decode("latin-1")


_port = functools.lru_cache(maxsize=16)(str)

#: One string for each, however many connections bear it.
_META_KEYS = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in CONNECTION_HEADERS}
_META_KEYS["content-type"] = "CONTENT_TYPE"
