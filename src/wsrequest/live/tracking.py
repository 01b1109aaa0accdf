"""Django's database connections, watched: what the present context reads, and what commits write."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from wsrequest.live.reads import Reads, depends_on, present, reading
from wsrequest.live.spreading import spread
from wsrequest.push.rows import add, folded

__all__ = ["Reads", "depends_on", "install", "reading"]


def install() -> None:
    """Watch all connections, those that exist and those to come. May be called again."""
    connection_created.connect(_watch_new, dispatch_uid="wsrequest.live")
    for connection in connections.all(initialized_only=True):
        _watch(connection)


def _watch_new(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    _watch(connection)


def _watch(connection: BaseDatabaseWrapper) -> None:
    """At the front: whoever uses ``with connection.execute_wrapper()`` around this takes the last one away."""
    if _track not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _track)


def _track(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    names = _named_in(sql if isinstance(sql, str) else sql.as_string(None))
    if sql[:6] == "SELECT":
        if (reads := present.get()) is not None:
            for name in names:
                add(reads.tables, name, None)
        return execute(sql, params, many, context)
    try:
        return execute(sql, params, many, context)
    finally:
        reads = present.get()
        if names and not (reads and reads.rerun):
            connection = context["connection"]
            transaction.on_commit(
                lambda: spread(dict.fromkeys(names)), connection.alias, robust=True
            )


@cache
def _tables() -> frozenset[str]:
    return frozenset(folded(each._meta.db_table) for each in apps.get_models(True))


def _named_in(sql: str) -> frozenset[str]:
    return _tables() & frozenset(re.findall(r"\w+", sql.lower()))
