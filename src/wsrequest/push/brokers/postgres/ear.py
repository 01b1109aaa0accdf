"""A connection that listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from psycopg import OperationalError, sql

from wsrequest.push.brokers.postgres.wires import Address, Wire

#: Seconds of silence after which the server is asked whether it is there, and within which it has to answer.
ASK_AFTER = 1.0
ANSWER_WITHIN = 1.0

_OFTEN = 0.25  # seconds between two looks at the clock


class Ear:
    """Tells what it hears, in order, until it is :attr:`deaf`.

    It uses libpq's own functions, none of which waits: psycopg's ``notifies()`` can't be left for a question to the
    server without losing something in some versions.
    """

    def __init__(self, wire: Wire, tell: Callable[[bytes], None]) -> None:
        self._wire = wire
        self._tell = tell
        self._pgconn = wire.connection.pgconn
        self._loop = asyncio.get_running_loop()
        #: Done when the connection is lost, with why.
        self.deaf: asyncio.Future[Exception] = self._loop.create_future()
        self._early: list[bytes] = []
        self._heard_at = self._loop.time()
        self._has_asked = False
        self._asked_at = 0.0
        self._socket = wire.connection.fileno()
        self._watching: asyncio.TimerHandle | None = None
        wire.connection.add_notify_handler(lambda said: self._early.append(said.payload.encode()))

    @classmethod
    async def open(cls, address: Address, channel: str, tell: Callable[[bytes], None]) -> Ear:
        """One that hears from here on, and tells from :meth:`listen` on. Raises psycopg's errors, or TimeoutError."""
        wire = await Wire.open(address)
        ear = cls(wire, tell)
        try:
            await wire.ask(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except BaseException:
            wire.close()
            raise
        return ear

    def listen(self) -> None:
        """Begin to tell."""
        for extra in self._early:
            self._tell(extra)
        self._heard_at = self._loop.time()
        self._loop.add_reader(self._socket, self._read)
        self._watch()
        self._read()  # what has been taken from the socket already

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
        except OperationalError as error:
            self.close(error)
            return
        self._heard_at = self._loop.time()
        while said := self._pgconn.notifies():
            self._tell(said.extra)
        while self._has_asked and not self._pgconn.is_busy():
            self._has_asked = self._pgconn.get_result() is not None

    def _watch(self) -> None:
        silent = self._loop.time() - self._heard_at
        if not self._has_asked and silent >= ASK_AFTER:
            self._ask()
        if self._has_asked and self._is_late():
            # Where it was this loop that was held up, what has come in meanwhile is read first.
            self._loop.call_soon(self._loop.call_soon, self._judge)
        elif not self.deaf.done():
            self._watching = self._loop.call_later(_OFTEN, self._watch)

    def _is_late(self) -> bool:
        return self._loop.time() - max(self._asked_at, self._heard_at) >= ANSWER_WITHIN

    def _judge(self) -> None:
        if self._has_asked and self._is_late():
            self.close(TimeoutError("the server does not answer"))
        elif not self.deaf.done():
            self._watch()

    def _ask(self) -> None:
        try:
            self._pgconn.send_query(b"SELECT")
            self._pgconn.flush()
        except OperationalError as error:
            self.close(error)
        else:
            self._has_asked = True
            self._asked_at = self._loop.time()

    def close(self, why: Exception) -> None:
        """Hear no more. May be called again."""
        if not self.deaf.done():
            if self._watching is not None:
                self._watching.cancel()
            self._loop.remove_reader(self._socket)
            self._wire.close()
            self.deaf.set_result(why)
