"""Django's database connections, watched: what the present context reads, and what commits write.

Django calls an ``execute_wrapper`` of each connection with every statement, whoever sends it: the ORM or a cursor of
the project's. (Not with what goes past it: ``callproc()``, ``COPY``, the driver's own connection, triggers and what
other programs write. For those there are ``depends_on()`` and ``touch()``.) Signals of models would cost every save,
say nothing of ``update()``, and their receivers keep Django from deleting without loading.

What a statement writes counts as written though it may have raised: of many rows some may be there, and a server that
went away may have done all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from wsrequest import log
from wsrequest.livequery.interest import interest
from wsrequest.livequery.reads import Reads, depends_on, present, reading
from wsrequest.livequery.returned import fetch_now
from wsrequest.livequery.spreading import concerns, spread
from wsrequest.livequery.sql import Statement
from wsrequest.livequery.statements import note, note_made, remembered, statement_of
from wsrequest.livequery.writes import ANYTHING, Late, late_of, log_of, open_log

__all__ = ["Reads", "depends_on", "install", "reading"]

#: How statements begin that write nothing, and are many.
HARMLESS = ("SELECT", "BEGIN")

#: Sets of parameters of one ``executemany()`` that are looked at; more are all rows.
MOST_SETS = 100


def install() -> None:
    """Watch all connections, those that exist and those to come. May be called again."""
    connection_created.connect(_watch_new, dispatch_uid="wsrequest.livequery")
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
    reads = present.get()
    if reads is None and sql.__class__ is str and sql.startswith(HARMLESS) and ";" not in sql:
        return execute(sql, params, many, context)
    wanted = _wanted(sql, None if many else params, context["connection"], reads)
    if wanted is None:
        return execute(sql, params, many, context)
    if isinstance(wanted, Late):
        return _at_once(execute, sql, params, many, context, wanted)
    return _note_all(execute, sql, params, many, context, reads, wanted)


def _wanted(
    sql: Any, params: Any, connection: BaseDatabaseWrapper, reads: Reads | None
) -> Statement | Late | None:
    """Note what the statement reads. Returns it, where what it writes is to be noted; else what is to be told once it
    has been executed, where that is the commit as well; None: nothing, or it will be told at the commit."""
    if reads is None and not interest.heard:
        if connection.autocommit:
            return ANYTHING
        if ANYTHING.wait(connection):
            return None
    known = remembered.statements.get(sql) if sql.__class__ is str else None
    statement = known or statement_of(sql, connection)
    if reads is not None and statement.reads:
        note(reads.tables, statement.reads, statement, params)
    if statement.only_reads:
        return None
    if reads is None and statement.only_writes and not concerns(statement.written):
        late = late_of(statement.written)
        if connection.autocommit:
            return late
        if late.wait(connection):
            return None
    return statement


def _note_all(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
    reads: Reads | None,
    statement: Statement,
) -> Any:
    """Execute it, and note what it writes."""
    connection = context["connection"]
    done = False
    try:
        result = execute(sql, params, many, context)
        if connection.vendor == "sqlite" and connection.autocommit:
            result = fetch_now(context["cursor"]) or result
        done = True
    finally:
        if statement.writes or statement.made:
            _written(statement, params, many, context, reads, done=done)
    if statement.savepoints or statement.back_to:
        _savepoints(statement, connection)
    return result


def _at_once(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
    late: Late,
) -> Any:
    """Outside of a transaction, what concerns nobody, as far as is known before: somebody may come meanwhile."""
    try:
        result = execute(sql, params, many, context)
        cursor, connection = context["cursor"], context["connection"]
        if connection.vendor == "sqlite" and cursor.cursor.description is not None:
            plain = sql.startswith("INSERT") or not statement_of(sql, connection).only_reads
            result = (plain and fetch_now(cursor)) or result
        return result
    finally:
        if interest.heard:
            late.tell()


def _written(
    statement: Statement,
    params: Any,
    many: bool,
    context: dict[str, Any],
    reads: Reads | None,
    *,
    done: bool,
) -> None:
    connection = context["connection"]
    if reads is not None and reads.rerun:
        tables: dict[str, set[str] | None] = {}
        _note_written(tables, statement, params, many, context, done=done)
        for table in tables:
            log.live_write(table)
    elif not connection.autocommit:
        if (noted := open_log(connection)) is not None:
            _note_written(noted.latest(), statement, params, many, context, done=done)
    else:
        tables = {}
        _note_written(tables, statement, params, many, context, done=done)
        if tables:
            spread(tables)


def _note_written(
    tables: dict[str, set[str] | None],
    statement: Statement,
    params: Any,
    many: bool,
    context: dict[str, Any],
    *,
    done: bool,
) -> None:
    if not concerns(statement.written):
        # Whoever comes before the commit may as well hear that it was any row: only then it costs something.
        tables |= dict.fromkeys(statement.written)
        return
    for each in _sets(params) if many else (params,):
        note(tables, statement.writes, statement, each)
    if (made := statement.made) is not None:
        if done and not many:
            note_made(tables, made, context["cursor"], context["connection"])
        else:
            tables[made.table.name] = None


def _sets(params: Any) -> Any:
    """Of ``executemany()``: what it was given may be read once only."""
    if isinstance(params, list | tuple) and len(params) <= MOST_SETS:
        return params
    return (None,)


def _savepoints(statement: Statement, connection: Any) -> None:
    noted = log_of(connection)
    if noted is not None:
        for savepoint in statement.savepoints:
            noted.mark(savepoint)
        if statement.back_to is not None:
            noted.back_to(statement.back_to)
