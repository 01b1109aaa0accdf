"""What the package logs: the loggers, and what stands on each record.

``wsrequest.connection``
    DEBUG when a connection opens and closes; WARNING when a handshake is refused, or a connection is closed because a
    limit was hit or the peer is silent; ERROR when a transport fails.
``wsrequest.request``
    DEBUG for each answer; WARNING when REQUEST_TIMEOUT has run out; ERROR for what got past Django, whose own errors
    go to ``django.request`` as they do over HTTP.
``wsrequest``
    Everything else.
``wsrequest.push``
    WARNING for a subscription whose connection does not read, for what a broker carries and nobody can read, and for a
    broker that is lost, is back, or can't reach all processes; ERROR for what a broker did not take after a commit.

Records bear ``connection_id`` and ``message_id`` (``message`` is the name of a record's own text), and ``close_code``,
``status_code`` and ``duration`` (seconds) where these are known; the two ids stand in the text, too. What a client sent
is written with its control characters escaped, and cut; query strings, headers that authorize, tokens and cookies are
not logged at all.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from wsrequest.errors import HandshakeRefused, WSRequestError
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.messages import Request

connection_log = logging.getLogger("wsrequest.connection")
request_log = logging.getLogger("wsrequest.request")
push_log = logging.getLogger("wsrequest.push")

#: Close codes that say that a limit was hit, or that the peer is to blame.
LIMITS_HIT = {
    4011: "idle without a user",
    4029: "too many messages",
    4101: "too many connections",
    4102: "it does not read",
    4201: "it is silent",
}

#: Characters of anything that a client chose.
MOST_SHOWN = 200


class Throttle:
    """A client must not be able to fill the log: so many warnings of a kind in so many seconds, and no more."""

    def __init__(self, most: int = 10, seconds: float = 60) -> None:
        self._most = most
        self._seconds = seconds
        self._kinds: dict[object, tuple[float, int]] = {}

    def admit(self, kind: object, now: float) -> int | None:
        """How many of this kind were left out since the last one that was let through; None leaves this one out. Kinds
        are remembered, so there must be few of them."""
        begun, seen = self._kinds.get(kind, (now, 0))
        omitted = 0
        if now - begun >= self._seconds:
            begun, omitted, seen = now, max(0, seen - self._most), 0
        self._kinds[kind] = begun, seen + 1
        return omitted if seen < self._most else None

    def reset(self) -> None:
        """Begin anew."""
        self._kinds.clear()


#: The process's own.
throttle = Throttle()


def shown(text: str) -> str:
    """What a client chose, in quotation marks: escaped, and no longer than MOST_SHOWN."""
    return repr(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}...")


def opened(connection: str, address: str | None, subprotocol: str | None) -> None:
    """A connection was opened."""
    connection_log.debug(
        "Connection %s from %s opened (subprotocol %s)",
        connection,
        _address(address),
        subprotocol,
        extra=_facts(connection),
    )


def closed(
    connection: str, address: str | None, code: int | None, seconds: float, *, by_peer: bool
) -> None:
    """A connection is gone. ``code`` is that of the close frame, None where there was none."""
    limit = None if by_peer else LIMITS_HIT.get(code or 0)
    level, omitted = logging.DEBUG, 0
    if limit is not None:
        level = logging.WARNING
        admitted = throttle.admit(code, time.monotonic())
        if admitted is None:
            return
        omitted = admitted
    connection_log.log(
        level,
        "Connection %s from %s closed by %s with %s%s after %.1f s%s",
        connection,
        _address(address),
        "the peer" if by_peer else "the server",
        code,
        f" ({limit})" if limit else "",
        seconds,
        _left_out(omitted),
        extra=_facts(connection, close_code=code, duration=seconds),
    )


def refused(connection: str | None, refusal: HandshakeRefused, handshake: Handshake) -> None:
    """A handshake was refused."""
    omitted = throttle.admit(refusal.code, time.monotonic())
    if omitted is None:
        return
    connection_log.warning(
        "Handshake%s from %s refused with %s (%s): path %s, host %s, origin %s%s",
        f" {connection}" if connection else "",
        _address(handshake.client[0] if handshake.client else None),
        refusal.status,
        refusal.code,
        shown(handshake.path),
        shown(handshake.header(b"host") or ""),
        shown(handshake.header(b"origin") or ""),
        _left_out(omitted),
        extra=_facts(connection, close_code=refusal.close_code, status_code=refusal.status),
    )


def transport_failed(connection: str) -> None:
    """To be called where the exception is handled."""
    connection_log.exception(
        "Connection %s: the transport failed", connection, extra=_facts(connection, close_code=4105)
    )


def receiver_failed(connection: str) -> None:
    """To be called where the exception is handled."""
    connection_log.exception(
        "Connection %s: a receiver of a signal failed", connection, extra=_facts(connection)
    )


def answered(connection: str, message: Request, status: int | None, seconds: float) -> None:
    """A request was answered, or (without a status) is not to be answered any more."""
    if request_log.isEnabledFor(logging.DEBUG):
        request_log.debug(
            "%s %s %s %.3f s%s",
            message.method,
            _path(message),
            "given up after" if status is None else f"answered {status} in",
            seconds,
            _ids(connection, message),
            extra=_facts(connection, message, status_code=status, duration=seconds),
        )


def timed_out(connection: str | None, message: Request, seconds: float) -> None:
    """A request was answered 504, as it took longer than REQUEST_TIMEOUT."""
    omitted = throttle.admit(timed_out, time.monotonic())
    if omitted is not None:
        request_log.warning(
            "%s %s took longer than %g s%s%s",
            message.method,
            _path(message),
            seconds,
            _ids(connection, message),
            _left_out(omitted),
            extra=_facts(connection, message, status_code=504, duration=seconds),
        )


def failed(connection: str | None, message: Request, error: BaseException) -> None:
    """An exception got past Django; the peer is told no more than that."""
    request_log.error(
        "%s %s failed%s",
        message.method,
        _path(message),
        _ids(connection, message),
        exc_info=error,
        extra=_facts(connection, message, status_code=500),
    )


def key_failed(connection: str | None, message: Request, what: str) -> None:
    """To be called where the exception is handled: what the key promises may not hold."""
    request_log.exception(
        "%s %s: %s%s",
        message.method,
        _path(message),
        what,
        _ids(connection, message),
        extra=_facts(connection, message),
    )


def answer_lost(connection: str | None, message: Request, error: BaseException) -> None:
    """There was an answer, and it could not be sent."""
    request_log.error(
        "An answer could not be sent: %s %s%s",
        message.method,
        _path(message),
        _ids(connection, message),
        exc_info=error,
        extra=_facts(connection, message, status_code=500),
    )


def event_unreadable(topic: str, position: tuple[str, int]) -> None:
    """A broker delivered something that is no event."""
    if (omitted := throttle.admit(event_unreadable, time.monotonic())) is not None:
        push_log.warning(
            "Event %s:%d of %s can't be read%s", *position, shown(topic), _left_out(omitted)
        )


def history_unreadable(topic: str, error: BaseException) -> None:
    """A broker has failed in a way that no broker should. It is asked again."""
    if (omitted := throttle.admit(history_unreadable, time.monotonic())) is not None:
        push_log.error(
            "The history of %s can't be read%s", shown(topic), _left_out(omitted), exc_info=error
        )


def word_unreadable(topic: str | None) -> None:
    """A broker delivered something that can't be told to anybody."""
    if (omitted := throttle.admit(word_unreadable, time.monotonic())) is not None:
        about = "all processes" if topic is None else shown(topic)
        push_log.warning("A signal to %s can't be read%s", about, _left_out(omitted))


