"""What is under way: exchanges by their ids, what waits to be sent, and who waits for a place among those in flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from itertools import count

import httpx

from wsrequest.client.exchange import Exchange
from wsrequest.protocol.client import ClientConnection

#: Bytes that messages which wait together may have to go in one frame.
_TOGETHER = 2**15


class Table:
    """Belongs to one event loop, and to one link."""

    def __init__(self) -> None:
        self.exchanges: dict[int, Exchange] = {}
        #: How many requests the server runs at once.
        self.in_flight: int | None = None
        self.outbox: deque[Exchange | bytes] = deque()
        self.filled = asyncio.Event()
        #: Set when anything ended, began, or was read.
        self.moved = asyncio.Event()
        self._ids = count(1)
        self._places: deque[asyncio.Future[None]] = deque()

    def __iter__(self) -> Iterator[Exchange]:
        """A copy: what is done to one may take it out."""
        return iter(tuple(self.exchanges.values()))

    @property
    def has_one_only(self) -> bool:
        """Whether nobody but one exchange could have anything to wait for."""
        return len(self.exchanges) == 1 and not self._places

    def new_id(self) -> int:
        return next(self._ids)

    def add(self, exchange: Exchange, *, send: bool) -> None:
        """By an id that was never used."""
        exchange.id = self.new_id()
        exchange.is_sent = False
        self.exchanges[exchange.id] = exchange
        if send:
            self.put(exchange)
        self.moved.set()

    def begin_anew(self) -> None:
        """On a connection on which nothing was sent."""
        self.outbox.clear()
        old = list(self.exchanges.values())
        self.exchanges.clear()
        for exchange in old:
            self.add(exchange, send=True)
        self.give_places()

    def remove(self, exchange: Exchange) -> None:
        """The last word on it was said."""
        self.exchanges.pop(exchange.id, None)
        with contextlib.suppress(ValueError):
            self.outbox.remove(exchange)
        self.moved.set()
        self.give_places()

    def replace(self, exchange: Exchange, other: Exchange) -> None:
        """What the server says by this id is for another one from now on."""
        if self.exchanges.get(exchange.id) is exchange:
            self.exchanges[exchange.id] = other

    def put(self, message: Exchange | bytes) -> None:
        """To be sent."""
        self.outbox.append(message)
        self.filled.set()

    def put_again(self, exchange: Exchange) -> None:
        """Where it was not sent meanwhile, and is still wanted."""
        is_here = self.exchanges.get(exchange.id) is exchange
        if is_here and not exchange.is_sent and exchange not in self.outbox:
            self.put(exchange)

    def together(self, connection: ClientConnection) -> list[bytes]:
        """What waits to be sent, as much of it as goes well into one frame."""
        assert connection.hello is not None
        most = min(_TOGETHER, connection.hello.limits.message_bytes or _TOGETHER)
        messages: list[bytes] = []
        size = 1
        while self.outbox:
            waiting = self.outbox[0]
            message = waiting
            if isinstance(message, Exchange):
                message = connection.ask(message.asked(message.id))
            size += len(message) + 1  # and what stands between two of an array
            if messages and size > most:
                break
            if isinstance(waiting, Exchange):
                waiting.is_sent = True
                waiting.tries += 1
            self.outbox.popleft()
            messages.append(message)
        return messages

    async def place(self, timeout: float | None) -> None:  # noqa: ASYNC109
        """Wait until one more request may be in flight. Raises PoolTimeout."""
        while not self._free():
            turn = asyncio.get_running_loop().create_future()
            self._places.append(turn)
            try:
                async with asyncio.timeout(timeout):
                    await turn
            except TimeoutError:
                raise httpx.PoolTimeout(
                    f"All requests that may be in flight at once were so for {timeout} seconds"
                ) from None
            finally:
                if turn in self._places:
                    self._places.remove(turn)
        self.give_places()

    def give_places(self) -> None:
        """Wake as many as may go on; each of them looks again, in the same step in which it starts."""
        for turn in tuple(self._places)[: self._free()]:
            self._places.remove(turn)
            if not turn.done():
                turn.set_result(None)

    def _free(self) -> int:
        """How many more may be in flight."""
        if self.in_flight is None:
            return len(self._places) + 1
        return max(0, self.in_flight - sum(exchange.is_running for exchange in self))
