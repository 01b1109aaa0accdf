"""Events through PostgreSQL, for projects that have no Redis.

:class:`PostgresBroker` publishes through Django's own connection, and so within its transaction;
:class:`~wsrequest.push.brokers.postgres.listener.PostgresListener` hears by LISTEN on a connection of its own. The
tables, and the functions that do the work of publishing, come with the app ``wsrequest.contrib.postgres``.
"""

from __future__ import annotations

try:
    import psycopg  # noqa: F401
except ImportError as error:
    raise ImportError(
        "it needs psycopg 3: pip install 'django-websocket-request[postgres]'"
    ) from error

from wsrequest.push.brokers.postgres.broker import PostgresBroker

__all__ = ["PostgresBroker"]
