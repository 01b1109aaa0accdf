"""Texts of SQL that were seen before, each read once; and which rows one means with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models.signals import class_prepared

from wsrequest.conf import when_changed
from wsrequest.livequery.sql import LONGEST, Made, Rows, Statement, parse
from wsrequest.livequery.tables import Table, all_tables
from wsrequest.push.rows import MOST_ROWS, add

#: Texts that are remembered.
REMEMBERED = 2048


class _Registry:
    """The tables as they were at a moment, and what was read by them."""

    def __init__(self) -> None:
        self.tables = tables = all_tables()
        self.parse: Callable[[str], Statement] = partial(parse, tables=tables)
        self.any = Statement(tuple(map(Rows, tables.values())), tuple(map(Rows, tables.values())))


@cache
def _registry() -> _Registry:
    return _Registry()


class _Remembered:
    """What texts of SQL say, those that were seen lately."""

    __slots__ = ("statements",)

    def __init__(self) -> None:
        self.statements: dict[str, Statement] = {}


#: For :func:`statement_of`, and for who saves the call: it would count with each statement that there is.
remembered = _Remembered()


def known_tables() -> Mapping[str, Table]:
    """As they are now, by name."""
    return _registry().tables


def statement_of(sql: Any, connection: Any) -> Statement:
    """What a text says, or an object that a driver makes one of (as psycopg's ``sql.Composed``)."""
    # What is parsed by the tables of before is kept with these, and forgotten.
    statements = remembered.statements
    if sql.__class__ is str and (known := statements.get(sql)) is not None:
        return known
    if not apps.models_ready:
        return _NOTHING  # no view runs yet, and nobody reads
    registry = _registry()
    if sql.__class__ is not str:
        text = _text_of(sql, connection)
        if text is None:
            return registry.any
        sql = text
    statement = registry.parse(sql)
    if len(sql) <= LONGEST:
        if len(statements) >= REMEMBERED:
            statements.clear()
        statements[sql] = statement
    return statement


def note(
    tables: dict[str, set[str] | None], rows: Sequence[Rows], statement: Statement, params: Any
) -> None:
    """Add what a statement means by these, with these parameters. Threads may do so at the same time."""
    fit = params.__class__ in (tuple, list) and len(params) == statement.parameters
    for each in rows:
        name = each.table.name
        if not fit or each.keys is None or len(each.keys) > MOST_ROWS:
            tables[name] = None
        elif each.only is None:
            keys = [each.table.key_of(params[index]) for index in each.keys]
            add(tables, name, None if None in keys else keys)  # type: ignore[arg-type]
        elif (key := each.table.key_of(params[each.only])) is None:
            tables[name] = None
        else:  # as in most
            known = tables.setdefault(name, {key})
            if known is not None and key not in known:
                add(tables, name, (key,))


def note_made(tables: dict[str, set[str] | None], made: Made, cursor: Any, connection: Any) -> None:
    """Add the rows that a statement has made, as far as the cursor knows their keys."""
    keys = _made_keys(made, cursor, connection)
    named = [made.table.key_of(key) for key in keys or ()]
    add(tables, made.table.name, None if not named or None in named else named)  # type: ignore[arg-type]


def _made_keys(made: Made, cursor: Any, connection: Any) -> Sequence[Any] | None:
    if connection.vendor in ("sqlite", "mysql"):
        numbered = made.rows == 1 and made.table.numbered
        return [cursor.lastrowid or None] if numbered else None
    if connection.vendor == "postgresql" and made.column is not None:
        if cursor.rowcount > MOST_ROWS:
            return None
        rows = cursor.cursor.fetchall()  # they are here: the client has all of them
        cursor.cursor.scroll(0, mode="absolute")
        return [row[made.column] for row in rows]
    return None


def _text_of(sql: Any, connection: Any) -> str | None:
    if isinstance(sql, str):
        return str(sql)
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    try:
        return str(sql.as_string(connection.connection))
    except Exception:  # noqa: BLE001 (any driver's object: it may be any statement)
        return None


_NOTHING = Statement()


def _forget(**kwargs: Any) -> None:
    """There is another model, or another setting."""
    _registry.cache_clear()
    remembered.statements = {}


class_prepared.connect(_forget, dispatch_uid="wsrequest.livequery")
when_changed(_forget)


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting in ("AUTH_USER_MODEL", "INSTALLED_APPS"):
        _forget()


setting_changed.connect(_setting_changed, dispatch_uid="wsrequest.livequery")
