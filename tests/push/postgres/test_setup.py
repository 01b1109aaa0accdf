"""What a project has to set, and is told where it has not."""

from __future__ import annotations

import asyncio
import sys

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.test import override_settings

from tests.project.settings import INSTALLED_APPS
from tests.push.postgres.fixtures import ALIAS, APP, alias_of, migrate
from tests.push.postgres.threads import execute, on_thread
from wsrequest.errors import BrokerUnavailable, ConfigurationError
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.postgres import PostgresBroker
from wsrequest.push.brokers.postgres.wires import Address, Wire

KEEP = Retention(size=10, ttl=60)
BACKEND = "wsrequest.push.brokers.postgres.PostgresBroker"
TABLES = "SELECT count(*) FROM pg_class WHERE relname LIKE 'wsrequest_%%' AND relkind = 'r'"
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'wsrequest_%%'"

SHOWN = ["work_mem", "application_name", "statement_timeout"]


@pytest.fixture
def empty(postgres_server, django_db_blocker):
    """A database without the tables, under the same alias."""
    postgres_server.execute("CREATE DATABASE empty")
    with django_db_blocker.unblock(), alias_of(postgres_server, "empty") as alias:
        yield alias
    postgres_server.execute("DROP DATABASE empty WITH (FORCE)")


def brokers(**options):
    return {"BROKERS": {"default": {"BACKEND": BACKEND, "OPTIONS": options}}}


def found():
    return [
        message for message in run_checks() if message.id in ("wsrequest.E004", "wsrequest.E005")
    ]


