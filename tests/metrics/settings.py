"""The test project, measured by Prometheus."""

from __future__ import annotations

from tests.project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.metrics.urls"
WSREQUEST = {"METRICS": "wsrequest.contrib.prometheus.PrometheusMetrics"}
