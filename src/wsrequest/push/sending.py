"""Say something to those who listen, from anywhere: ``publish``, ``notify``, ``touch`` and ``disconnect``.

All of them wait for the commit. What is said inside of a transaction of the database ``using`` is said when that is
committed, and never where it, or the savepoint around the call, is rolled back; outside of one it is said at once.
With ``on_commit=False`` it is said at once in any case. (A broker that keeps its events in the database ``using``
itself writes them there and then, as a part of the transaction.)

Said at once, they raise ``wsrequest.errors.BrokerUnavailable`` where the broker does not answer. After a commit
it is too late for that, as the data is saved: it is logged (``wsrequest.push``) and counted (``publish_failures``).

The functions that begin with ``a`` are for asynchronous code. There a transaction can only be one of synchronous code
that waits in ``async_to_sync()``; they see that one. What enters a transaction by a way of its own (a thread, say) has
to call the synchronous function there. The synchronous functions need no event loop, and make none; on a running one
they work, but a broker on the network holds it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Model
from django.utils.functional import Promise
from msgspec import Raw

from wsrequest import log
from wsrequest.conf import get_settings
from wsrequest.errors import BrokerUnavailable
from wsrequest.events import checked_event, encoded_data
from wsrequest.metrics import metrics_in_force
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Broker, Position, Retention
from wsrequest.push.naming import topic_at, topics_in
from wsrequest.push.publication import (
    Dismissed,
    Noticed,
    Publication,
    Touched,
    Written,
    encoded,
)
from wsrequest.push.rows import named
from wsrequest.push.targets import Everyone, keys_of, target_of
from wsrequest.push.topics import options_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    Url = str | Promise
    User = Model | AnonymousUser | int | str | UUID
    Touchable = Url | Model | type[Model]

#: The code of a connection that the application ends: its client does not come back by itself.
DISCONNECTED = 4010


def publish(
    url_or_urls: Url | Iterable[Url],
    data: Any,
    *,
    event: str = "message",
    to: User | Iterable[User] | None = None,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """Send an event to everyone who is subscribed to this URL, or to these.

    A URL is what ``reverse()`` gives; its query doesn't count: subscribers of all queries of a path hear its events.
    A name that :func:`~wsrequest.topic` gave to a topic is taken, too. A topic that is named twice gets it once.

    ``data`` is anything that Django's ``DjangoJSONEncoder`` takes, and is encoded at once: what becomes of the object
    afterwards changes nothing. ``to`` are the users for whom it is, one or an iterable: instances of AUTH_USER_MODEL or
    primary keys. Other subscribers do not get it; to an empty iterable nothing is sent.

    Raises TypeError and ValueError, naming the argument, for what can't be sent. When it is sent, and what happens
    where the broker is away: see the module.
    """
    sendings = publications(url_or_urls, data, event=event, to=to)
    _send(sendings, using, on_commit=on_commit)


async def apublish(
    url_or_urls: Url | Iterable[Url],
    data: Any,
    *,
    event: str = "message",
    to: User | Iterable[User] | None = None,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """:func:`publish` for asynchronous code."""
    sendings = publications(url_or_urls, data, event=event, to=to)
    await _asend(sendings, using, on_commit=on_commit)


def notify(
    target: User | Everyone,
    event: str,
    data: Any = None,
    *,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """Send ``{"event", "data"}`` to connections, whatever they are subscribed to.

    ``target`` is a user (all of that user's connections, in all processes), the id of one connection
    (``request.websocket.id``), or ``EVERYONE``. A ``str`` is always the id of a connection: for a user whose primary
    key is one, pass the instance. It is said in passing: who is not connected at that moment never hears of it.

    ``data``, ``using`` and ``on_commit`` are as for :func:`publish`.
    """
    _send([_notice(target, event, data)], using, on_commit=on_commit)


async def anotify(
    target: User | Everyone,
    event: str,
    data: Any = None,
    *,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """:func:`notify` for asynchronous code."""
    await _asend([_notice(target, event, data)], using, on_commit=on_commit)


def touch(
    *urls_models_instances_or_names: Touchable,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """Say that something has changed: each subscriber whom it concerns gets what a GET of his own answers now.

    That can be what URLs answer (given as for :func:`publish`): all who are subscribed to one are concerned. Or rows
    that something other than Django has written: a model means all of them, an instance its own, saved or deleted,
    with its primary key. Or what a name stands for that was given to :func:`~wsrequest.depends_on`. These concern the
    live subscriptions whose answers depend on it.

    No data is sent, so nobody sees more than he may. ``using`` and ``on_commit`` are as for :func:`publish`. Raises
    TypeError and ValueError for what is none of these.
    """
    _send(_touches(urls_models_instances_or_names), using, on_commit=on_commit)


async def atouch(
    *urls_models_instances_or_names: Touchable,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """:func:`touch` for asynchronous code."""
    await _asend(_touches(urls_models_instances_or_names), using, on_commit=on_commit)


def disconnect(
    user_or_connection_id: User,
    *,
    code: int = DISCONNECTED,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """Close the connections of a user, or one connection; who is meant by which value is as for :func:`notify`.

    ``code`` is the close code, from 4000 to 4999. It says whether the client comes back: not by itself up to 4099,
    after a while from 4100, at once from 4200.
    """
    _send([_dismissal(user_or_connection_id, code)], using, on_commit=on_commit)


async def adisconnect(
    user_or_connection_id: User,
    *,
    code: int = DISCONNECTED,
    using: str = DEFAULT_DB_ALIAS,
    on_commit: bool = True,
) -> None:
    """:func:`disconnect` for asynchronous code."""
    await _asend([_dismissal(user_or_connection_id, code)], using, on_commit=on_commit)


@dataclass(frozen=True, slots=True)
class Sending:
    """Something that is ready to be said. With ``retention`` it is an event, else a word in passing."""

    broker: Broker
    topic: str | None
    payload: bytes
    retention: Retention | None = None

    def send(self) -> Position | None:
        """Say it; returns the position of an event."""
        if self.retention is None or self.topic is None:
            self.broker.signal(self.topic, self.payload)
            return None
        return self.broker.publish(self.topic, self.payload, self.retention)

    async def asend(self) -> Position | None:
        """The same, on an event loop."""
        if self.retention is None or self.topic is None:
            await self.broker.asignal(self.topic, self.payload)
            return None
        return await self.broker.apublish(self.topic, self.payload, self.retention)

    def takes_part(self, using: str) -> bool:
        """Whether the broker itself makes it a part of a transaction of this database."""
        return self.retention is not None and self.broker.transactional == using


def publications(url_or_urls: Any, data: Any, *, event: str, to: Any) -> list[Sending]:
    """An event, for each of the topics on its own."""
    topics, keys = topics_in(url_or_urls), keys_of(to)
    payload = encoded(Publication(checked_event(event), Raw(encoded_data(data)), keys))
    if keys is not None and not keys:
        return []  # nobody is nobody, and not everybody
    return [_publication(topic, payload) for topic in topics]


def _publication(topic: str, payload: bytes) -> Sending:
    options = options_of(topic)
    return Sending(broker_of(options.broker), topic, payload, options.retention)


def _touches(things: Sequence[Any]) -> list[Sending]:
    payload = encoded(Touched())
    urls = [thing for thing in things if _is_url(thing)]
    topics = dict.fromkeys(topic_at(url, "touch()") for url in urls)
    sendings = [Sending(broker_of(options_of(topic).broker), topic, payload) for topic in topics]
    tables = named((thing for thing in things if not _is_url(thing)), "touch()")
    if tables:
        written = {table: None if rows is None else sorted(rows) for table, rows in tables.items()}
        sendings.append(Sending(broker_of(), None, encoded(Written(written))))
    return sendings


def _is_url(thing: Any) -> bool:
    """Or the name of a topic, or meant to be one: what :func:`~wsrequest.depends_on` takes is spelled otherwise."""
    if not isinstance(thing, str | Promise):
        return False
    text = str(thing)
    return not text or text[0] == "@" or "/" in text


def _notice(target: Any, event: str, data: Any) -> Sending:
    user, connection = target_of(target, "target", everyone=True)
    said = Noticed(checked_event(event), Raw(encoded_data(data)), user, connection)
    return Sending(broker_of(), None, encoded(said))


def _dismissal(target: Any, code: Any) -> Sending:
    user, connection = target_of(target, "user_or_connection_id", everyone=False)
    if not isinstance(code, int) or not 4000 <= code <= 4999:
        raise ValueError(f"code: it is an integer from 4000 to 4999, not {code!r}.")
    return Sending(broker_of(), None, encoded(Dismissed(code, user, connection)))


#: Whoever wants to know, in tests, what is said: called before the commit.
listeners: list[Callable[[Sequence[Sending]], None]] = []


def _tell_listeners(sendings: Sequence[Sending]) -> None:
    for listener in tuple(listeners):
        listener(sendings)


def _send(sendings: Sequence[Sending], using: str, *, on_commit: bool) -> None:
    _tell_listeners(sendings)
    if on_commit and _sent_with_transaction(sendings, using):
        return
    for sending in sendings:
        sending.send()


async def _asend(sendings: Sequence[Sending], using: str, *, on_commit: bool) -> None:
    _tell_listeners(sendings)
    if on_commit:
        if _sent_with_transaction(sendings, using):
            return
        if _is_waited_for() and await sync_to_async(_sent_with_transaction)(sendings, using):
            return
    for sending in sendings:
        await sending.asend()


def _is_waited_for() -> bool:
    """Whether synchronous code waits in ``async_to_sync()`` for what runs here. It may be in a transaction, which only
    its own thread can see."""
    return (
        getattr(AsyncToSync.executors, "current", None) is not None
        or asyncio.get_running_loop() in AsyncToSync.loop_thread_executors  # in a task of its own
    )


def _sent_with_transaction(sendings: Sequence[Sending], using: str) -> bool:
    """Leave it to the transaction of this thread; False where there is none."""
    connection = transaction.get_connection(using)
    # Without autocommit there always is one, and Django refuses to wait for its end. A connection that was not opened
    # has none, and is not opened for this.
    if not connection.in_atomic_block and (connection.connection is None or connection.autocommit):
        return False
    waiting = [sending for sending in sendings if not sending.takes_part(using)]
    if waiting:
        transaction.on_commit(_AfterCommit(waiting).send, using=using, robust=True)
    for sending in sendings:
        if sending.takes_part(using):
            sending.send()
    return True


class _AfterCommit:
    """What is said after a commit. It must not fail: who committed has done what was asked for."""

    def __init__(self, sendings: Sequence[Sending]) -> None:
        self._sendings = sendings

    def send(self) -> None:
        away: dict[Broker, BrokerUnavailable] = {}  # each is waited for once
        for sending in self._sendings:
            error = away.get(sending.broker)
            if error is None:
                try:
                    sending.send()
                except BrokerUnavailable as raised:
                    error = away[sending.broker] = raised
            if error is not None:
                _count_failure(sending, error)


def _count_failure(sending: Sending, error: BrokerUnavailable) -> None:
    log.not_sent(sending.topic, error)
    if (metrics := metrics_in_force(get_settings())) is not None:
        metrics.count("publish_failures")
