"""The tables of the project's models, and what of each the tracking has to know.

Those of all models that the app registry has ever seen, unmanaged and automatic ones too, but for what LIVE_IGNORE
names. A name stands for the tables of that name in all databases and schemas: one that is taken for another costs a
GET that need not have run, and a replica's table is the same as the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import AutoField, Model
from django.db.models.fields import AutoFieldMixin

from wsrequest.conf import get_settings
from wsrequest.push.rows import folded, key_maker

#: In LIVE_IGNORE: the model of the project's users.
USER = "AUTH_USER_MODEL"


@dataclass(frozen=True, slots=True)
class Table:
    """Names are in lower case."""

    name: str
    #: The primary key's column; "" where there is not exactly one.
    key: str
    #: What names a row by that column's value; see :mod:`wsrequest.push.rows`.
    key_of: Callable[[Any], str | None]
    #: Whether the database numbers new rows.
    numbered: bool
    #: Columns that may change without a word.
    ignored: frozenset[str] = frozenset()
    #: Tables in which the database itself changes rows when one here is deleted.
    deleted_with: frozenset[str] = frozenset()
    #: Tables that refer to this one, and to those.
    emptied_with: frozenset[str] = frozenset()


class UnknownIgnored(LookupError):
    """LIVE_IGNORE has an entry that names nothing."""


def all_tables() -> dict[str, Table]:
    """Read from the registry now, by name."""
    tables: dict[str, Table] = {}
    ignored = dict(_ignored())
    for model in _models():
        if None not in (columns := ignored.get(model, ())):
            table = _table(model, frozenset(filter(None, columns)))
            known = tables.get(table.name)
            tables[table.name] = table if known is None else _both(known, table)
    references = list(_references())
    return {
        name: replace(
            table,
            deleted_with=frozenset(_deleted_with(name, references)) & tables.keys(),
            emptied_with=frozenset(_emptied_with(name, references)) & tables.keys(),
        )
        for name, table in tables.items()
    }


def what_is_ignored(entry: str) -> tuple[type[Model], str | None]:
    """The model that an entry of LIVE_IGNORE means, and the column, or None for the whole table. Raises
    :class:`UnknownIgnored`."""
    named, _, field = entry.partition(".")
    try:
        if named == USER:
            model: type[Model] = get_user_model()
        else:
            name, _, field = field.partition(".")
            model = apps.get_model(named, name)
        if not field:
            return model, None
        found: Any = model._meta.get_field(field)
    except (LookupError, FieldDoesNotExist, ImproperlyConfigured) as error:
        raise UnknownIgnored(str(error)) from error
    if not getattr(found, "column", None) or found.many_to_many:
        raise UnknownIgnored(f"{entry} is no column.")
    return model, found.column.lower()


def _ignored() -> Iterator[tuple[type[Model], set[str | None]]]:
    found: dict[type[Model], set[str | None]] = {}
    for entry in get_settings().live_ignore:
        try:
            model, column = what_is_ignored(entry)
        except UnknownIgnored:
            continue  # the system checks say so; the default names apps that need not be installed
        found.setdefault(model, set()).add(column)
    yield from found.items()


def _models() -> Iterator[type[Model]]:
    """Not ``apps.get_models()``: that leaves out what a test or a setting has switched off for a while."""
    for models in tuple(apps.all_models.values()):
        yield from (each for each in tuple(models.values()) if not each._meta.proxy)


def _table(model: type[Model], ignored: frozenset[str]) -> Table:
    field: Any = model._meta.pk
    key = getattr(field, "column", None) or ""
    numbered = isinstance(field, AutoField | AutoFieldMixin)
    return Table(folded(model._meta.db_table), key.lower(), key_maker(field), numbered, ignored)


def _both(one: Table, other: Table) -> Table:
    """Two models whose tables have the same name, or are the same."""
    same_key = one.key == other.key and one.key_of is other.key_of
    return replace(
        one,
        key=one.key if same_key else "",
        numbered=one.numbered and other.numbered,
        ignored=one.ignored & other.ignored,
    )


Reference = tuple[str, str, str | None]


def _references() -> Iterator[Reference]:
    """Each foreign key: from which table, to which, and what the database itself does when a row there is deleted (as
    Django 6.1 can tell it)."""
    for model in _models():
        for field in model._meta.local_fields:
            remote: Any = field.remote_field
            if remote is not None and hasattr(remote.model, "_meta"):
                action = getattr(getattr(remote, "on_delete", None), "operation", None)
                target = remote.model._meta.db_table
                yield folded(model._meta.db_table), folded(target), action


def _deleted_with(name: str, references: Iterable[Reference]) -> set[str]:
    return _closure(
        name, [each for each in references if each[2]], lambda action: action == "CASCADE"
    )


def _emptied_with(name: str, references: Iterable[Reference]) -> set[str]:
    return _closure(name, references, lambda action: True)


def _closure(
    name: str, references: Iterable[Reference], goes_on: Callable[[str | None], bool]
) -> set[str]:
    """The tables that refer to this one, and on from those where what happens there ``goes_on``."""
    found: set[str] = set()
    ahead, seen = [name], {name}
    while ahead:
        target = ahead.pop()
        for source, to, action in references:
            if to == target:
                found.add(source)
                if goes_on(action) and source not in seen:
                    seen.add(source)
                    ahead.append(source)
    return found
