"""Putting whatever waits for a connection into frames."""

from __future__ import annotations

from typing import Protocol

from wsrequest import log
from wsrequest.protocol.connection import Connection
from wsrequest.session.observer import Observer
from wsrequest.session.outbox import Outbox
from wsrequest.session.transport import Transport
from wsrequest.session.watch import Watch

#: Bytes up to which waiting messages share a frame: enough to save most of the cost of a frame, and far from the 1 MiB
#: at which WebSocket clients commonly stop reading.
MERGED_BYTES = 2**16


class Writing(Protocol):
    """The session that is written for."""

    id: str
    connection: Connection
    observer: Observer | None
    outbox: Outbox
    transport: Transport
    watch: Watch

    def written(self) -> None:
        """There is more room: something may begin, or be over."""

    def forsake(self) -> None:
        """Nobody reads any more."""

    def close(self, code: int) -> None:
        """Close with this code."""

    def writer_gone(self) -> None:
        """There is nothing more to write; the outbox will call when there is."""


async def write(session: Writing) -> None:
    """Put whatever is waiting into one frame, for as long as there is something."""
    outbox, watch, codec = session.outbox, session.watch, session.connection.codec
    merged = MERGED_BYTES if session.connection.negotiated else 0
    try:
        while messages := outbox.take(merged):
            frame = codec.frame(messages)
            watch.sending()
            await session.transport.send(frame)
            watch.sent()
            if session.observer is not None:
                session.observer.frame_went(sum(map(len, messages)), outbox.size)
            outbox.sent(messages)
            session.written()
    except OSError:
        session.forsake()
    except Exception:  # noqa: BLE001 (logged)
        log.transport_failed(session.id)
        session.close(4105)
        session.forsake()
    finally:
        session.writer_gone()
