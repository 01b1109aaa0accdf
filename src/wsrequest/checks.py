"""System checks: what is wrong with the settings is said by ``manage.py check``, not by the first message.

``wsrequest.E001``  a key of WSREQUEST is not known
``wsrequest.E002``  a value of WSREQUEST can't be used
``wsrequest.E003``  IDEMPOTENCY_CACHE is none of CACHES
``wsrequest.E004``  one of BROKERS can't be used
``wsrequest.E005``  a PostgresBroker has no tables, as its app is not installed
``wsrequest.E006``  LIVE_IGNORE names what is no model or column
``wsrequest.E007``  one of LIVE_TRIGGERS can't be listened to
``wsrequest.W001``  ATOMIC_REQUESTS with an asynchronous view: Django answers 500
``wsrequest.W002``  the cache for idempotency keys can't tell which of two requests came first
``wsrequest.W003``  it can't be seen by other processes (``check --deploy``)
``wsrequest.W011``  ``manage.py runserver`` serves no WebSockets, as another app's comes first (while DEBUG is on)
``wsrequest.W012``  asgi.py is Django's own, which knows no WebSockets
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.management import find_commands

from wsrequest.conf import LIVE_IGNORE, NAMES, get_settings, problems, unknown_keys
from wsrequest.errors import ConfigurationError
from wsrequest.lifecycle.views import each_view
from wsrequest.livequery.ears import addresses
from wsrequest.livequery.tables import UnknownIgnored, what_is_ignored
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Broker

_POSTGRES_BROKER = "wsrequest.push.brokers.postgres.broker"
_POSTGRES_APP = "wsrequest.contrib.postgres"


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001 and E002."""
    found: list[CheckMessage] = [Error(problem, id="wsrequest.E002") for problem in problems()]
    for key in unknown_keys():
        nearest = difflib.get_close_matches(str(key).upper(), NAMES, n=1, cutoff=0.0)[0]
        found.append(
            Error(
                f"WSREQUEST has no key {key!r}.",
                hint=f"Did you mean {nearest!r}?",
                id="wsrequest.E001",
            )
        )
    return found


@register
def check_brokers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E004 and E005."""
    return [] if problems() else list(_broker_errors())


def _broker_errors() -> Iterator[Error]:
    for alias in get_settings().brokers:
        try:
            broker = broker_of(alias)
        except ConfigurationError as error:
            yield Error(str(error), id="wsrequest.E004")
            continue
        if _is_postgres(broker) and not apps.is_installed(_POSTGRES_APP):
            yield Error(
                f"WSREQUEST['BROKERS'][{alias!r}] keeps its events in the database {broker.transactional!r}, where "
                "nothing makes its tables.",
                hint=f"Add {_POSTGRES_APP!r} to INSTALLED_APPS, and run migrate.",
                id="wsrequest.E005",
            )


def _is_postgres(broker: Broker) -> bool:
    """Told by name: psycopg may not be installed."""
    return any(kind.__module__ == _POSTGRES_BROKER for kind in type(broker).__mro__)


@register(Tags.models)
def check_live_ignore(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E006."""
    if problems():
        return []
    found: list[CheckMessage] = []
    for entry in set(get_settings().live_ignore).difference(LIVE_IGNORE):
        try:
            what_is_ignored(entry)
        except UnknownIgnored as error:
            found.append(
                Error(f"WSREQUEST['LIVE_IGNORE'] has {entry!r}: {error}", id="wsrequest.E006")
            )
    return found


