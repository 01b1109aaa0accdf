"""A shop on SQLite and on PostgreSQL, and what is told of its changes."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.live.tracking.told import Rows
from tests.project.settings import INSTALLED_APPS
from tests.push.postgres.fixtures import alias_of, postgres_server
from tests.push.postgres.server import PostgresServer
from wsrequest.livequery import spreading
from wsrequest.livequery.interest import interest
from wsrequest.livequery.tracking import Reads, install, reading
from wsrequest.push.brokers import broker_of

__all__ = ["postgres_server"]

LITE = "lite"


@pytest.fixture(scope="module")
def shop(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with (
        override_settings(INSTALLED_APPS=[*INSTALLED_APPS, "tests.live.tracking.shop"]),
        django_db_blocker.unblock(),
    ):
        install()
        yield


def make_tables(alias: str) -> None:
    with connections[alias].schema_editor() as editor:
        for model in apps.get_app_config("shop").get_models():
            editor.create_model(model)


def empty_tables(alias: str) -> None:
    models = apps.get_app_config("shop").get_models(include_auto_created=True)
    connection = connections[alias]
    names = [model._meta.db_table for model in models]
    with connection.constraint_checks_disabled():
        connection.ops.execute_sql_flush(
            connection.ops.sql_flush(no_style(), names, reset_sequences=True)
        )


@contextmanager
def lite(folder: Path, alias: str = LITE) -> Iterator[str]:
    """A file, so that threads see the same."""
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"{alias}.sqlite3")}
    configured = connections.configure_settings({"default": {}, alias: settings})
    connections.settings[alias] = configured[alias]
    try:
        make_tables(alias)
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


@pytest.fixture(scope="module")
def lite_shop(shop: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with lite(tmp_path_factory.mktemp("shop")) as alias:
        yield alias


@pytest.fixture(scope="module")
def second_shop(shop: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with lite(tmp_path_factory.mktemp("shop"), "second") as alias:
        yield alias


@pytest.fixture(scope="module")
def postgres_shop(shop: None, postgres_server: PostgresServer) -> Iterator[str]:
    name = "shop"
    postgres_server.execute(f"DROP DATABASE IF EXISTS {name}")
    postgres_server.execute(f"CREATE DATABASE {name}")
    with alias_of(postgres_server, name) as alias:
        make_tables(alias)
        yield alias


@pytest.fixture(scope="module", params=[LITE, "postgres"])
def each_shop(request: pytest.FixtureRequest) -> str:
    alias: str = request.getfixturevalue(f"{request.param}_shop")
    return alias


@pytest.fixture
def db(each_shop: str) -> Iterator[str]:
    """The alias of a database whose tables are empty."""
    yield each_shop
    empty_tables(each_shop)


@pytest.fixture
def lite_db(lite_shop: str) -> Iterator[str]:
    yield lite_shop
    empty_tables(lite_shop)


@pytest.fixture
def postgres_db(postgres_shop: str) -> Iterator[str]:
    yield postgres_shop
    empty_tables(postgres_shop)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are told by the thread that has written: one after the other, and none together with the next."""
    monkeypatch.setattr(spreading._sender, "put", spreading._say)


@pytest.fixture
def told(at_once: None) -> Iterator[list[Rows]]:
    """What processes are told of changes, one after the other."""
    brokers = {"default": {"BACKEND": "tests.live.tracking.told.ToldBroker"}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        interest.begin()
        yield broker_of().told  # type: ignore[attr-defined]
        interest.end()


@pytest.fixture
def read() -> Callable[..., Rows]:
    """What a function reads."""

    def tracked(function: Callable[[], Any], **options: Any) -> Rows:
        reads = Reads(**options)

        def run() -> None:
            reading(reads)
            function()

        contextvars.copy_context().run(run)
        return reads.tables

    return tracked
