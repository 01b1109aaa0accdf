"""What triggers in PostgreSQL say of writes that nobody here has made; see ``contrib/postgres/triggers.py``.

While an event loop has live queries it listens, by one connection to each database of LIVE_TRIGGERS. What was written
while nothing could be heard is not known, and may be anything.

What the project itself writes to such a table is told twice: by the process that wrote it, through the broker, and by
the trigger. Neither could be left out without losing what only the other one knows. So what is said of these tables
waits a moment for what comes from the other side, and both are one change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import ConfigurationError
from wsrequest.livequery.statements import known_tables
from wsrequest.push.rows import Tables, add, folded

if TYPE_CHECKING:
    from wsrequest.push.brokers.postgres.hearing import Hearing
    from wsrequest.push.brokers.postgres.wires import Address

#: As triggers call it.
CHANNEL = "wsrequest_live"

#: Seconds that the server has to answer a connection that is made.
TIMEOUT = 5.0

#: Seconds for which what is told twice waits for its twin.
TWINS = 0.02


class Ears:
    """Those of one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[Tables], None],
        all_changed: Callable[[], None],
    ) -> None:
        """``changed`` is told what was written, ``all_changed`` that something may have been. Raises
        :class:`~wsrequest.errors.ConfigurationError` where LIVE_TRIGGERS can't be used."""
        self._loop = loop
        self._changed = changed
        self._all_changed = all_changed
        self._addresses = addresses()
        self._ears: list[_Ear] = []
        self._closing: set[asyncio.Task[None]] = set()
        # Tables that triggers have spoken of, and what waits for its twin.
        self._twice: set[str] = set()
        self._waiting: dict[str, set[str] | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def want(self, wanting: bool) -> None:
        """Whether there are live queries."""
        if wanting:
            self._ears = [_Ear(self._loop, address, self) for address in self._addresses]
        else:
            for ear in self._ears:
                closing = self._loop.create_task(ear.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            self._ears = []

    async def close(self) -> None:
        self.want(False)
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._closing)

    def told(self, tables: Tables) -> None:
        """A process has said that it wrote these."""
        twice = self._twice.intersection(tables)
        if len(twice) < len(tables):
            self._changed({table: rows for table, rows in tables.items() if table not in twice})
        for table in twice:
            self._wait(table, tables[table])

    def heard(self, table: str, rows: Collection[str] | None) -> None:
        """A trigger has said so."""
        self._twice.add(table)
        self._wait(table, rows)

    def unsure(self) -> None:
        """What was written up to now may not have been heard."""
        self._all_changed()

    def _wait(self, table: str, rows: Collection[str] | None) -> None:
        add(self._waiting, table, rows)
        if self._timer is None:
            self._timer = self._loop.call_later(TWINS, self._enough)

    def _enough(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        self._changed(waiting)


class _Ear:
    """On one database."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address, ears: Ears) -> None:
        self._name = f"DATABASES[{address.using!r}]"
        self._ears = ears
        self._is_lost = False
        self._hearing = _hearing(loop, address, self)

    async def close(self) -> None:
        await self._hearing.close()

    def heard(self, extra: bytes) -> None:
        """A notification."""
        try:
            said = json.loads(extra)
            table, keys, only = folded(said["table"]), said["keys"], said["only"]
            known = known_tables().get(table)
            if known is None:
                return  # no query here can have read it
            if only is not None and known.ignored.issuperset(map(str.lower, only)):
                return
            rows = None if keys is None else {known.key_of(key) for key in keys}
            if rows and said["column"].lower() != known.key:
                rows = None  # another column was the key when the triggers were made
        except (ValueError, TypeError, LookupError, AttributeError):
            self._ears.unsure()  # a trigger of another version may have said it
        else:
            self._ears.heard(table, None if rows is None or None in rows else rows)  # type: ignore[arg-type]

    def begun(self) -> None:
        """Of what was written before, nothing was heard: not by the first connection either, as the queries for which
        it was made have read by then."""
        if self._is_lost:
            self._is_lost = False
            log.triggers_back(self._name)
        self._ears.unsure()

    def failed(self, why: Exception) -> None:
        """It is tried again."""
        if not self._is_lost:
            self._is_lost = True
            log.triggers_lost(self._name, why)


def addresses() -> list[Address]:
    """The databases of LIVE_TRIGGERS. Raises :class:`~wsrequest.errors.ConfigurationError`."""
    return [_address(alias, different) for alias, different in get_settings().live_triggers.items()]


def _address(alias: str, different: Any) -> Address:
    where = f"WSREQUEST['LIVE_TRIGGERS'][{alias!r}] can't be used"
    try:
        from wsrequest.push.brokers.postgres.wires import Address, postgres_problem
    except ImportError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    if problem := postgres_problem(alias):
        raise ConfigurationError(f"{where}: {problem}")
    return Address(alias, different, TIMEOUT)


def _hearing(loop: asyncio.AbstractEventLoop, address: Address, ear: _Ear) -> Hearing:
    from wsrequest.push.brokers.postgres.hearing import Hearing

    return Hearing(loop, address, CHANNEL, ear)