def not_sent(topic: str | None, error: BaseException) -> None:
    """What waited for a commit could not be sent after it: nobody will hear it. Any thread may say so."""
    if (omitted := throttle.admit(not_sent, time.monotonic())) is not None:
        push_log.error(
            "After a commit, the broker did not take %s%s",
            "what is for connections" if topic is None else f"what is for {shown(topic)}",
            _left_out(omitted),
            exc_info=error,
        )


def change_not_told(error: BaseException) -> None:
    """What commits have written waits for its broker; said once until it is back. Any thread may say so."""
    if (omitted := throttle.admit(change_not_told, time.monotonic())) is not None:
        push_log.warning(
            "The broker does not take what commits have written; it is tried again: %s%s",
            error,
            _left_out(omitted),
            exc_info=None if isinstance(error, WSRequestError) else error,
        )


def slow_consumer(connection: str | None, message: Request, policy: str) -> None:
    """A connection does not read its events as fast as they come. Said once for each subscription."""
    push_log.warning(
        "The client of %s does not read as fast as events come: %s%s",
        _path(message),
        policy,
        _ids(connection, message),
        extra=_facts(connection, message),
    )


def live_write(table: str) -> None:
    """What a live GET wrote while the server ran it again. Said once for each table: it happens with every run."""
    if table not in _live_writes:
        _live_writes.add(table)
        push_log.warning(
            "A live GET writes %s each time that it is run again; live queries are not told of that",
            table,
        )


_live_writes: set[str] = set()


def rerun_failed(url: str, error: BaseException) -> None:
    """A live GET could not be run again, for no fault of its view's; it is tried again."""
    push_log.error(
        "What %s answers could not be found out", shown(url.partition("?")[0]), exc_info=error
    )


def broker_lost(address: str, why: BaseException) -> None:
    """Events may be missed until it is back. ``address`` is without user and password."""
    push_log.warning("The broker at %s is lost: %s: %.200s", address, type(why).__name__, why)


def broker_of_one_process(said: str) -> None:
    """Events stay in the process that published them, and there are several; ``said`` is what says so."""
    push_log.warning(
        "The broker in memory reaches this process only, and there are several (%s): see BROKERS",
        said,
    )


def broker_back(address: str) -> None:
    """Said once after each time that it was lost."""
    push_log.warning("The broker at %s is back", address)


def triggers_lost(address: str, why: BaseException) -> None:
    """What is written there past Django may be missed until they are back."""
    push_log.warning(
        "The triggers at %s can't be heard: %s: %.200s", address, type(why).__name__, why
    )


def triggers_back(address: str) -> None:
    """Said once after each time that they were lost."""
    push_log.warning("The triggers at %s are heard again", address)


def _facts(
    connection: str | None, message: Request | None = None, **known: Any
) -> dict[str, int | str | float | None]:
    return {
        "connection_id": connection,
        "message_id": None if message is None else message.id,
        **known,
    }


def _ids(connection: str | None, message: Request) -> str:
    """``" [connection ..., message 1]"``, where they are known."""
    known = []
    if connection is not None:
        known.append(f"connection {connection}")
    if message.id is not None:
        known.append(f"message {message.id!r}")
    return f" [{', '.join(known)}]" if known else ""


def _path(message: Request) -> str:
    """Not the query string: people put tokens there."""
    return shown((message.url or "").partition("?")[0])


def _address(address: str | None) -> str:
    return "an unknown address" if address is None else shown(address)


def _left_out(omitted: int) -> str:
    return f" (and {omitted} more like it, which were not logged)" if omitted else ""
