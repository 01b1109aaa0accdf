"""The Django app: in INSTALLED_APPS it gives the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class WSRequestConfig(AppConfig):
    """Registers :mod:`wsrequest.checks` and :mod:`wsrequest.safety` when the app is ready."""

    name = "wsrequest"
    verbose_name = "WebSocket requests"

    def ready(self) -> None:
        from wsrequest import checks, safety  # noqa: F401 (registers them)
