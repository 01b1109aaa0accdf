"""What a text of SQL reads and writes.

It is no parser of SQL, which has as many dialects as there are databases; it is one that errs on the safe side. Every
word of the text that is the name of a table counts, wherever it stands: in a comment, in a string, as a column. What is
not plainly a query, and has a word in it that may write, writes all tables that it names. Rows are told apart only in a
text that is plain: without strings, comments and several statements, where a table stands once and its primary key is
equal to parameters, as a condition that nothing but AND joins to the others. The ORM writes such texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wsrequest.livequery import grammar
from wsrequest.livequery.grammar import Tokens
from wsrequest.livequery.tables import Table

#: Characters of a text in which rows are looked for. A longer one names many rows, and many are all.
LONGEST = 10_000

_WORD = re.compile(r"\w+")
_FIRST = re.compile(r"(?:[\s(]|/\*.*?\*/|--[^\n]*\n)*(\w+)", re.DOTALL)
_SAVEPOINT = re.compile(r"\bsavepoint\s+(\S+)")
_ROLLBACK_TO = re.compile(r"rollback\s+(?:\w+\s+)?to\s+(?:savepoint\s+)?(\S+)\Z")

#: Words by which a text may change rows, or have others change them.
_WRITES = frozenset(
    "alter call copy create delete do drop exec execute import insert load merge refresh rename replace restore"
    " truncate update upsert".split()
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Of a table: those whose keys these parameters are, by their index; None: all."""

    table: Table
    keys: Sequence[int] | None = None
    #: The only one of them.
    only: int | None = field(init=False)

    def __post_init__(self) -> None:
        keys = self.keys
        object.__setattr__(self, "only", keys[0] if keys is not None and len(keys) == 1 else None)


@dataclass(frozen=True, slots=True)
class Made:
    """New rows, to which the database gives their keys: how many (0: unknown), and which column of what comes back is
    the key."""

    table: Table
    rows: int
    column: int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """What becomes known of a text."""

    reads: tuple[Rows, ...] = ()
    writes: tuple[Rows, ...] = ()
    #: Placeholders. With another number of parameters, no index of ``Rows`` means anything.
    parameters: int = 0
    made: Made | None = None
    #: Savepoints that it makes, in order.
    savepoints: tuple[str, ...] = ()
    #: The savepoint to which it rolls back.
    back_to: str | None = None

    #: Whether there is nothing but ``reads``.
    only_reads: bool = field(init=False)
    #: Whether no savepoint is concerned.
    only_writes: bool = field(init=False)
    #: The names of all tables that it writes.
    written: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [each.table.name for each in self.writes]
        if self.made is not None:
            names.append(self.made.table.name)
        object.__setattr__(self, "written", tuple(dict.fromkeys(names)))
        savepoints = bool(self.savepoints or self.back_to)
        object.__setattr__(self, "only_writes", not savepoints)
        object.__setattr__(self, "only_reads", not names and not savepoints)


def parse(sql: str, tables: Mapping[str, Table]) -> Statement:
    """Never raises."""
    text = sql.strip("; \t\r\n").lower()
    words = frozenset(_WORD.findall(text.replace("%s", " ")))
    named = [table for name, table in tables.items() if name in words or _is_odd(name, words)]
    match = _FIRST.match(text)
    first = match[1] if match else ""
    if ";" in text:
        return _several(text, words, named)
    if first == "rollback" or "savepoint" in words:
        return _of_savepoints(first, text, words, named)
    if not named:
        return Statement()
    tokens = grammar.tokens_in(text) if len(text) <= LONGEST else None
    if first in ("select", "values"):
        return _query(tokens, named)
    if "with" not in words:
        found = None
        if first in ("insert", "replace"):
            found = _insert(text, tokens, words, named)
        elif first == "update" and tokens is not None:
            found = _update(tokens, words, named)
        elif first == "delete" and tokens is not None:
            found = _delete(tokens, words, named)
        if found is not None:
            return found
    return _odd(words, named)


def _is_odd(name: str, words: frozenset[str]) -> bool:
    """Whether a name that is more than a word is, perhaps, in the text."""
    parts = _WORD.findall(name)
    return parts != [name] and words.issuperset(parts)


def _several(text: str, words: frozenset[str], named: list[Table]) -> Statement:
    """Perhaps several statements, or a semicolon in a string. What was written counts as written before savepoints."""
    odd = _odd(words, named)
    return Statement(odd.reads, odd.writes, savepoints=_savepoints(text))