# --- OPTIONS -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"using": "nowhere"}, "DATABASES has no 'nowhere'"),
        ({"using": "default"}, "DATABASES['default'] is a sqlite database, not PostgreSQL"),
        ({"url": "postgresql://"}, "unexpected keyword argument 'url'"),
        ({"channel": ""}, "channel"),
        ({"channel": "x" * 64}, "channel"),
        ({"connections": 0}, "connections"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_options_that_can_not_be_used(options, problem):
    with override_settings(WSREQUEST=brokers(**options)):
        with pytest.raises(ConfigurationError) as raised:
            broker_of()
        [error] = found()
    assert problem in str(raised.value)
    assert (error.id, error.msg) == ("wsrequest.E004", str(raised.value))


def test_without_psycopg(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "wsrequest.push.brokers.postgres")
    with override_settings(WSREQUEST=brokers()):
        [error] = found()
    assert "pip install 'django-websocket-request[postgres]'" in error.msg


def test_without_the_app_the_check_says_so(postgres):
    options = brokers(using=postgres, channel="x" * 63, connections=1)
    with override_settings(WSREQUEST=options):
        [error] = found()
        assert error.id == "wsrequest.E005"
        assert "'postgres'" in error.msg
        assert APP in error.hint
    with override_settings(WSREQUEST=options, INSTALLED_APPS=[*INSTALLED_APPS, APP]):
        assert found() == []
    with override_settings(WSREQUEST={"TOPICS": 5, **options}):
        assert found() == []  # that comes first


# --- the tables --------------------------------------------------------------------------------


async def test_without_the_tables_both_sides_say_what_to_do(empty):
    class Unheard:
        def interrupted(self):
            raise AssertionError

    broker = PostgresBroker(empty)
    listener = broker.listen(asyncio.get_running_loop(), Unheard())
    for asking in (listener.subscribe("/missing/"), listener.members("/missing/")):
        with pytest.raises(ConfigurationError, match=APP):
            await asking
    await listener.close()

    def publish():
        with pytest.raises(ConfigurationError, match="migrate --database postgres"):
            broker.publish("/missing/", b"", KEEP)
        with (
            pytest.raises(ConfigurationError, match="migrate --database postgres"),
            transaction.atomic(using=empty),
        ):
            broker.publish("/missing/", b"", KEEP)

    await on_thread(publish)


def test_the_migration_can_be_taken_back(empty):
    migrate()
    assert (execute(TABLES), execute(FUNCTIONS)) == ([(4,)], [(5,)])
    migrate("zero")
    assert (execute(TABLES), execute(FUNCTIONS)) == ([(0,)], [(0,)])


def test_other_databases_are_left_alone(database):
    before = connection.introspection.table_names()
    with override_settings(INSTALLED_APPS=[*INSTALLED_APPS, APP]):
        call_command("migrate", "wsrequest_postgres", verbosity=0)
        assert ("wsrequest_postgres", "0001_initial") in MigrationLoader(
            connection
        ).applied_migrations
        call_command("migrate", "wsrequest_postgres", "zero", verbosity=0)
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    assert set(connection.introspection.table_names()) <= {*before, "django_migrations"}


def test_in_a_schema_of_the_search_path(empty, postgres_server):
    execute("CREATE SCHEMA events")
    options = {"options": "-c search_path=events,public"}
    with alias_of(postgres_server, "empty", **options):
        migrate()
        broker = PostgresBroker(ALIAS)
        with transaction.atomic(using=ALIAS):
            broker.publish("/schema/", b"", KEEP)
            execute("SET LOCAL search_path = pg_catalog")  # before the commit
        assert broker.publish("/schema/", b"", KEEP).offset == 2
        assert execute("SELECT newest FROM events.wsrequest_topic") == [(2,)]


# --- connections -------------------------------------------------------------------------------


async def test_the_listener_has_an_address_of_its_own(postgres_server, migrated, postgres, listen):
    """A pooler in transaction mode can't be listened through."""
    address = {"host": postgres_server.parameters["host"], "port": postgres_server.port}
    settings = connections.settings[postgres]
    port, settings["PORT"] = settings["PORT"], "1"
    try:
        listener, heard = listen(PostgresBroker(postgres, listener=address))
        await listener.subscribe("/direct/")
        _, lost = listen(PostgresBroker(postgres))
        await lost.until(lambda: lost.turns == ["interrupted"])
        assert heard.turns == []
    finally:
        settings["PORT"] = port


async def test_a_pool_of_djangos(postgres_server, migrated, postgres, listen):
    with alias_of(postgres_server, migrated, pool={"min_size": 1, "max_size": 2}):
        broker = PostgresBroker(ALIAS)
        listener, heard = listen(broker)
        before = await listener.subscribe("/pool/")

        def publish():
            first = broker.publish("/pool/", b"1", KEEP)
            with transaction.atomic(using=ALIAS):
                broker.publish("/pool/", b"2", KEEP)
            return first

        assert (await on_thread(publish)).epoch == before.epoch
        await heard.until(lambda: len(heard.events) == 2)
        await on_thread(connections[ALIAS].close_pool)


async def test_the_role_that_django_assumes(postgres_server, migrated, postgres):
    role = "the\\ owner's role"
    await on_thread(execute, f'CREATE ROLE "{role}"')
    try:
        with alias_of(postgres_server, migrated, assume_role=role, options="-c work_mem=5MB"):
            wire = await Wire.open(Address(ALIAS, {"application_name": "mine"}, 5.0))
        query = "SELECT current_user, " + ", ".join(f"current_setting('{name}')" for name in SHOWN)
        assert list(await wire.ask(query)) == [(role, "5MB", "mine", "5s")]
        wire.close()
    finally:
        await on_thread(execute, f'DROP ROLE "{role}"')


async def test_a_standby_is_as_good_as_nobody(postgres_server, migrated, postgres):
    """It may have been the primary a moment ago."""
    with alias_of(postgres_server, migrated, options="-c default_transaction_read_only=on"):
        broker = PostgresBroker(ALIAS)

        def publish():
            with pytest.raises(BrokerUnavailable):
                broker.publish("/standby/", b"", KEEP)

        await on_thread(publish)
