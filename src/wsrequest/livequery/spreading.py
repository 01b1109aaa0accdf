"""Tell all processes what a commit has written. Whoever commits does not wait for it.

The broker is told by a thread of this module's own, which sends what has gathered meanwhile as one. While the broker is
away it is tried again and again, with all that has gathered until then; that it is away is logged (``wsrequest.push``)
and counted (``publish_failures``) once.
"""

from __future__ import annotations

import atexit
import os
import threading
import time

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import ConfigurationError
from wsrequest.livequery.interest import interest
from wsrequest.metrics import metrics_in_force
from wsrequest.push.brokers import broker_of, when_forgotten
from wsrequest.push.publication import Written, encoded
from wsrequest.push.rows import Tables, add

#: Seconds that the end of the process waits for what was not sent yet.
FLUSH = 5.0

#: Seconds between two changes that are sent, at least: what is written meanwhile is one. Else a thread that saves row
#: after row would get half of the interpreter only.
GATHER = 0.02

#: Seconds until a broker that was away is tried again: at first, and at most.
AGAIN = 0.1
LONGEST_PAUSE = 5.0


@when_forgotten
def _unsettled() -> None:
    """There may be another broker."""
    interest.settle(None)


def is_heard() -> bool:
    """Whether anybody may hear of a change that is told now, whatever it is."""
    return concerns(()) or bool(interest.tables)


def concerns(tables: tuple[str, ...]) -> bool:
    """Whether anybody may depend on one of these, as far as is known here."""
    elsewhere = interest.elsewhere
    if elsewhere is None:
        try:
            elsewhere = not broker_of().within_process
        except ConfigurationError:
            return True  # which is for :func:`spread` to say
        interest.settle(elsewhere)
    return elsewhere or interest.looks != 0 or not interest.tables.keys().isdisjoint(tables)


def spread(tables: Tables) -> None:
    """Say that these rows have changed, soon, where that may concern anybody. To be called after the commit. Never
    raises."""
    try:
        if concerns(tuple(tables)):
            broker_of()
            _sender.put(tables)
    except Exception as error:  # noqa: BLE001 (logged; whoever committed has done what was asked for)
        _failed(error)


class _Sender:
    """A thread, once there is something to be sent. What waits is one change, however many it is made of."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, set[str] | None] = {}
        # How many were put here, and how many of them are sent.
        self._put = self._sent = 0
        self._thread: threading.Thread | None = None

    def put(self, tables: Tables) -> None:
        with self._changed:
            for table, keys in tables.items():
                add(self._waiting, table, keys)
            self._put += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wsrequest-spreading", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float = FLUSH) -> bool:
        """Wait until what was put before is sent; False where that takes longer."""
        with self._changed:
            number = self._put
            return self._changed.wait_for(lambda: self._sent >= number, seconds)

    def _run(self) -> None:
        pause = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                tables, self._waiting, number = self._waiting, {}, self._put
            try:
                _say(tables)
            except Exception as error:  # noqa: BLE001 (logged, and tried again)
                if not pause:
                    _failed(error)
                with self._changed:
                    for table, keys in tables.items():
                        add(self._waiting, table, keys)
                pause = min(2 * pause, LONGEST_PAUSE) or AGAIN
                time.sleep(pause)
            else:
                pause = 0.0
                with self._changed:
                    self._sent = number
                    self._changed.notify_all()
                time.sleep(GATHER)


def flush(seconds: float = FLUSH) -> bool:
    """Wait until what was written up to now was said; False where that takes longer."""
    return _sender.flush(seconds)


def _say(tables: Tables) -> None:
    said = {table: None if keys is None else sorted(keys) for table, keys in tables.items()}
    broker_of().signal(None, encoded(Written(said)))


def _failed(error: Exception) -> None:
    log.change_not_told(error)
    if (metrics := metrics_in_force(get_settings())) is not None:
        metrics.count("publish_failures")


_sender = _Sender()


def _forked() -> None:
    """Threads stay with the parent, and so does what waits for them. Locks may have been held by anybody."""
    _sender.__init__()  # type: ignore[misc]
    interest.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(flush)
