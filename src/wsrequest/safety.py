"""System checks for settings that can be used, and should not be: they are unsafe on a socket, or do not go together.

``wsrequest.W004``  ALLOWED_HOSTS lets any Host through: any page is of the same origin as the host that it names
``wsrequest.W005``  CSRF_TRUSTED_ORIGINS has a wildcard without a domain
``wsrequest.W006``  limits of WSREQUEST are switched off
``wsrequest.W007``  TOKEN_SCHEME is none that the project's authentication classes listen to
``wsrequest.W008``  two limits contradict each other
``wsrequest.W009``  the cache of a CookieHandover keeps nothing, or (``check --deploy``) is one process's own
``wsrequest.W010``  one of BROKERS is in the memory of each process, and there are several
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from wsrequest.conf import Settings, get_settings, is_configured, problems
from wsrequest.contrib.cookies import CookieHandover
from wsrequest.lifecycle.views import each_view
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.processes import several_processes


@register(Tags.security)
def check_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W004; not while DEBUG is on, when it is common."""
    if django_settings.DEBUG or "*" not in django_settings.ALLOWED_HOSTS:
        return []
    return [
        CheckWarning(
            "ALLOWED_HOSTS has '*': a page that makes its own name resolve to this server (DNS rebinding) may open a "
            "WebSocket here, as its Origin is the Host that it names.",
            hint="Name your hosts.",
            id="wsrequest.W004",
        )
    ]


@register(Tags.security)
def check_trusted_origins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W005."""
    return [
        CheckWarning(
            f"CSRF_TRUSTED_ORIGINS has {entry!r}, a wildcard without a domain: alone it trusts no site, and below a "
            "top-level domain it lets every site there open a WebSocket with its visitors' cookies.",
            hint="Put the domain behind the wildcard, as in 'https://*.example.com'.",
            id="wsrequest.W005",
        )
        for entry in django_settings.CSRF_TRUSTED_ORIGINS
        if "*" in entry and _names_no_domain(entry)
    ]


def _names_no_domain(entry: str) -> bool:
    domain = (urlsplit(entry).hostname or "").lstrip("*").strip(".")
    return "." not in domain and domain != "localhost"


@register(Tags.security)
def check_limits(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W006."""
    if problems():
        return []
    settings = get_settings()
    off = [
        field.name.upper()
        for field in fields(Settings)
        if field.default is not None and getattr(settings, field.name) is None
    ]
    if not off:
        return []
    return [
        CheckWarning(
            f"WSREQUEST switches limits off: {', '.join(off)}. Without them one client can take what all need.",
            hint="Give a number, as large as it has to be.",
            id="wsrequest.W006",
        )
    ]


