"""What is published, and by which brokers, while a test looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from msgspec import Raw

from wsrequest.push import sending
from wsrequest.push.brokers import made_by
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.naming import topic_at
from wsrequest.push.publication import Dismissed, Noticed, Touched, Written, publication_in, word_in


class Said(NamedTuple):
    """One thing that was said to one url, or in one notice. What does not concern it is None."""

    #: The function: "publish", "notify", "touch" or "disconnect".
    by: str
    #: The path, or the ``@`` name of a topic.
    url: str | None = None
    event: str | None = None
    data: Any = None
    #: Of ``publish(to=...)``: the primary keys of the users, as strings; None for every subscriber.
    to: frozenset[str] | None = None
    #: Of notices and disconnections: a user's primary key as a string, or a connection; neither: everyone.
    user: str | None = None
    connection: str | None = None
    #: Of ``touch()``: tables and primary keys; None for all rows.
    rows: dict[str, list[str] | None] | None = None
    #: Of ``disconnect()``.
    code: int | None = None


class Captured(list[Said]):
    """What was said, in its order."""

    def at(self, url: str) -> list[Said]:
        """What was said to the subscribers of this url."""
        topic = topic_at(url, "url")
        return [said for said in self if said.url == topic]

    def by(self, function: str) -> list[Said]:
        """What was said by "publish", "notify", "touch" or "disconnect"."""
        return [said for said in self if said.by == function]


@contextmanager
def capture_published() -> Iterator[Captured]:
    """Note what ``publish()``, ``notify()``, ``touch()``, ``disconnect()`` and their asynchronous twins say, in all
    threads of this process::

        with capture_published() as published:
            order.pay()
        assert published.at(order.url)[0].data == {"paid": True}

    Noted is what was asked for: before the commit, and also where that never comes. It is sent all the same, when it
    is due. Each of several that are nested notes everything.
    """
    captured = Captured()

    def note(sendings: Sequence[sending.Sending]) -> None:
        captured.extend(_said(each) for each in sendings)

    sending.listeners.append(note)
    try:
        yield captured
    finally:
        sending.listeners.remove(note)


def isolated_brokers() -> AbstractContextManager[None]:
    """Give the test brokers of its own, in memory, whatever the project has configured: nothing is heard from outside,
    no history is left from another test, and nothing needs a network. To be entered before anything connects."""
    return made_by(MemoryBroker)


def _said(said: sending.Sending) -> Said:
    if said.retention is not None:
        publication = publication_in(said.payload)
        data = _value(publication.data)
        return Said("publish", said.topic, publication.event, data, to=publication.to)
    word = word_in(said.payload)
    if isinstance(word, Noticed):
        value = _value(word.data)
        return Said("notify", None, word.event, value, user=word.user, connection=word.connection)
    if isinstance(word, Dismissed):
        return Said("disconnect", user=word.user, connection=word.connection, code=word.code)
    if isinstance(word, Written):
        return Said("touch", rows=word.tables)
    assert isinstance(word, Touched)
    return Said("touch", said.topic)


def _value(data: Raw) -> Any:
    return json.loads(bytes(data))
