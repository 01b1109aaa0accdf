"""Tell all processes what a commit has written. Whoever commits does not wait for it.

A broker on the network is told by a thread of this module's own, which sends what has gathered meanwhile as one. A
failure is logged (``wsrequest.push``) and counted (``publish_failures``); what was to be said then is not said again.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from queue import Empty, SimpleQueue

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import ConfigurationError
from wsrequest.metrics import metrics_in_force
from wsrequest.push.brokers import broker_of
from wsrequest.push.publication import Written, encoded
from wsrequest.push.rows import Tables, add

#: Seconds that the end of the process waits for what was not sent yet.
FLUSH = 5.0


class _Wanted:
    """How many have live queries in this process: event loops, as each has its own."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self.count += number


wanted = _Wanted()


def want() -> None:
    """Here are live queries now, which were none before. To be called before the first of them reads."""
    wanted.add(1)


def unwant() -> None:
    """The opposite of :func:`want`."""
    wanted.add(-1)


def is_heard() -> bool:
    """Whether anybody may hear of a change that is told now."""
    if wanted.count:
        return True
    try:
        return not broker_of().within_process
    except ConfigurationError:
        return True  # which is for :func:`spread` to say


def spread(tables: Tables) -> None:
    """Say that these rows have changed, soon. Never raises."""
    try:
        if not broker_of().within_process:
            _sender.put(tables)
        elif wanted.count:
            _say(tables)
    except Exception as error:  # noqa: BLE001 (logged; whoever committed has done what was asked for)
        _failed(error)


class _Sender:
    """A thread, once there is something to be sent."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Tables | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, tables: Tables) -> None:
        self._waiting.put(tables)
        if self._thread is None:
            self._start()

    def flush(self, seconds: float = FLUSH) -> bool:
        """Wait until what was put before is sent; False where that takes longer."""
        if self._thread is None:
            return True
        sent = threading.Event()
        self._waiting.put(sent)
        return sent.wait(seconds)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wsrequest-spreading", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            gathered = [self._waiting.get()]
            try:
                while len(gathered) < 10_000:
                    gathered.append(self._waiting.get_nowait())
            except Empty:
                pass
            self._send(gathered)

    def _send(self, gathered: Iterable[Tables | threading.Event]) -> None:
        tables: dict[str, set[str] | None] = {}
        flushed: list[threading.Event] = []
        for each in gathered:
            if isinstance(each, threading.Event):
                flushed.append(each)
            else:
                for table, keys in each.items():
                    add(tables, table, keys)
        if tables:
            try:
                _say(tables)
            except Exception as error:  # noqa: BLE001 (logged)
                _failed(error)
        for event in flushed:
            event.set()


def flush(seconds: float = FLUSH) -> bool:
    """Wait until what was written up to now was said; False where that takes longer."""
    return _sender.flush(seconds)


def _say(tables: Tables) -> None:
    said = {table: None if keys is None else sorted(keys) for table, keys in tables.items()}
    broker_of().signal(None, encoded(Written(said)))


def _failed(error: Exception) -> None:
    log.not_sent(None, error)
    if (metrics := metrics_in_force(get_settings())) is not None:
        metrics.count("publish_failures")


_sender = _Sender()


def _forked() -> None:
    """Threads stay with the parent, and so does what waits for them. Locks may have been held by anybody."""
    _sender.__init__()  # type: ignore[misc]
    wanted.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(flush)
