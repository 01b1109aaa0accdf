"""Which changes concern which queries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from wsrequest.livequery.interest import Interest
from wsrequest.push.rows import Tables

#: Changes that are kept for the snapshots that are being taken.
KEPT = 1024

Query = TypeVar("Query")


def concerns(change: Tables | None, reads: Tables) -> bool:
    """Whether what was written was among what was read. None: nobody knows what was written."""
    if change is None:
        return True
    for table, written in change.items():
        if table in reads:
            read = reads[table]
            if read is None or (read if written is None else any(row in read for row in written)):
                return True
    return False


class Heard:
    """The latest changes, numbered: what a snapshot has read is known only once it is there, and changes that came
    meanwhile may concern it."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._number = 0
        self._kept: deque[Tables | None] = deque(maxlen=KEPT)
        self._marks: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether somebody compares."""
        return bool(self._marks)

    def mark(self) -> int:
        """A snapshot is about to be taken. To be given to :meth:`release` once."""
        self._interest.begin()
        self._marks[self._number] = self._marks.get(self._number, 0) + 1
        return self._number

    def release(self, mark: int) -> None:
        """Nobody will compare with this mark any more."""
        self._marks[mark] -= 1
        if not self._marks[mark]:
            del self._marks[mark]
        if not self._marks:
            self._kept.clear()
        self._interest.end()

    def add(self, change: Tables | None) -> None:
        self._number += 1
        if self._marks:
            self._kept.append(change)

    def since(self, mark: int, reads: Tables) -> bool:
        """Whether a change that came after the mark concerns what was read."""
        missed = self._number - mark
        if missed > len(self._kept):
            return True  # there were more of them than are kept
        return any(
            concerns(change, reads) for change in list(self._kept)[len(self._kept) - missed :]
        )


class Index(Generic[Query]):
    """Queries by what they have read, so that a change costs as much as it concerns."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._whole: dict[str, set[Query]] = {}
        self._rows: dict[str, dict[str, set[Query]]] = {}

    def add(self, query: Query, reads: Tables) -> None:
        self._interest.add(reads)
        for table, rows in reads.items():
            if rows is None:
                self._whole.setdefault(table, set()).add(query)
            elif rows:
                known = self._rows.setdefault(table, {})
                for row in rows:
                    known.setdefault(row, set()).add(query)

    def remove(self, query: Query, reads: Tables) -> None:
        """What was added with these reads."""
        for table, rows in reads.items():
            if rows is None:
                _take(self._whole, table, query)
            elif rows:
                known = self._rows[table]
                for row in rows:
                    _take(known, row, query)
                if not known:
                    del self._rows[table]
        self._interest.remove(reads)

    def replace(self, query: Query, former: Tables, reads: Tables) -> None:
        """What was added with the former reads has these now. What is in both is of interest all the time."""
        self._interest.add(former)
        self.remove(query, former)
        self.add(query, reads)
        self._interest.remove(former)

    def concerned(self, change: Tables) -> set[Query]:
        """The queries that have read something of this."""
        return set(self._concerned(change))

    def _concerned(self, change: Tables) -> Iterator[Query]:
        for table, rows in change.items():
            yield from self._whole.get(table, ())
            known = self._rows.get(table)
            if known is None:
                continue
            for row in known if rows is None else rows:
                yield from known.get(row, ())


def _take(sets: dict[str, set[Query]], key: str, query: Query) -> None:
    queries = sets[key]
    queries.discard(query)
    if not queries:
        del sets[key]
