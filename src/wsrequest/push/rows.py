"""How the rows of the project's models are named, to say that they have changed, or that an answer depends on them.

It stands here, and not with live queries, as ``touch()`` says it too. Names are made so that two that mean the same row
are the same, whatever the database and the spelling; where that can't be promised, no row is named, which means all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Field, Model

#: Tables, each with the primary keys of the rows that are meant, or None for all rows.
Tables = Mapping[str, Collection[str] | None]

#: Rows of a table that are named; more than that are all.
MOST_ROWS = 100

_INTEGERS = frozenset(
    f"{size}{kind}"
    for kind in ("AutoField", "IntegerField")
    for size in ("", "Big", "Small", "Positive", "PositiveBig", "PositiveSmall")
)
_TEXTS = frozenset({"CharField", "EmailField", "SlugField", "TextField", "URLField"})


def folded(db_table: str) -> str:
    """The name of a table as it is known here, whatever its schema, its quotation marks and its case."""
    return db_table.rpartition(".")[2].strip('"`[]').lower()


def add(tables: dict[str, set[str] | None], table: str, keys: Collection[str] | None) -> None:
    """These rows too. Threads may do so at the same time."""
    if keys is None:
        tables[table] = None
        return
    rows = tables.setdefault(table, set())
    if rows is not None:
        rows.update(keys)
        if len(rows) > MOST_ROWS:
            tables[table] = None


def named(things: Iterable[Any], argument: str) -> dict[str, set[str] | None]:
    """What is meant by models (all rows), instances (their row) and names. Raises TypeError and ValueError."""
    tables: dict[str, set[str] | None] = {}
    for thing in things:
        if isinstance(thing, str):
            add(tables, _of_name(thing, argument), None)
        elif isinstance(thing, Model):
            for table, key in _of_instance(thing, argument):
                add(tables, table, None if key is None else (key,))
        elif isinstance(thing, type) and issubclass(thing, Model):
            for model in _with_parents(thing):
                add(tables, folded(model._meta.db_table), None)
        else:
            raise TypeError(
                f"{argument}: it takes models, instances of them and names, no {type(thing).__name__}."
            )
    return tables


def key_maker(field: Any) -> Callable[[Any], str | None]:
    """What names a row by the value of this primary key, as the database takes it; None where it can't be named."""
    while (remote := getattr(field, "remote_field", None)) is not None:
        field = remote.get_related_field()  # a parent's key, or another model's
    kind = field.get_internal_type() if isinstance(field, Field) else ""
    if kind in _INTEGERS:
        return _integer
    if kind == "UUIDField":
        return _uuid
    return _text if kind in _TEXTS else _unknown


def _of_name(name: str, argument: str) -> str:
    if not name or "/" in name or name[0] == "@":
        raise ValueError(f"{argument}: {name!r} is no name. A name is not empty, and has no slash.")
    return f"name:{name}"


def _of_instance(instance: Model, argument: str) -> Iterable[tuple[str, str | None]]:
    if instance.pk is None:
        raise ValueError(f"{argument}: {instance!r} has no primary key yet.")
    for model in _with_parents(type(instance)):
        field: Any = model._meta.pk
        key = None
        if isinstance(getattr(field, "attname", None), str) and getattr(field, "column", None):
            value = field.get_db_prep_value(
                getattr(instance, field.attname), connections[instance._state.db or "default"]
            )
            key = key_maker(field)(value)
        yield folded(model._meta.db_table), key


def _with_parents(model: type[Model]) -> Iterable[type[Model]]:
    """The models whose tables an instance has a row in."""
    return dict.fromkeys(
        concrete
        for each in (model, *model._meta.get_parent_list())
        if (concrete := each._meta.concrete_model) is not None
    )


def _integer(value: Any) -> str | None:
    if value.__class__ is int:
        return str(value)
    if not isinstance(value, (int, str)):  # a union would be made anew each time
        return None
    try:
        return str(int(value))
    except ValueError:
        return None


def _uuid(value: Any) -> str | None:
    if isinstance(value, UUID):
        return value.hex
    try:
        return UUID(value).hex
    except (AttributeError, TypeError, ValueError):
        return None


def _text(value: Any) -> str | None:
    """Collations may take two texts for the same that differ in case, accents, or spaces at the end."""
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value.rstrip().lower()
    return None


def _unknown(value: Any) -> None:
    return None