def _of_savepoints(first: str, text: str, words: frozenset[str], named: list[Table]) -> Statement:
    back = _ROLLBACK_TO.search(text)
    if back is not None and first == "rollback":  # and no string or comment that ends like one
        return Statement(back_to=_plain(back[1]))
    if text.startswith("release"):
        return Statement()
    odd = _odd(words, named)
    return Statement(odd.reads, odd.writes, savepoints=_savepoints(text))


def _savepoints(text: str) -> tuple[str, ...]:
    return tuple(map(_plain, _SAVEPOINT.findall(text)))


def _plain(name: str) -> str:
    return name.strip('"`[];')


def _odd(words: frozenset[str], named: Iterable[Table]) -> Statement:
    """What may be anything."""
    whole = tuple(map(Rows, named))
    if not words & _WRITES:
        return Statement(whole)
    cascades = {name for rows in whole for name in rows.table.deleted_with}
    if "cascade" in words:
        cascades |= {name for rows in whole for name in rows.table.emptied_with}
    return Statement(whole, _with_cascades(whole, cascades))


def _with_cascades(rows: tuple[Rows, ...], cascades: Iterable[str]) -> tuple[Rows, ...]:
    """And all rows of these, of which nothing but the name has to be known."""
    return (*rows, *(Rows(Table(name, "", str, numbered=False)) for name in sorted(cascades)))


def _query(tokens: Tokens | None, named: Iterable[Table]) -> Statement:
    if tokens is None:
        return Statement(tuple(map(Rows, named)))
    pinned = grammar.Conditions(tokens)
    reads = tuple(Rows(table, pinned.keys(table.name, table.key)) for table in named)
    return Statement(reads, parameters=tokens.parameters)


def _others(target: Table | None, named: Iterable[Table]) -> tuple[Rows, ...]:
    """What a statement reads that writes this table."""
    return tuple(Rows(table) for table in named if table is not target)


def _by_name(name: str, named: Iterable[Table]) -> Table | None:
    return next((table for table in named if table.name == name), None)


_NAME = r"""(?:"\w+"|`\w+`|\w+)"""
_INTO = re.compile(rf"(?:insert|replace)(?:\s+\w+){{0,2}}?\s+into\s+(?:{_NAME}\.)?({_NAME})[\s(]")


def _insert(
    text: str, tokens: Tokens | None, words: frozenset[str], named: list[Table]
) -> Statement | None:
    match = _INTO.match(text)
    if match is None:
        return None
    table = _by_name(match[1].strip('"`'), named)
    reads = _others(table, named)
    if table is None:
        return Statement(reads)
    replaces = "replace" in words
    if replaces or tokens is None or words & {"duplicate", "update"}:
        cascades = table.deleted_with if replaces else ()
        return Statement(reads, _with_cascades((Rows(table),), cascades))
    values = grammar.values_in(tokens, table.key)
    if values is not None and values.keys is not None:
        return Statement(reads, (Rows(table, values.keys),), tokens.parameters)
    made = Made(table, values.rows if values else 0, grammar.returned(tokens, table.key))
    return Statement(reads, made=made, parameters=tokens.parameters)


def _update(tokens: Tokens, words: frozenset[str], named: list[Table]) -> Statement | None:
    name, columns = grammar.assigned_in(tokens)
    if name is None:
        return None
    table = _by_name(name, named)
    if table is None:
        return Statement(_others(None, named))
    rows = Rows(table, grammar.Conditions(tokens).keys(table.name, table.key))
    reads = _others(table, named) + ((rows,) if "returning" in words else ())
    if columns is None or table.key in columns:
        rows = Rows(table)
    elif columns <= table.ignored:
        return Statement(reads, parameters=tokens.parameters)
    return Statement(reads, (rows,), tokens.parameters)


def _delete(tokens: Tokens, words: frozenset[str], named: list[Table]) -> Statement | None:
    name = grammar.deleted_from(tokens)
    if name is None:
        return None
    table = _by_name(name, named)
    if table is None:
        return Statement(_others(None, named))
    rows = Rows(table, grammar.Conditions(tokens).keys(table.name, table.key))
    reads = _others(table, named) + ((rows,) if "returning" in words else ())
    return Statement(reads, _with_cascades((rows,), table.deleted_with), tokens.parameters)
