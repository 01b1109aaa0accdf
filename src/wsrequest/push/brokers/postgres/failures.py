"""What the database's errors are called here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import utils
from psycopg import errors

from wsrequest.errors import BrokerUnavailable, ConfigurationError

_Missing = errors.UndefinedTable | errors.UndefinedFunction


@contextmanager
def translated(using: str) -> Iterator[None]:
    """Raises :class:`~wsrequest.errors.BrokerUnavailable` for what may be over soon, and
    :class:`~wsrequest.errors.ConfigurationError` where the tables are missing, whether psycopg says it or Django."""
    try:
        yield
    except (psycopg.Error, utils.Error, OSError, TimeoutError) as error:
        said = error.__cause__ if isinstance(error, utils.Error) else error
        if isinstance(said, _Missing):
            raise ConfigurationError(
                f"The database {using!r} lacks the tables of PostgresBroker: add 'wsrequest.contrib.postgres' to "
                f"INSTALLED_APPS, and run `manage.py migrate --database {using}`."
            ) from error
        if isinstance(said, _PASSING):
            raise BrokerUnavailable from error
        raise


#: A read-only transaction is what a standby has, which may have been the primary a moment ago.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    OSError,
    TimeoutError,
)
