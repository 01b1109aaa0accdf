"""A database that a running server and the tests share; a module imports the fixture by name.

pytest-django's own fixtures give each test a database of its own, and empty it in between: too slow for
hundreds of requests, and nothing that a server in another thread could see.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from tests.project.models import Note


@pytest.fixture(scope="session")
def tables(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """pytest-django makes a database only where a test of this run asks for one in its own way."""
    with django_db_blocker.unblock():
        if "project_note" in connection.introspection.table_names():
            yield
            return
        call_command("migrate", run_syncdb=True, verbosity=0)
        yield
        connections.close_all()
        Path(connection.settings_dict["NAME"]).unlink()


@pytest.fixture(scope="module")
def database(tables: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """With the user "ada", whose password is "secret", for one module."""
    with django_db_blocker.unblock():
        get_user_model().objects.create_user("ada", password="secret")
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def no_notes(database: None) -> None:
    Note.objects.all().delete()
