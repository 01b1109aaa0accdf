"""The ``WSREQUEST`` setting, read in this one place and frozen.

>>> WSREQUEST = {"PATH": "/ws/", "TOKEN_SCHEME": "Bearer"}

:func:`get_settings` gives the values in force; they are read again after ``setting_changed`` (that is, inside
``override_settings``). A wrong key or value is reported by ``manage.py check`` (see :mod:`wsrequest.checks`).
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from asgiref.sync import iscoroutinefunction
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


#: What is written with nearly every request, and shown by hardly any.
LIVE_IGNORE = ("sessions.Session", "AUTH_USER_MODEL.last_login")

#: Nothing to install: within one process.
BROKERS = {"default": {"BACKEND": "wsrequest.push.brokers.memory.MemoryBroker", "OPTIONS": {}}}


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force, in lower case. Times are seconds, sizes bytes, None is no limit."""

    #: Where ``get_asgi_application()`` answers WebSockets, without the script prefix.
    path: str = "/ws/"
    #: Whether clients whose network breaks WebSockets may come by an event stream, below the same path.
    event_stream: bool = True
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
    #: Subscriptions of one connection; one more is answered 429.
    max_subscriptions: int = 128
    #: Seconds after which a subscription's permission is asked again.
    reauthorize_interval: float = 60
    #: Whether a GET of which its view says nothing may be live.
    live: bool = True
    #: Seconds between two runs of the same live GET, at least.
    live_min_interval: float = 0.05
    #: Live subscriptions among those of one connection; one more is answered 429.
    max_live: int = 64
    #: Live GETs that are kept up to date in this process, each for all whose answers can't differ; then 503.
    max_live_audiences: int = 5_000
    #: Models, and columns of models, whose reads and writes don't count for live GETs: "app.Model", "app.Model.field";
    #: AUTH_USER_MODEL stands for the model of that setting.
    live_ignore: tuple[str, ...] = LIVE_IGNORE
    #: PostgreSQL databases that say by triggers what is written past Django: each alias with what is different for the
    #: connection that listens.
    live_triggers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    #: Who carries events between processes: an alias for each broker, with its BACKEND and OPTIONS.
    brokers: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: BROKERS, hash=False)
    #: A path pattern, as in ``fnmatch``, with what holds for topics that match it.
    topics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
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
NAMES = tuple(each.name.upper() for each in fields(Settings))

_SWITCHES = {"event_stream", "live"}
_STRINGS = {"path", "token_scheme", "idempotency_cache"}
_DOTTED_PATHS = {"handshake": ("__call__",), "metrics": ("count", "gauge", "gauge_add", "observe")}
_HEADER_NAMES = {"omit_response_headers", "handshake_headers"}
_FLOATS = {
    "expiring_notice",
    "grace_time",
    "handshake_timeout",
    "idempotency_wait",
    "idle_anonymous_timeout",
    "live_min_interval",
    "messages_per_second",
    "ping_interval",
    "reauthorize_interval",
    "request_timeout",
}
_IGNORED = re.compile(r"AUTH_USER_MODEL(\.\w+)?|\w+\.\w+(\.\w+)?")
_MAY_BE_NONE = {each.name for each in fields(Settings) if "None" in str(each.type)}
# What the settings of a topic pattern may be; what they mean stands in wsrequest.push.topics.
_TOPIC_OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "HISTORY_SIZE": (
        "an integer of at least 0",
        lambda value: _is_number(value, int) and value >= 0,
    ),
    "HISTORY_TTL": (
        "a number greater than 0",
        lambda value: _is_number(value, int, float) and value > 0,
    ),
    "PRESENCE": ("True or False", lambda value: isinstance(value, bool)),
    "PRESENCE_INFO": (
        "a dotted path to a function (no asynchronous one)",
        lambda value: (
            _import_problem(value, ("__call__",)) is None
            and not iscoroutinefunction(import_string(value))
        ),
    ),
    "SLOW": ('"resync", "latest" or "close"', lambda value: value in ("resync", "latest", "close")),
    "BROKER": ("an alias in BROKERS", lambda value: value in _configured().get("BROKERS", BROKERS)),
}


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
    for each in fields(Settings):
        if (key := each.name.upper()) in configured:
            problem = _problem(each.name, configured[key])
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
    if name in _OWN_PROBLEMS:
        return _OWN_PROBLEMS[name](value)
    if name in _SWITCHES:
        return None if isinstance(value, bool) else "must be True or False."
    return _number_problem(name, value)


