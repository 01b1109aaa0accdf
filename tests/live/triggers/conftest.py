"""A depot in a database of its own, whose writes are none of Django's, and who hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.live.triggers.told import Depot, Told
from tests.project.settings import INSTALLED_APPS
from tests.push.postgres.fixtures import ALIAS, alias_of, postgres_server
from tests.push.postgres.server import PostgresServer
from tests.support.database import database, tables
from wsrequest.livequery.ears import Ears

__all__ = ["database", "postgres_server", "tables"]

APP = "tests.live.triggers.depot"


@contextmanager
def depot_in(server: PostgresServer, name: str) -> Iterator[Depot]:
    """The app, and an empty database under its alias."""
    server.execute(f"CREATE DATABASE {name}")
    ignored = ["depot.Crate.seen", "depot.Awkward.ignored"]
    wsrequest = {"LIVE_TRIGGERS": {ALIAS: {}}, "LIVE_IGNORE": ignored}
    with (
        override_settings(INSTALLED_APPS=[*INSTALLED_APPS, APP], WSREQUEST=wsrequest),
        alias_of(server, name),
    ):
        yield Depot(server, name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(to: str = "", **options: object) -> None:
    call_command("migrate", "depot", *filter(None, [to]), database=ALIAS, verbosity=0, **options)


@pytest.fixture
def empty(postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Depot]:
    """Nothing has been migrated."""
    with django_db_blocker.unblock(), depot_in(postgres_server, "bare") as depot:
        yield depot


@pytest.fixture(scope="module")
def depot(postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Depot]:
    with django_db_blocker.unblock(), depot_in(postgres_server, "depot") as depot:
        migrate()
        postgres_server.execute("CREATE TABLE marker (id integer)", database="depot")
        yield depot


@pytest.fixture
async def told(depot: Depot) -> AsyncIterator[Told]:
    """Who hears of it, from now on."""
    await depot.execute("TRUNCATE depot_crate_tags, depot_parcel, depot_crate, depot_tag")
    async with listening(depot) as told:
        yield told


@asynccontextmanager
async def listening(depot: Depot) -> AsyncIterator[Told]:
    """Ears of this loop, once they hear."""
    told = Told(depot)
    ears = Ears(asyncio.get_running_loop(), told.changed, told.all_changed)
    ears.want(True)
    await told.until(lambda: told.unsure == 1)
    yield told
    await ears.close()
