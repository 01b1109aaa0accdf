"""Mistakes that the machine has to find: each takes away a part of what live needs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsrequest.livequery import look, sql, tables, tracking
from wsrequest.livequery.sql import Statement
from wsrequest.livequery.writes import Log


def forgets_relations() -> None:
    """The tables of many-to-many relations are nobody's."""
    models = tables._models
    tables._models = lambda: (each for each in models() if not each._meta.auto_created)


def one_audience() -> None:
    """Who asks makes no difference."""
    likeness = look.likeness

    def alike(varies: Any, call: Any) -> Any:
        return likeness(varies._replace(identity=False, cookies=frozenset()), call)

    look.likeness = alike


def forgets_deleted() -> None:
    """What is deleted was not there."""
    sql._delete = lambda tokens, words, named: Statement()


def forgets_too_much() -> None:
    """A savepoint that is rolled back takes the whole transaction with it."""
    Log.back_to = lambda self, savepoint: self._entries.clear()  # type: ignore[method-assign]


def reads_too_little() -> None:
    """Nobody is concerned by rows that are new to him."""
    note = tracking.note

    def note_known(noted: Any, rows: Any, statement: Any, params: Any) -> None:
        if params is None or statement.writes:
            note(noted, rows, statement, params)
        else:
            note(noted, rows[:1], statement, params)

    tracking.note = note_known


MISTAKES: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        forgets_relations,
        one_audience,
        forgets_deleted,
        forgets_too_much,
        reads_too_little,
    )
}


def plant(name: str) -> None:
    MISTAKES[name]()
