"""What a test holds of a subscription."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections
from msgspec import UNSET

from wsrequest.protocol.client import data_of, state_of
from wsrequest.protocol.messages import Said
from wsrequest.testing.connection import CODEC, Closed, Connection, Exchange

Run = Callable[[Coroutine[Any, Any, Any]], Any]

Events = TypeVar("Events")
One = TypeVar("One")
Nothing = TypeVar("Nothing")


class Event(NamedTuple):
    """What a subscription hears. ``offset`` is that of the topic's own events, None for others."""

    event: str
    data: Any
    offset: int | None = None


class Subscription(Generic[Events, One, Nothing]):
    """A subscription that the server has accepted or refused: ``response`` says which.

    What the methods return is awaitable where the client is the asynchronous one.
    """

    def __init__(
        self, connection: Connection, exchange: Exchange, said: Said, response: Any, run: Run
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._run = run
        self._content_type = said.headers.get("content-type", "")
        #: The answer to SUBSCRIBE, as a GET has it.
        self.response = response
        #: What the client holds: the answer's JSON (or text, or bytes), kept up to date by what has been read since.
        self.state: Any = state_of(CODEC, said, self._content_type)
        begun = None if said.subscription is UNSET else said.subscription
        #: Whether the server has accepted it.
        self.accepted = begun is not None
        #: From where ``subscribe(url, since=...)`` goes on: epoch and offset.
        self.position = {"epoch": begun.epoch, "offset": begun.offset} if begun else None
        #: Where ``since`` was given: whether all events since then follow.
        self.recovered = begun.recovered if begun else None
        #: Where ``presence`` was asked for: who was there.
        self.presence = begun.presence if begun else None
        #: With which status the server has ended it; None while it has not.
        self.ended: int | None = None if begun else response.status_code

    def events(self) -> Events:
        """All that it has heard since this was asked last: what was published and written before the call, and came
        to this subscriber."""
        result: Events = self._run(self.read())
        return result

    def next(self) -> One:
        """The next event. AssertionError where there is none, and why that may be."""
        result: One = self._run(self._next())
        return result

    def now(self) -> Any:
        """What the client holds, once it has heard all that was published and written before: ``state``. What was
        heard is not among :meth:`events` any more."""
        return self._run(self._now())

    def cancel(self) -> Nothing:
        """Subscribe no more; returns when the server has ended it."""
        result: Nothing = self._run(self._cancel())
        return result

    async def read(self) -> list[Event]:
        """:meth:`events`, on the connection's own loop."""
        await self._heard()
        return self._taken()

    async def _heard(self) -> None:
        await self._connection.settle()
        failure = self._connection.failure()
        if failure is not None and self.response.client.raise_request_exception:
            raise failure

    def _taken(self) -> list[Event]:
        events = []
        while self._exchange.said:
            event = self._take(self._exchange.said.popleft())
            if event is not None:
                events.append(event)
        return events

    async def _next(self) -> Event:
        while True:
            if not self._exchange.said:
                await self._heard()
            if not self._exchange.said:
                hint = await self._connection.on_test_thread(_hint)
                raise AssertionError(f"No event has come. {hint}".rstrip())
            event = self._take(self._exchange.said.popleft())
            if event is not None:
                return event

    async def _now(self) -> Any:
        await self.read()
        return self.state

    async def _cancel(self) -> None:
        try:
            self._connection.cancel(self._exchange)
        except Closed:
            return
        while (said := await self._connection.next(self._exchange)) is not None:
            self._take(said)

    def _take(self, said: Said) -> Event | None:
        if said.event is UNSET:
            if said.status is not UNSET:
                self.ended = said.status
            return None
        if said.event == "replace":
            data = self.state = state_of(CODEC, said, self._content_type)
        else:
            data = data_of(CODEC, said)
        if said.event == "patch":
            import jsonpatch  # the server has it, or would not send any

            self.state = jsonpatch.apply_patch(self.state, data)
        offset = None if said.offset is UNSET else said.offset
        if offset is not None and self.position is not None:
            epoch = self.position["epoch"] if said.epoch is UNSET else said.epoch
            self.position = {"epoch": epoch, "offset": offset}
        return Event(said.event, data, offset)


def _hint() -> str:
    waiting = [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block
        and any(
            "wsrequest" in (getattr(entry[1], "__module__", "") or "")
            for entry in connection.run_on_commit
        )
    ]
    if not waiting:
        return ""
    return (
        f"Something waits for a commit (of {', '.join(map(repr, waiting))}), which this test does not make: do what"
        " publishes or writes inside of `with self.captureOnCommitCallbacks(execute=True):`."
    )
