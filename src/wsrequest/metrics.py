"""Counters, gauges and histograms, told to whatever the project measures with.

``WSREQUEST["METRICS"]`` is the dotted path to a class that has the methods of :class:`Metrics`, or to an object of one.
Without it nothing is measured, and nothing is spent on it. :mod:`wsrequest.contrib.prometheus` is one for Prometheus.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from django.utils.module_loading import import_string

from wsrequest.conf import Settings

logger = logging.getLogger("wsrequest")


class Metrics(Protocol):
    """The seam. The names, and the labels of each, are those of INSTRUMENTS.

    All is called on the event loop, many times for each message: a method must be quick, and must not block. (Only
    ``publish_failures`` is counted by whichever thread it happens on.) What a method raises is logged, once for each
    name, and otherwise ignored.
    """

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        """It happened once more, or ``value`` times more."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """So many are there now."""

    def gauge_add(self, name: str, value: float, **labels: str) -> None:
        """So many more are there now, or fewer where ``value`` is negative."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram; seconds where the name says so, else bytes."""


class Instrument(NamedTuple):
    """Something that is measured. Each label has few values, whatever clients do."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    #: Of a histogram: where its buckets end.
    buckets: tuple[float, ...] = ()


#: Seconds, from a request that needs nothing to one that somebody complains about.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Bytes, up to the default of MAX_OUTBOX_BYTES and past it.
BYTES = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0)

#: Everything that is measured.
INSTRUMENTS = (
    Instrument("connections", "gauge", "Connections that are open"),
    Instrument("connections_opened", "counter", "Connections that were opened"),
    Instrument("connections_closed", "counter", "Connections that were closed", ("code",)),
    Instrument("connections_refused", "counter", "Handshakes that were refused", ("reason",)),
    Instrument("frames_in", "counter", "Frames that came in"),
    Instrument("frames_out", "counter", "Frames that went out"),
    Instrument("bytes_out", "counter", "Bytes of messages that went out"),
    Instrument("messages_in", "counter", "Messages that came in", ("kind",)),
    Instrument("messages_refused", "counter", "Messages that never became requests", ("reason",)),
    Instrument("outbox_peak_bytes", "histogram", "The most that waited to be sent", buckets=BYTES),
    Instrument("requests", "counter", "Requests that were answered", ("method", "status")),
    Instrument("requests_cut_short", "counter", "Answers that are not the view's own", ("reason",)),
    Instrument("requests_in_flight", "gauge", "Requests that run"),
    Instrument("requests_queued", "gauge", "Requests that wait to run"),
    Instrument(
        "request_seconds", "histogram", "From arrival to answer", ("method",), buckets=SECONDS
    ),
    Instrument("queue_seconds", "histogram", "From arrival to start", buckets=SECONDS),
    Instrument("stream_chunks", "counter", "Chunks of streams"),
    Instrument("stream_bytes", "counter", "Bytes in chunks of streams"),
    Instrument("worker_threads", "gauge", "Threads for synchronous code"),
    Instrument("worker_threads_leased", "gauge", "Threads that one request has to itself"),
    Instrument("worker_jobs_waiting", "gauge", "Jobs that wait for a thread"),
    Instrument("publish_failures", "counter", "What a broker did not take after a commit"),
    Instrument("live_audiences", "gauge", "Live GETs that are kept up to date"),
    Instrument("live_reruns", "counter", "Live GETs that were run again"),
    Instrument("live_reruns_saved", "counter", "Runs of live GETs that were not needed"),
    Instrument("slow_consumers", "counter", "Events for which a client had no room", ("policy",)),
)


def metrics_in_force(settings: Settings) -> Metrics | None:
    """What ``WSREQUEST["METRICS"]`` names, made once in a process; None where nothing is to be measured."""
    if settings.metrics is None:
        return None
    with _making:
        return _made(settings.metrics)


# Two handshakes may be the first ones, and a metrics library takes a name once only.
_making = threading.RLock()  # reentrant: importing somebody's metrics may come back here


@functools.cache
def _made(path: str) -> Metrics:
    found: Any = import_string(path)
    return _Careful(found() if isinstance(found, type) else found)


class _Careful:
    """A project's metrics, whose mistakes must not cost a connection."""

    def __init__(self, metrics: Metrics) -> None:
        self.count = _careful(metrics.count)
        self.gauge = _careful(metrics.gauge)
        self.gauge_add = _careful(metrics.gauge_add)
        self.observe = _careful(metrics.observe)


def _careful(method: Callable[..., None]) -> Callable[..., None]:
    reported: set[str] = set()

    def call(name: str, *args: float, **labels: str) -> None:
        try:
            method(name, *args, **labels)
        except Exception:
            if name not in reported:
                reported.add(name)
                logger.exception("METRICS could not take %r; this is not said again", name)

    return call
