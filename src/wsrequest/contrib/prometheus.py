"""The figures of :mod:`wsrequest.metrics` for Prometheus, by its client library (the extra ``prometheus``).

>>> WSREQUEST = {"METRICS": "wsrequest.contrib.prometheus.PrometheusMetrics"}
>>> urlpatterns += [path("metrics/", metrics_view)]

Where several processes serve one port, Prometheus reaches one of them at a time. The library's multiprocess mode
gathers the figures of all; it is on where the environment variable PROMETHEUS_MULTIPROC_DIR names a folder, which has
to be emptied before each start of the server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from wsrequest.conf import get_settings
from wsrequest.lifecycle.request import SocketRequest
from wsrequest.metrics import INSTRUMENTS, Instrument, metrics_in_force

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
except ModuleNotFoundError as missing:
    raise ImportError(
        "Prometheus's client library is not installed:"
        ' pip install "django-websocket-request[prometheus]"'
    ) from missing

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class PrometheusMetrics:
    """Keeps the figures in a registry of Prometheus's client library.

    Name the class in ``WSREQUEST["METRICS"]``; or an object of your own, for another registry, for other names than
    ``wsrequest_...``, or for other buckets: ``buckets`` says by a histogram's name where they end. There can be one
    object with the same names for each registry.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        namespace: str = "wsrequest",
        buckets: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        own_buckets = buckets or {}
        self._metrics = {
            instrument.name: _metric(
                instrument, registry, namespace, own_buckets.get(instrument.name)
            )
            for instrument in INSTRUMENTS
        }
        # It costs more to look up the child for some labels than to keep it; there are few.
        self._children: dict[tuple[object, ...], Any] = {}

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        self._child(name, labels).inc(value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._child(name, labels).set(value)

    def gauge_add(self, name: str, value: float, **labels: str) -> None:
        self._child(name, labels).inc(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._child(name, labels).observe(value)

    def _child(self, name: str, labels: dict[str, str]) -> Any:
        key = (name, *labels.items())
        child = self._children.get(key)
        if child is None:
            metric = self._metrics[name]
            child = self._children[key] = metric.labels(**labels) if labels else metric
        return child


@require_safe
def metrics_view(request: HttpRequest, registry: CollectorRegistry = REGISTRY) -> HttpResponse:
    """What Prometheus asks for, in the format that its Accept header names.

    ``registry`` is another one than the default, from the URLconf: ``path("metrics/", metrics_view, {"registry":
    ...})``. Whoever may GET the url sees the figures, so let your proxy keep others from it. No proxy sees a message,
    so one is answered 404.
    """
    if isinstance(request, SocketRequest):
        raise Http404("The figures are to be had over HTTP only.")
    metrics_in_force(get_settings())  # a process that no socket has reached shows zeros
    if folder := os.environ.get(_FOLDER):
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _metric(
    instrument: Instrument,
    registry: CollectorRegistry,
    namespace: str,
    buckets: Sequence[float] | None,
) -> Counter | Gauge | Histogram:
    common: dict[str, Any] = {
        "name": instrument.name,
        "documentation": f"{instrument.help}.",
        "labelnames": instrument.labels,
        "namespace": namespace,
        "registry": registry,
    }
    if instrument.kind == "counter":
        return Counter(**common)
    if instrument.kind == "gauge":
        return Gauge(**common, multiprocess_mode="livesum")
    return Histogram(**common, buckets=instrument.buckets if buckets is None else buckets)


def _forget_the_dead(folder: Path) -> None:
    """Take the gauges of processes that have ended out of the sums: no server says so for all the ways of ending. What
    they have counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _lives(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 is another matter there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
