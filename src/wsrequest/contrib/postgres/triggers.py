"""Triggers that tell what is written to a table, whoever writes it. ``livequery/ears.py`` hears them.

They are of the statement, not of the row: a bulk update is one notification. They name no column in their definitions,
which would keep a migration from changing that column's type; and a write never fails because of them: where they
don't find the key's column any more, all rows count as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: Event of a trigger, with what its function can look at.
EVENTS = {
    "insert": "REFERENCING NEW TABLE AS written",
    "update": "REFERENCING NEW TABLE AS written OLD TABLE AS replaced",
    "delete": "REFERENCING OLD TABLE AS written",
    "truncate": "",
}

# All tables share it; the schema that is first on the search path has it. Arguments of a trigger are the primary key's
# column, or '', and the columns that count for little. NOTIFY takes less than 8000 bytes. Rows are compared as text:
# 1.0 and 1.00 are equal as JSON, and are shown differently. Whatever stands here may be the name of a column, too.
FUNCTION = """
CREATE OR REPLACE FUNCTION wsrequest_live_written() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most constant integer := 100;
    ignored constant text[] := TG_ARGV[1:];
    of_rows text;
    keys text[];
    only_ignored boolean := false;
    said text;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM written) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = TG_RELID AND attname = TG_ARGV[0] AND attnum > 0
        ) THEN
            of_rows := '(SELECT %1$I::text FROM written LIMIT %2$s)';
            IF TG_OP = 'UPDATE' THEN
                of_rows := of_rows || ' UNION (SELECT %1$I::text FROM replaced LIMIT %2$s)';
            END IF;
            EXECUTE format(
                'SELECT array_agg(key) FROM (' || of_rows || ') AS rows (key)', TG_ARGV[0], most + 1
            ) INTO keys;
            IF cardinality(keys) > most THEN
                keys := NULL;
            END IF;
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND cardinality(ignored) > 0 AND keys IS NOT NULL THEN
        only_ignored := NOT EXISTS (
            SELECT (to_jsonb(one.*) - ignored)::text FROM replaced AS one
            EXCEPT ALL SELECT (to_jsonb(one.*) - ignored)::text FROM written AS one
        );
    END IF;
    said := json_build_object(
        'table', TG_TABLE_NAME, 'column', TG_ARGV[0], 'keys', keys,
        'only', CASE WHEN only_ignored THEN ignored END
    );
    IF octet_length(said) >= 8000 THEN
        said := json_build_object('table', TG_TABLE_NAME, 'column', NULL, 'keys', NULL, 'only', NULL);
    END IF;
    PERFORM pg_notify('wsrequest_live', said);
    RETURN NULL;
END $$
"""

# Another table may still have triggers.
DROP = """
DO $$ BEGIN
    DROP FUNCTION IF EXISTS wsrequest_live_written();
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL;
END $$
"""


def install(
    schema_editor: BaseDatabaseSchemaEditor, table: str, key: str, ignored: Sequence[str]
) -> None:
    """Put triggers on a table, in place of those that it may have."""
    schema_editor.execute(FUNCTION, None)
    arguments = ", ".join(map(_literal, (key, *ignored)))
    for event, referencing in EVENTS.items():
        schema_editor.execute(
            f"CREATE OR REPLACE TRIGGER {_name(event)} AFTER {event.upper()} "
            f"ON {schema_editor.quote_name(table)} {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION wsrequest_live_written({arguments})",
            None,
        )


def remove(schema_editor: BaseDatabaseSchemaEditor, tables: Iterable[str]) -> None:
    """Take them away, and the function, where no other table needs it."""
    for table in tables:
        for event in EVENTS:
            schema_editor.execute(
                f"DROP TRIGGER IF EXISTS {_name(event)} ON {schema_editor.quote_name(table)}", None
            )
    schema_editor.execute(DROP, None)


def _name(event: str) -> str:
    return f"wsrequest_live_{event}"


def _literal(text: str) -> str:
    """A trigger's arguments are no parameters; it keeps what stands there as a string."""
    return "'" + text.replace("'", "''") + "'"
