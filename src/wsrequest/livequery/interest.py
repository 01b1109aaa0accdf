"""What live queries of this process depend on, those of all its event loops, as threads that write look it up.

Whoever writes asks after the commit, and whoever watches says so before reading. So what was found to concern nobody
is there to be read by all that come later. While a GET is run for a live query nobody knows yet what it will have read,
and all tables are of interest. It is first asked whether one is run, and then for tables: a run makes its tables known
before it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Interest:
    """Changed by event loops, read by any thread."""

    __slots__ = ("_lock", "elsewhere", "heard", "looks", "tables")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Whether other processes hear, too, of whose interest nothing is known here; None: that is to be found out.
        self.elsewhere: bool | None = None
        #: Whether anybody may hear of a change that is told now, whatever it is.
        self.heard = True
        #: GETs that are being run, or are about to be.
        self.looks = 0
        #: The tables that queries have read, by how many.
        self.tables: dict[str, int] = {}

    def begin(self) -> None:
        """A GET is about to be run. To be called before it reads; each has its :meth:`end`."""
        with self._lock:
            self.looks += 1
            self.heard = True

    def end(self) -> None:
        """What it has read is known by now, or nothing became of it."""
        with self._lock:
            self.looks -= 1
            self._settle()

    def add(self, tables: Iterable[str]) -> None:
        """A query has read these."""
        with self._lock:
            for table in tables:
                self.tables[table] = self.tables.get(table, 0) + 1
            self._settle()

    def remove(self, tables: Iterable[str]) -> None:
        """What was added for a query."""
        with self._lock:
            for table in tables:
                left = self.tables.get(table, 0) - 1
                if left > 0:
                    self.tables[table] = left  # it is there all the time, for those who look now
                else:
                    self.tables.pop(table, None)
            self._settle()

    def settle(self, elsewhere: bool | None) -> None:
        """Whether other processes hear what is told here."""
        with self._lock:
            self.elsewhere = elsewhere
            self._settle()

    def _settle(self) -> None:
        self.heard = self.elsewhere is not False or self.looks != 0 or bool(self.tables)


#: The process's own.
interest = Interest()
