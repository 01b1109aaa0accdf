"""LiveTriggers in a project's migrations: there and back, and as SQL."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import OperationWriter
from django.test import override_settings

from tests.live.triggers.conftest import APP, migrate
from tests.live.triggers.told import Depot
from tests.project.settings import INSTALLED_APPS
from tests.push.postgres.fixtures import ALIAS
from wsrequest.contrib.postgres.operations import LiveTriggers

TRIGGERS = """
SELECT relname, count(*), bool_and(tgname LIKE 'wsrequest_live_%') FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal GROUP BY relname ORDER BY relname COLLATE "C"
"""
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'wsrequest_%'"
ARGUMENTS = """
SELECT DISTINCT tgargs FROM pg_trigger
WHERE tgrelid = '{}'::regclass AND NOT tgisinternal
"""
TABLES = [
    "Odd name-d",
    "depot_crate",
    "depot_crate_tags",
    "depot_parcel",
    "depot_slot",
    "depot_tag",
    "written",
]


def apply(operation: LiveTriggers, *, backwards: bool = False, app: str = "depot") -> None:
    """As a migration of the app does, after all others."""
    state = MigrationLoader(connections[ALIAS]).project_state()
    with connections[ALIAS].schema_editor() as editor:
        if backwards:
            operation.database_backwards(app, editor, state, state)
        else:
            operation.database_forwards(app, editor, state, state)


def arguments_of(depot: Depot, table: str) -> list[str]:
    [(said,)] = depot.execute_now(ARGUMENTS.format(table))
    *arguments, last = said.decode().split("\0")
    assert last == ""
    return arguments


def test_there_and_back_and_there_again(empty: Depot) -> None:
    for _ in range(2):
        migrate()
        assert empty.execute_now(TRIGGERS) == [(table, 4, True) for table in TABLES]
        assert empty.execute_now(FUNCTIONS) == [(1,)]
        migrate("0001")
        assert empty.execute_now(TRIGGERS) == []
        assert empty.execute_now(FUNCTIONS) == [(0,)]
    migrate("zero")
    assert empty.execute_now("SELECT count(*) FROM pg_class WHERE relname LIKE 'depot%'") == [(0,)]


def test_the_function_stays_while_a_table_needs_it(empty: Depot) -> None:
    migrate("0001")
    crate, tag = LiveTriggers(["Crate"]), LiveTriggers(["depot.tag"])
    for operation in (crate, crate, tag):
        apply(operation)
    apply(crate, backwards=True)
    assert empty.execute_now(TRIGGERS) == [("depot_tag", 4, True)]
    assert empty.execute_now(FUNCTIONS) == [(1,)]
    apply(tag, backwards=True)
    assert empty.execute_now(FUNCTIONS) == [(0,)]


def test_what_triggers_are_told_of_columns(empty: Depot) -> None:
    migrate()
    assert arguments_of(empty, "depot_crate") == ["id", "lastSeen"]
    assert arguments_of(empty, "depot_parcel") == ["code"]
    assert arguments_of(empty, "depot_slot") == [""]
    assert arguments_of(empty, "written") == ["keys", "ignored"]
    ignored = ["depot.Crate.label", "depot.Crate", "nowhere.Model.field"]
    with override_settings(WSREQUEST={"LIVE_IGNORE": ignored}):
        apply(LiveTriggers(["Crate", "Awkward"]))
    assert arguments_of(empty, "depot_crate") == ["id", "label"]
    assert arguments_of(empty, "written") == ["keys"]


def test_the_type_of_a_column_can_still_be_changed(empty: Depot) -> None:
    """PostgreSQL refuses that for columns that a trigger's definition names."""
    migrate()
    empty.execute_now(
        "ALTER TABLE depot_crate ALTER id TYPE bigint",
        'ALTER TABLE depot_crate ALTER "lastSeen" TYPE bigint',
        'ALTER TABLE depot_crate DROP COLUMN "lastSeen"',
        "ALTER TABLE depot_crate RENAME TO renamed",
        "UPDATE renamed SET label = 'y'",
        "INSERT INTO renamed (label, weight) VALUES ('x', 0)",
    )


def test_as_sql(empty: Depot) -> None:
    migrate("0001")
    forwards, backwards = StringIO(), StringIO()
    call_command("sqlmigrate", "depot", "0002", database=ALIAS, stdout=forwards)
    call_command("sqlmigrate", "depot", "0002", database=ALIAS, backwards=True, stdout=backwards)
    assert "Let the tables of Crate, depot.Tag" in forwards.getvalue()
    empty.execute_now(forwards.getvalue())
    assert empty.execute_now(TRIGGERS) == [(table, 4, True) for table in TABLES]
    empty.execute_now(backwards.getvalue())
    assert empty.execute_now(TRIGGERS) == []


def test_a_table_that_others_make(empty: Depot) -> None:
    """Of a model that Django does not manage."""
    empty.execute_now("CREATE TABLE conveyor (number integer PRIMARY KEY)")
    state = ProjectState()
    belt = migrations.CreateModel(
        "Belt",
        [("number", _integer_key())],
        options={"db_table": "conveyor", "managed": False},
    )
    belt.state_forwards("depot", state)
    operation = LiveTriggers(["Belt"])
    operation.state_forwards("depot", state)
    with connections[ALIAS].schema_editor() as editor:
        operation.database_forwards("depot", editor, state, state)
    assert arguments_of(empty, "conveyor") == ["number"]


def _integer_key() -> Any:
    from django.db import models

    return models.IntegerField(primary_key=True)


class NowhereRouter:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return app_label != "depot"


def test_a_router_has_its_say(empty: Depot) -> None:
    migrate("0001")
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.NowhereRouter"]):
        for backwards in (False, True):
            apply(LiveTriggers(["Crate"]), backwards=backwards)
    assert empty.execute_now(TRIGGERS) == []


@pytest.mark.usefixtures("database")
def test_other_databases_are_left_alone() -> None:
    state = ProjectState()
    with (
        override_settings(INSTALLED_APPS=[*INSTALLED_APPS, APP]),
        connection.schema_editor() as editor,
        connection.execute_wrapper(_nothing),
    ):
        LiveTriggers(["Crate"]).database_forwards("depot", editor, state, state)
        LiveTriggers(["Crate"]).database_backwards("depot", editor, state, state)


def _nothing(*arguments: Any) -> None:
    raise AssertionError


def test_it_can_be_squashed() -> None:
    """Then Django writes it into a file."""
    operation = LiveTriggers(["Crate", "depot.Tag"])
    text, imports = OperationWriter(operation, indentation=0).serialize()
    written: dict[str, Any] = {}
    exec("\n".join([*imports, f"operations = [{text}]"]), written)
    [again] = written["operations"]
    assert again.models == ["Crate", "depot.Tag"]
    assert operation.describe() == "Let the tables of Crate, depot.Tag tell what is written there"
    assert operation.migration_name_fragment == "live_triggers"
    assert operation.reversible


@pytest.mark.parametrize("models", [[], "Crate", [5], ["Crate", None], None])
def test_what_is_no_list_of_models(models: Any) -> None:
    with pytest.raises(TypeError, match="list of models"):
        LiveTriggers(models)
