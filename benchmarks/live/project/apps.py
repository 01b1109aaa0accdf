from __future__ import annotations

from django.apps import AppConfig


class LiveBenchConfig(AppConfig):
    name = "benchmarks.live.project"
    label = "live_bench"
    default_auto_field = "django.db.models.BigAutoField"
