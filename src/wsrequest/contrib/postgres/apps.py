"""The Django app: it has a migration, and nothing else."""

from __future__ import annotations

from django.apps import AppConfig


class PostgresConfig(AppConfig):
    """In INSTALLED_APPS it lets ``migrate`` make what :class:`wsrequest.push.brokers.postgres.PostgresBroker` needs.

    There are no models: events are not for ``dumpdata``, and nothing that a project should write to.
    """

    name = "wsrequest.contrib.postgres"
    label = "wsrequest_postgres"
    verbose_name = "WebSocket requests: PostgreSQL broker"