@register
def check_token_scheme(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W007."""
    if problems():
        return []
    scheme = get_settings().token_scheme
    expected = list(_token_schemes())
    if not expected or scheme in expected or scheme.lower() in _in_any_case(expected):
        return []
    return [
        CheckWarning(
            f"WSREQUEST['TOKEN_SCHEME'] is {scheme!r}, and the project's authentication classes listen to "
            f"{' or '.join(repr(str(word)) for word in dict.fromkeys(expected))}: the token of a message says nothing "
            "to them.",
            hint=f"Set it to {str(expected[0])!r}, or send headers.authorization instead of token.",
            id="wsrequest.W007",
        )
    ]


class _Exact(str):
    """A scheme that has to be written like this."""

    __slots__ = ()


def _in_any_case(schemes: list[str]) -> list[str]:
    return [scheme.lower() for scheme in schemes if not isinstance(scheme, _Exact)]


def _token_schemes() -> Iterator[str]:
    """The words before a token that somebody listens to, as far as that is known."""
    kinds: tuple[Any, ...] = ()
    if apps.is_installed("rest_framework"):
        token = import_string("rest_framework.authentication.TokenAuthentication")
        kinds = tuple(_settings_of("rest_framework").DEFAULT_AUTHENTICATION_CLASSES)
        yield from (kind.keyword for kind in kinds if issubclass(kind, token))
    packages = {base.__module__.partition(".")[0] for kind in kinds for base in kind.__mro__}
    packages |= {config.name for config in apps.get_app_configs()}
    if "rest_framework_simplejwt" in packages:
        yield from map(_Exact, _settings_of("rest_framework_simplejwt").AUTH_HEADER_TYPES)
    if "rest_framework_jwt" in packages:
        yield _settings_of("rest_framework_jwt").JWT_AUTH_HEADER_PREFIX


def _settings_of(package: str) -> Any:
    """Each of these packages keeps its settings as REST framework does."""
    return import_string(f"{package}.settings.api_settings")


@register
def check_contradictions(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W008. Only of what the project itself has set: a default gives way."""
    if problems():
        return []
    return [
        CheckWarning(f"WSREQUEST: {problem}", id="wsrequest.W008")
        for names, problem in _contradictions(get_settings())
        if is_configured(*names)
    ]


def _contradictions(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What contradicts what, and the keys of which one must have been set for it to matter."""
    for name in ("MAX_CONNECTIONS_PER_USER", "MAX_CONNECTIONS_PER_ADDRESS"):
        part, whole = getattr(settings, name.lower()), settings.max_connections
        if part is not None and whole is not None and part > whole:
            yield (name,), f"{name} ({part}) is never reached, as MAX_CONNECTIONS is {whole}."
    rate, burst, most = settings.messages_per_second, settings.message_burst, settings.max_in_flight
    if rate is None:
        yield ("MESSAGE_BURST",), "MESSAGE_BURST means nothing, as MESSAGES_PER_SECOND is None."
    elif burst < most:
        problem = (
            f"MAX_IN_FLIGHT lets a client have {most} requests running, and MESSAGE_BURST refuses it the one after "
            f"{burst}."
        )
        yield ("MESSAGE_BURST", "MAX_IN_FLIGHT"), problem
    frame = settings.max_message_bytes
    body: int | None = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if frame is not None and body is not None and frame > body:
        problem = (
            f"Django refuses a body of more than {body} bytes (DATA_UPLOAD_MAX_MEMORY_SIZE), and MAX_MESSAGE_BYTES is "
            f"{frame}."
        )
        yield ("MAX_MESSAGE_BYTES",), problem


@register(Tags.caches)
def check_handover(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W009, of a cache that keeps nothing."""
    return [
        _handover_warning(alias, "keeps nothing: no ticket is any good")
        for alias in _handover_caches(DummyCache)
    ]


@register(Tags.caches, deploy=True)
def check_shared_handover(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W009, of a cache in the memory of one process."""
    return [
        _handover_warning(
            alias, "is in the memory of each process: a ticket is good only in the one that gave it"
        )
        for alias in _handover_caches(LocMemCache)
    ]


def _handover_warning(alias: str, problem: str) -> CheckMessage:
    return CheckWarning(
        f"CACHES[{alias!r}], which a CookieHandover uses, {problem}.",
        hint="Let the view's option `cache` name a cache that all processes share.",
        id="wsrequest.W009",
    )


def _handover_caches(kind: type[BaseCache]) -> list[str]:
    """The caches of this kind that a CookieHandover uses."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    views: list[Any] = [
        view
        for view in each_view()
        if issubclass(getattr(view, "view_class", object), CookieHandover)
    ]
    aliases = {view.view_initkwargs.get("cache", view.view_class.cache) for view in views}
    return sorted(alias for alias in aliases if isinstance(caches[alias], kind))


@register
def check_brokers_reach(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W010, as far as it is known how many processes there are."""
    if problems() or (said := several_processes()) is None:
        return []
    return [
        CheckWarning(
            f"WSREQUEST['BROKERS'][{alias!r}] is in the memory of each process, and there are several ({said}): an "
            "event reaches only those who are connected to the process that published it.",
            hint="Take a broker that all processes share, such as wsrequest.push.brokers.redis.RedisBroker.",
            id="wsrequest.W010",
        )
        for alias, broker in get_settings().brokers.items()
        if _is_in_memory(broker["BACKEND"])
    ]


def _is_in_memory(backend: str) -> bool:
    try:
        kind = import_string(backend)
    except ImportError:  # which E004 says
        return False
    return isinstance(kind, type) and issubclass(kind, MemoryBroker)
