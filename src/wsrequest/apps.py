"""The Django app: in INSTALLED_APPS it gives the system checks, and sees what every process of the project writes."""

from __future__ import annotations

from django.apps import AppConfig


class WSRequestConfig(AppConfig):
    """When the app is ready: registers :mod:`wsrequest.checks` and :mod:`wsrequest.safety`, and watches the database
    connections for :mod:`wsrequest.livequery`."""

    name = "wsrequest"
    verbose_name = "WebSocket requests"

    def ready(self) -> None:
        from wsrequest import checks, safety  # noqa: F401 (registers them)
        from wsrequest.livequery.tracking import install

        install()
