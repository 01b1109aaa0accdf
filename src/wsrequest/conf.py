"""The ``WSREQUEST`` setting, read in this one place and frozen.

>>> WSREQUEST = {"PATH": "/ws/", "TOKEN_SCHEME": "Bearer"}

:func:`get_settings` gives the values in force; they are read again after ``setting_changed`` (that is, inside
``override_settings``). A wrong key or value is reported by ``manage.py check`` (see :mod:`wsrequest.checks`).
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from wsrequest.errors import ConfigurationError

#: Response headers that mean nothing on a socket: about the HTTP message itself, or about how a browser is to treat a
#: document that it loaded from there.
OMIT_RESPONSE_HEADERS = (
    "alt-svc",
    "connection",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "keep-alive",
    "permissions-policy",
    "referrer-policy",
    "server",
    "strict-transport-security",
    "transfer-encoding",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force, in lower case. Times are seconds, sizes bytes, None is no limit."""

    #: Where ``get_asgi_application()`` answers WebSockets, without the script prefix.
    path: str = "/ws/"
    #: ``token`` becomes ``Authorization: <scheme> <token>``.
    token_scheme: str = "JWT"  # noqa: S105
    #: Threads for synchronous views in this process, which therefore never use more database connections.
    workers: int = min(32, (os.cpu_count() or 1) + 4)
    #: One frame; past it the answer is 413.
    max_message_bytes: int | None = 1024 * 1024
    #: Nesting of a message, the message itself being 1.
    max_depth: int | None = 64
    #: Keys in one object.
    max_keys: int | None = 10_000
    #: Requests that run at once on one connection...
    max_in_flight: int = 32
    #: ... and that wait there; past both the socket is not read.
    max_queued: int = 128
    #: Seconds after which a request is answered 504; a message's ``timeout`` can only shorten it.
    request_timeout: float | None = None
    #: Messages of one connection: so many at once, and so many a second after that; then 429.
    message_burst: int = 2_000
    messages_per_second: float | None = 1_000
    #: Bytes that wait to be sent to one connection; past it no request is started, and streams pause.
    max_outbox_bytes: int = 1024 * 1024
    #: Connections in this process; one more is refused with 503 (or closed with 4101).
    max_connections: int | None = 10_000
    #: ... of one user: past it the newest is closed (4101) ...
    max_connections_per_user: int | None = 100
    #: ... and of one network address: one more is refused as above.
    max_connections_per_address: int | None = 1_000
    #: A connection without a user for so long is closed (4011).
    idle_anonymous_timeout: float | None = None
    #: Dotted path to a callable that is asked, as a view, whether a connection may be opened.
    handshake: str | None = None
    #: Seconds that this may take.
    handshake_timeout: float | None = 10
    #: Seconds before a token's expiry at which the client is told.
    expiring_notice: float = 60
    #: Seconds that requests under way have when the server shuts down.
    grace_time: float = 20
    #: Whole seconds for which the answer to a request with a ``key`` is kept...
    idempotency_ttl: int = 600
    #: ... and in which of CACHES.
    idempotency_cache: str = "default"
    #: Seconds for which a repeat waits for the answer to the first request; then 409.
    idempotency_wait: float = 30
    #: Announced in ``hello``; a client that negotiated a subprotocol and is silent for two is closed (4201).
    ping_interval: float | None = 20
    #: Dotted path to what is told the figures: a class with the methods of ``wsrequest.metrics.Metrics``, or an object.
    metrics: str | None = None
    #: Names (lower case) of response headers that don't go on the wire.
    omit_response_headers: tuple[str, ...] = OMIT_RESPONSE_HEADERS
    #: Further handshake headers (set by your proxy, say) that every request of the connection bears, and that no
    #: message may set.
    handshake_headers: tuple[str, ...] = ()


#: The keys of ``WSREQUEST``.
NAMES = tuple(field.name.upper() for field in fields(Settings))

_STRINGS = {"path", "token_scheme", "idempotency_cache"}
_DOTTED_PATHS = {"handshake": ("__call__",), "metrics": ("count", "gauge", "gauge_add", "observe")}
_HEADER_NAMES = {"omit_response_headers", "handshake_headers"}
_FLOATS = {
    "expiring_notice",
    "grace_time",
    "handshake_timeout",
    "idempotency_wait",
    "idle_anonymous_timeout",
    "messages_per_second",
    "ping_interval",
    "request_timeout",
}
_MAY_BE_NONE = {field.name for field in fields(Settings) if "None" in str(field.type)}


def unknown_keys() -> list[Any]:
    """The keys of the project's WSREQUEST that mean nothing here."""
    configured = _configured()
    return (
        [key for key in configured if key not in NAMES] if isinstance(configured, Mapping) else []
    )


def is_configured(*keys: str) -> bool:
    """Whether the project has set one of these keys itself."""
    configured = _configured()
    return any(key in configured for key in keys)


def problems() -> list[str]:
    """What is wrong with the values of the project's WSREQUEST, a sentence each. Unknown keys are not looked at."""
    configured = _configured()
    if not isinstance(configured, Mapping):
        return ["WSREQUEST must be a dict."]
    found = []
    for field in fields(Settings):
        if (key := field.name.upper()) in configured:
            problem = _problem(field.name, configured[key])
            if problem:
                found.append(f"WSREQUEST[{key!r}] {problem}")
    return found


def _configured() -> Any:
    return getattr(django_settings, "WSREQUEST", {})


def _problem(name: str, value: Any) -> str | None:
    if value is None:
        return None if name in _MAY_BE_NONE else "can't be None."
    if name in _STRINGS:
        if not isinstance(value, str):
            return "must be a string."
        return "must begin with a slash." if name == "path" and value[:1] != "/" else None
    if name in _DOTTED_PATHS:
        return _import_problem(value, _DOTTED_PATHS[name])
    if name in _HEADER_NAMES:
        is_group = isinstance(value, list | tuple | set | frozenset)
        if not (is_group and all(isinstance(header, str) for header in value)):
            return "must be a list of strings."
        return None
    kinds = (int, float) if name in _FLOATS else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < math.inf:
        return f"must be {'a number' if name in _FLOATS else 'an integer'} greater than 0."
    return None


def _import_problem(path: Any, methods: tuple[str, ...]) -> str | None:
    wanted = (
        "a callable"
        if methods == ("__call__",)
        else f"a class, or an object, that has {', '.join(methods)}"
    )
    if not isinstance(path, str):
        return f"must be a dotted path to {wanted}."
    try:
        found = import_string(path)
    except ImportError as error:
        return f"can't be imported: {error}"
    fits = all(callable(getattr(found, method, None)) for method in methods)
    return None if fits else f"must be a dotted path to {wanted}."


@functools.cache
def get_settings() -> Settings:
    """The values in force. Raises :class:`~wsrequest.errors.ConfigurationError` for one that can't be used."""
    if wrong := problems():
        raise ConfigurationError(" ".join(wrong))
    values = {name.lower(): value for name, value in _configured().items() if name in NAMES}
    for name in _HEADER_NAMES & values.keys():
        values[name] = tuple(header.lower() for header in values[name])
    return Settings(**values)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "WSREQUEST":
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="wsrequest.conf")
