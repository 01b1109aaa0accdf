"""Operations for a project's own migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from wsrequest.conf import get_settings
from wsrequest.contrib.postgres.triggers import install, remove
from wsrequest.livequery.tables import UnknownIgnored, what_is_ignored


class LiveTriggers(Operation):
    """Let the tables of these models say by themselves what is written there, whoever writes it, to the databases that
    ``WSREQUEST["LIVE_TRIGGERS"]`` names::

        operations = [LiveTriggers(["Order", "warehouse.Item"])]

    A model is one of the migration's own app, or is named with its app. Its many-to-many tables come with it, but for
    those that are models themselves; parents whose tables it inherits from are models of their own. Taken back, the
    triggers are gone. It does nothing where the database is not PostgreSQL.

    Columns that LIVE_IGNORE names when the migration runs are told apart from others.
    """

    category = OperationCategory.SQL
    reduces_to_sql = True
    reversible = True

    def __init__(self, models: Sequence[str]) -> None:
        is_list = isinstance(models, list | tuple) and models
        if not is_list or not all(isinstance(model, str) for model in models):
            raise TypeError('LiveTriggers() takes a list of models, such as ["app.Model"].')
        self.models = models

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The models stay as they are."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Put them in place; where they are there, anew."""
        for model in self._tables(app_label, schema_editor, to_state):
            install(schema_editor, model._meta.db_table, _key_column(model), _ignored(model))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Take them away."""
        tables = [each._meta.db_table for each in self._tables(app_label, schema_editor, to_state)]
        if tables:
            remove(schema_editor, tables)

    def _tables(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: ProjectState
    ) -> Iterator[type[Model]]:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            return
        for name in self.models:
            app, _, model_name = name.rpartition(".")
            model = state.apps.get_model(app or app_label, model_name)
            # Unmanaged ones too: that others make their tables is a reason to have triggers.
            if router.allow_migrate_model(connection.alias, model):
                yield from _with_relations(model._meta.concrete_model or model)

    def describe(self) -> str:
        """What ``sqlmigrate`` and ``migrate --plan`` show."""
        return f"Let the tables of {', '.join(self.models)} tell what is written there"

    @property
    def migration_name_fragment(self) -> str:
        """For makemigrations' proposals."""
        return "live_triggers"


def _with_relations(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for field in model._meta.local_many_to_many:
        through: Any = field.remote_field.through
        if through._meta.auto_created:
            yield through


def _key_column(model: type[Model]) -> str:
    """Empty where there is not exactly one."""
    return getattr(model._meta.pk, "column", None) or ""


def _ignored(model: type[Model]) -> list[str]:
    """The columns of it that LIVE_IGNORE names now."""
    names = set()
    for entry in get_settings().live_ignore:
        try:
            ignored, column = what_is_ignored(entry)
        except UnknownIgnored:
            continue  # the system checks say so
        if column is not None and ignored._meta.label == model._meta.label:
            names.add(column)
    columns = [field.column for field in model._meta.local_concrete_fields]
    return [column for column in columns if column and column.lower() in names]
