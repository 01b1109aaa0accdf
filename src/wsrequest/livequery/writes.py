"""What the transaction of a connection has written so far, to be told when it is committed.

Where that concerns nobody when it is written, as is mostly so, it is left to a callback to ask once more after the
commit (:class:`Late`): somebody may have come meanwhile. Else there is a log. It is held by nothing but the callbacks
that Django keeps for the commit. So it goes where they go: Django drops them with a rollback, and the log is gone with
the last of them.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any

from wsrequest.livequery.interest import interest
from wsrequest.livequery.spreading import concerns, is_heard, spread
from wsrequest.livequery.statements import known_tables
from wsrequest.push.rows import add

_ATTRIBUTE = "_wsrequest_written"


class Log:
    """In the order of the statements: what was written, and the savepoints in between."""

    __slots__ = ("__weakref__", "_entries")

    def __init__(self) -> None:
        self._entries: list[str | dict[str, set[str] | None]] = []

    def latest(self) -> dict[str, set[str] | None]:
        """Where to note what is written now."""
        if not self._entries or isinstance(self._entries[-1], str):
            self._entries.append({})
        latest = self._entries[-1]
        assert isinstance(latest, dict)
        return latest

    def mark(self, savepoint: str) -> None:
        self._entries.append(savepoint)

    def back_to(self, savepoint: str) -> None:
        """Forget what was written since. A savepoint that is not known is older than the log."""
        while self._entries and self._entries[-1] != savepoint:
            self._entries.pop()

    def publish(self) -> None:
        """Say all that was written since the last time."""
        entries, self._entries = self._entries, []
        if len(entries) == 1 and isinstance(entries[0], dict):  # as in most transactions
            if entries[0]:
                spread(entries[0])
            return
        written: dict[str, set[str] | None] = {}
        for entry in entries:
            if not isinstance(entry, str):
                for table, keys in entry.items():
                    add(written, table, keys)
        if written:
            spread(written)

    def hold(self, connection: Any) -> None:
        """Have one of the connection's callbacks that is dropped at the latest where the present write is undone. It is
        the first one: where another one raises, Django calls none of those after it."""
        callbacks = connection.run_on_commit
        if _is_tested(connection):
            callbacks.append((set(connection.savepoint_ids), self.publish, True))
            return
        if callbacks:
            savepoints, callback, _ = callbacks[0]
            if getattr(callback, "__self__", None) is self and savepoints.issubset(
                connection.savepoint_ids
            ):
                return
        callbacks.insert(0, (set(connection.savepoint_ids), self.publish, True))


class Late:
    """What concerned nobody when it was written: whoever has come before the commit hears of it as all rows."""

    __slots__ = ("_callback", "_entry", "_tables")

    def __init__(self, tables: tuple[str, ...] | None) -> None:
        """None: it may be any table."""
        self._tables = tables
        # As Django keeps callbacks. It belongs to no savepoint: what one has undone may be told, too.
        self._callback = self.tell
        self._entry = (frozenset[str](), self._callback, True)

    def tell(self) -> None:
        """It is committed."""
        if interest.heard:
            tables = tuple(known_tables()) if self._tables is None else self._tables
            if concerns(tables):
                spread(dict.fromkeys(tables))

    def wait(self, connection: Any) -> bool:
        """Have it told after the connection's next commit; False where that takes a log."""
        callbacks = connection.run_on_commit
        if callbacks:
            if callbacks[0][1] is self._callback:
                return True
            if self is not ANYTHING:
                return False
        if not (connection.in_atomic_block and connection.commit_on_exit):
            return False
        if _is_tested(connection):
            return self is ANYTHING
        callbacks.insert(0, self._entry)
        return True


#: Of a statement at which nobody has looked.
ANYTHING = Late(None)

#: One for each set of tables that is written by some statement.
late_of = lru_cache(512)(Late)


def log_of(connection: Any) -> Log | None:
    """Of its present transaction; None where nothing was written yet."""
    found = vars(connection).get(_ATTRIBUTE)
    return None if found is None else found()


def _is_tested(connection: Any) -> bool:
    """Whether it is that of a ``TestCase``, which never commits: its callbacks are looked for, and counted, by who
    wants to run them."""
    blocks = connection.atomic_blocks
    return bool(blocks) and blocks[0]._from_testcase


def open_log(connection: Any) -> Log | None:
    """That of the connection's transaction, which is told at its commit. It is for what has been written just now.
    None: nobody will hear."""
    if _is_tested(connection) and not is_heard():
        return None
    log = log_of(connection)
    if log is None:
        log = Log()
        connection.__dict__[_ATTRIBUTE] = weakref.ref(log)
    log.hold(connection)
    if not (connection.in_atomic_block and connection.commit_on_exit):
        _watch_commit(connection)
    return log


def _watch_commit(connection: Any) -> None:
    """Where a project commits by itself, Django calls its callbacks only once autocommit is on again: listen for the
    next commit."""
    if "commit" in vars(connection):
        return

    def commit() -> None:
        vars(connection).pop("commit", None)
        connection.commit()
        log = log_of(connection)
        if log is not None:
            log.publish()

    connection.commit = commit