def _number_problem(name: str, value: Any) -> str | None:
    kinds = (int, float) if name in _FLOATS else (int,)
    if not _is_number(value, *kinds) or not 0 < value < math.inf:
        return f"must be {'a number' if name in _FLOATS else 'an integer'} greater than 0."
    return None


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _ignored_problem(entries: Any) -> str | None:
    is_group = isinstance(entries, list | tuple | set | frozenset)
    if not is_group or not all(
        isinstance(each, str) and _IGNORED.fullmatch(each) for each in entries
    ):
        return 'must be a list of names such as "app.Model" and "app.Model.field".'
    return None


def _triggers_problem(databases: Any) -> str | None:
    if not isinstance(databases, Mapping) or not all(
        isinstance(alias, str) and isinstance(different, Mapping)
        for alias, different in databases.items()
    ):
        return "must be a dict with a dict for each alias of DATABASES that it names, as in {'default': {}}."
    return None


def _brokers_problem(brokers: Any) -> str | None:
    if not isinstance(brokers, Mapping) or "default" not in brokers:
        return 'must be a dict that has "default".'
    for alias, broker in brokers.items():
        if not isinstance(broker, Mapping) or not isinstance(broker.get("BACKEND"), str):
            return f'must have a dict with "BACKEND" (a dotted path) for {alias!r}.'
        if unknown := [key for key in broker if key not in ("BACKEND", "OPTIONS")]:
            return (
                f"has {unknown[0]!r} for {alias!r}, where only BACKEND and OPTIONS mean something."
            )
        if not isinstance(broker.get("OPTIONS", {}), Mapping):
            return f"must have a dict as OPTIONS for {alias!r}."
    return None


def _topics_problem(topics: Any) -> str | None:
    if not isinstance(topics, Mapping):
        return "must be a dict of path patterns."
    for pattern, options in topics.items():
        if not isinstance(pattern, str) or not isinstance(options, Mapping):
            return "must have a string as each key, and a dict as each value."
        for key, value in options.items():
            if key not in _TOPIC_OPTIONS:
                return f"has {key!r} for {pattern!r}; known are {', '.join(_TOPIC_OPTIONS)}."
            wanted, fits = _TOPIC_OPTIONS[key]
            if not fits(value):
                return f"must have {wanted} as {key} of {pattern!r}."
        if "PRESENCE_INFO" in options and not options.get("PRESENCE"):
            return f"has PRESENCE_INFO for {pattern!r}, which means nothing without PRESENCE."
    return None


_OWN_PROBLEMS = {
    "brokers": _brokers_problem,
    "live_ignore": _ignored_problem,
    "live_triggers": _triggers_problem,
    "topics": _topics_problem,
}


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
    if "live_ignore" in values:
        values["live_ignore"] = tuple(values["live_ignore"])
    return Settings(**values)


def when_changed(forget: Callable[[], None]) -> Callable[[], None]:
    """Call this, too, whenever the setting has changed. Can be used as a decorator."""
    _to_be_told.append(forget)
    return forget


_to_be_told: list[Callable[[], None]] = [get_settings.cache_clear]


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "WSREQUEST":
        for forget in _to_be_told:
            forget()


setting_changed.connect(_forget, dispatch_uid="wsrequest.conf")