@register
def check_live_triggers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E007."""
    if problems():
        return []
    try:
        addresses()
    except ConfigurationError as error:
        return [Error(str(error), id="wsrequest.E007")]
    return []


@register(Tags.caches)
def check_idempotency_cache(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E003 and W002."""
    if problems():
        return []
    alias = get_settings().idempotency_cache
    if alias not in django_settings.CACHES:
        return [
            Error(
                f"WSREQUEST['IDEMPOTENCY_CACHE'] is {alias!r}, and CACHES has no such entry.",
                hint=f"Name one of these: {', '.join(map(repr, django_settings.CACHES))}.",
                id="wsrequest.E003",
            )
        ]
    if isinstance(_idempotency_cache(), DummyCache | FileBasedCache):
        return [
            CheckWarning(
                f"CACHES[{alias!r}] can't tell which of two requests with the same key came first: "
                "both may run.",
                hint="Let WSREQUEST['IDEMPOTENCY_CACHE'] name a cache on Redis, Memcached or a database.",
                id="wsrequest.W002",
            )
        ]
    return []


@register(Tags.caches, deploy=True)
def check_shared_idempotency_cache(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W003."""
    if not isinstance(_idempotency_cache(), LocMemCache):
        return []
    return [
        CheckWarning(
            f"CACHES[{get_settings().idempotency_cache!r}] is in the memory of each process: a request that is "
            "repeated to another process runs again, whatever its key.",
            hint="Let WSREQUEST['IDEMPOTENCY_CACHE'] name a cache that all processes share.",
            id="wsrequest.W003",
        )
    ]


def _idempotency_cache() -> BaseCache | None:
    """None where the settings name none."""
    if problems() or (alias := get_settings().idempotency_cache) not in django_settings.CACHES:
        return None
    return caches[alias]


@register(Tags.urls)
def check_atomic_requests(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    atomic = [
        alias
        for alias, database in django_settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS")
    ]
    return [
        CheckWarning(
            f"{_name(view)} is asynchronous, and ATOMIC_REQUESTS of database {alias!r} is on: Django answers 500.",
            hint="Decorate the view with transaction.non_atomic_requests, or switch ATOMIC_REQUESTS off.",
            id="wsrequest.W001",
        )
        for alias in atomic
        for view in each_view()
        if iscoroutinefunction(view) and alias not in getattr(view, "_non_atomic_requests", ())
    ]


@register(Tags.staticfiles)
def check_runserver(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W011. Only of Django's own: whoever has chosen another one knows what it serves."""
    first = next((config.name for config in apps.get_app_configs() if _has_runserver(config)), None)
    if not django_settings.DEBUG or first != "django.contrib.staticfiles":
        return []
    return [
        CheckWarning(
            f"manage.py runserver is that of {first!r}, a WSGI server: {_path()} answers 404 there.",
            hint=f"Put 'wsrequest' before {first!r} in INSTALLED_APPS.",
            id="wsrequest.W011",
        )
    ]


def _has_runserver(config: AppConfig) -> bool:
    return "runserver" in find_commands(str(Path(config.path, "management")))


@register
def check_asgi(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W012. The file is read, and not run."""
    name = _asgi_module()
    source = _source(name)
    if "django.core.asgi" not in source or re.search(r"wsrequest|websocket", source, re.IGNORECASE):
        return []
    return [
        CheckWarning(
            f"{name} takes get_asgi_application() from django.core.asgi: {_path()} answers 404 there.",
            hint="Import it from wsrequest.asgi.",
            id="wsrequest.W012",
        )
    ]


def _asgi_module() -> str:
    """The module that ASGI_APPLICATION names; else the one that ``startproject`` makes beside WSGI_APPLICATION's."""
    if asgi := getattr(django_settings, "ASGI_APPLICATION", None):
        return str(asgi).rpartition(".")[0]
    wsgi = getattr(django_settings, "WSGI_APPLICATION", None) or ""
    package = wsgi.rpartition(".")[0].rpartition(".")[0]
    return f"{package}.asgi" if package else ""


def _source(module: str) -> str:
    """Of a module that is not loaded for this; nothing where there is none."""
    try:
        spec = find_spec(module) if module else None
        return Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    except (ImportError, ValueError, OSError):
        return ""


def _path() -> str:
    return "/ws/" if problems() else get_settings().path


def _name(view: Callable[..., Any]) -> str:
    """The dotted name of a function; a partial or a callable object has none."""
    name = getattr(view, "__qualname__", None)
    return f"{view.__module__}.{name}" if name else repr(view)
