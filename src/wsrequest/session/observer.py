"""What happens on a connection, told to the project's metrics, and request by request to the log.

Where neither wants to hear it there is no observer, and each place that would call one looks for None and goes on.
"""

from __future__ import annotations

import asyncio
import logging

from wsrequest import log
from wsrequest.conf import Settings
from wsrequest.errors import HandshakeRefused, WSRequestError
from wsrequest.lifecycle.threads import WorkerPool
from wsrequest.metrics import Metrics, metrics_in_force
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.messages import Auth, Cancel, Request

#: Methods that are counted under their own names: what a client makes up must not become a label.
METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SUBSCRIBE"}
)

#: What messages are counted as.
KINDS = ((Request, "request"), (Cancel, "cancel"), (Auth, "auth"))


class Observer:
    """The observer of one connection. All is called on its event loop."""

    __slots__ = ("_connection", "_loop", "_metrics", "_peak", "_pool")

    def __init__(self, connection: str, metrics: Metrics | None, pool: WorkerPool) -> None:
        self._connection = connection
        self._metrics = metrics
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._peak = 0

    # The connection.

    def opened(self) -> None:
        if (metrics := self._metrics) is not None:
            metrics.count("connections_opened")
            metrics.gauge_add("connections", 1)

    def closed(self, code: int | None) -> None:
        """``code`` is None where the peer went away: what it says of itself must not become a label."""
        if (metrics := self._metrics) is not None:
            metrics.count("connections_closed", code="peer" if code is None else str(code))
            metrics.gauge_add("connections", -1)
            metrics.observe("outbox_peak_bytes", self._peak)

    def frame_came(self) -> None:
        if self._metrics is not None:
            self._metrics.count("frames_in")

    def message_came(self, event: object) -> None:
        """``event`` is what the protocol made of it. One that asks for nothing more (a ping, one that was refused) has
        been answered already."""
        if self._metrics is not None:
            kinds = (kind for kinds, kind in KINDS if isinstance(event, kinds))
            self._metrics.count("messages_in", kind=next(kinds, "other"))

    def refused(self, error: WSRequestError) -> None:
        """A message never became a request."""
        if self._metrics is not None:
            self._metrics.count("messages_refused", reason=error.code)

    def frame_went(self, size: int, waiting: int) -> None:
        """A frame of ``size`` bytes has gone out. ``waiting`` are the bytes that were not yet sent just before that:
        as they only ever become fewer here, this sees the most that ever wait."""
        if (metrics := self._metrics) is not None:
            metrics.count("frames_out")
            metrics.count("bytes_out", size)
            self._peak = max(self._peak, waiting)

    # Its requests.

    def arrived(self) -> float:
        """A request waits to run. Returns the time, on the clock by which requests are measured."""
        if self._metrics is not None:
            self._metrics.gauge_add("requests_queued", 1)
        return self._loop.time()

    def withdrawn(self) -> None:
        """A request that waited will never run."""
        if self._metrics is not None:
            self._metrics.gauge_add("requests_queued", -1)

    def started(self, arrived: float) -> None:
        """A request that arrived then waits no more, but runs."""
        if (metrics := self._metrics) is not None:
            metrics.gauge_add("requests_queued", -1)
            metrics.gauge_add("requests_in_flight", 1)
            metrics.observe("queue_seconds", self._loop.time() - arrived)
            self._look_at_threads(metrics)

    def finished(self) -> None:
        """A request that ran holds its place no more."""
        if (metrics := self._metrics) is not None:
            metrics.gauge_add("requests_in_flight", -1)
            self._look_at_threads(metrics)

    def answered(self, message: Request, arrived: float, status: int | None) -> None:
        """There is an answer, or the head of a stream; without a status the peer is gone."""
        seconds = self._loop.time() - arrived
        if (metrics := self._metrics) is not None:
            method = message.method if message.method in METHODS else "OTHER"
            group = "none" if status is None else f"{status // 100}xx"
            metrics.count("requests", method=method, status=group)
            metrics.observe("request_seconds", seconds, method=method)
        log.answered(self._connection, message, status, seconds)

    def cut_short(self, error: WSRequestError) -> None:
        """A request, or a stream, has ended with this error instead of its view's answer."""
        if self._metrics is not None:
            self._metrics.count("requests_cut_short", reason=error.code)

    def chunk_went(self, size: int) -> None:
        """A chunk of a stream."""
        if self._metrics is not None:
            self._metrics.count("stream_chunks")
            self._metrics.count("stream_bytes", size)

    def slow_consumer(self, policy: str) -> None:
        """An event could not be sent, as its client does not read."""
        if self._metrics is not None:
            self._metrics.count("slow_consumers", policy=policy)

    def _look_at_threads(self, metrics: Metrics) -> None:
        pool = self._pool
        metrics.gauge("worker_threads", len(pool.workers))
        metrics.gauge("worker_threads_leased", pool.leased)
        metrics.gauge("worker_jobs_waiting", pool.waiting)


def observer_of(connection: str, settings: Settings, pool: WorkerPool) -> Observer | None:
    """The observer of a connection that is being opened; None where nobody wants to hear of it. Whether the log wants
    to is asked here, and not for every request."""
    metrics = metrics_in_force(settings)
    if metrics is None and not log.request_log.isEnabledFor(logging.DEBUG):
        return None
    return Observer(connection, metrics, pool)


def tell_of_refusal(
    connection: str | None, refusal: HandshakeRefused, handshake: Handshake, settings: Settings
) -> None:
    """To be called by a transport that refuses a handshake."""
    log.refused(connection, refusal, handshake)
    if (metrics := metrics_in_force(settings)) is not None:
        metrics.count("connections_refused", reason=refusal.code)
