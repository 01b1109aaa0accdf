"""Rows that a statement returns, fetched at once.

SQLite runs such a statement no further than its rows are fetched: outside of a transaction an ``INSERT ... RETURNING``
(Django's, for each new row) is committed with the last of them. To tell of the write before that would be too early: a
GET that is run at once would not find it, and nothing would be told again.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Self


def fetch_now(wrapper: Any) -> Fetched | None:
    """Have a cursor of Django's fetch what its statement has returned; whoever asks it for the rows gets them still.

    Returns what stands in for the driver's cursor from now on, where something has to.
    """
    if wrapper.cursor.description is None:
        return None
    wrapper.cursor = fetched = Fetched(wrapper.cursor)
    return fetched


class Fetched:
    """A driver's cursor, and the rows that it has given already."""

    __slots__ = ("_cursor", "_rows")

    def __init__(self, cursor: Any) -> None:
        self._cursor: Any = cursor._cursor if isinstance(cursor, Fetched) else cursor
        self._rows = deque(self._cursor.fetchall())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._rows.popleft() if self._rows else next(self._cursor)

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else self._cursor.fetchone()

    def close(self) -> None:
        self._cursor.close()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        most = self._cursor.arraysize if size is None else size
        return [row for _, row in zip(range(most), self, strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self)

    def execute(self, *arguments: Any) -> Any:
        self._rows.clear()
        return self._cursor.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._rows.clear()
        return self._cursor.executemany(*arguments)
