"""What a GET read: the tables and rows of the project's models, noted while it runs."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from typing import Any

from wsrequest.push.rows import add, named

#: Seconds for which what a run has left to tasks and threads counts as its own.
AFTERWARDS = 30.0


class Reads:
    """What was read in the context that it was given to, by any thread.

    ``rerun``: the GET is run by the server itself, because something has changed. What such a run writes (when the user
    was last seen, say) invalidates nothing, or it would call itself for ever. That ends a while after its answer: a
    worker that it happened to begin lives on in its context.
    """

    __slots__ = ("_until", "tables")

    def __init__(self, *, rerun: bool = False) -> None:
        #: Tables with the primary keys that were read; None: any row may have been.
        self.tables: dict[str, set[str] | None] = {}
        self._until = math.inf if rerun else -math.inf

    @property
    def rerun(self) -> bool:
        """Whether what is written now is the run's own."""
        return time.monotonic() < self._until

    def answered(self) -> None:
        """The run is over."""
        self._until = min(self._until, time.monotonic() + AFTERWARDS)


#: Of the present context; None where nobody asks.
present: ContextVar[Reads | None] = ContextVar("wsrequest_reads", default=None)


def reading(reads: Reads) -> None:
    """From here on, note in these what the present context reads, and what threads and tasks read that inherit it."""
    present.set(reads)


def depends_on(*models_instances_or_names: Any) -> None:
    """Say what the answer depends on, beside what its view reads through Django's database connections.

    A live subscription runs its GET again when one of these changes: rows of a model, one instance, or what a name of
    the project's own stands for (a file, another service, a key in a cache), for which ``touch(name)`` says that it
    has changed. Called in a view, on any of its ways; where nobody watches it does nothing.

    Raises TypeError for what is none of these, and ValueError for an instance without a primary key, or a name that is
    empty, has a slash or begins with ``@``.
    """
    tables = named(models_instances_or_names, "depends_on()")
    reads = present.get()
    if reads is not None:
        for table, keys in tables.items():
            add(reads.tables, table, keys)
