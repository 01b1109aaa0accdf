"""What is told of what is written past Django, and what is not."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings

from tests.live.triggers.told import Told

HUNDRED = "INSERT INTO depot_crate (id, label, weight, \"lastSeen\") SELECT n, 'x', 0, 0 FROM generate_series({}) AS n"
CRATE = "INSERT INTO depot_crate (id, label, weight, \"lastSeen\") VALUES ({}, 'x', 1.0, 0)"
TAG = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


async def test_rows_that_are_inserted_updated_and_deleted(told: Told) -> None:
    assert await told.of(CRATE.format(1), CRATE.format(2)) == {"depot_crate": {"1", "2"}}
    update = "UPDATE depot_crate SET label = 'y' WHERE id = 2"
    assert await told.of(update) == {"depot_crate": {"2"}}
    assert await told.of("DELETE FROM depot_crate WHERE id = 1") == {"depot_crate": {"1"}}


async def test_a_row_that_gets_another_key_is_two(told: Told) -> None:
    await told.of(CRATE.format(1))
    update = "UPDATE depot_crate SET id = 7 WHERE id = 1"
    assert await told.of(update) == {"depot_crate": {"1", "7"}}


async def test_truncate_is_all_rows(told: Told) -> None:
    assert await told.of("TRUNCATE depot_crate_tags") == {"depot_crate_tags": None}
    assert await told.of("TRUNCATE depot_crate CASCADE") == {
        "depot_crate": None,
        "depot_crate_tags": None,
        "depot_parcel": None,
    }


async def test_up_to_a_hundred_rows_are_told_apart(told: Told) -> None:
    insert = HUNDRED.format("1, 100")
    assert await told.of(insert) == {"depot_crate": set(map(str, range(1, 101)))}
    update = "UPDATE depot_crate SET label = 'y'"
    assert await told.of(update) == {"depot_crate": set(map(str, range(1, 101)))}
    assert await told.of(CRATE.format(101)) == {"depot_crate": {"101"}}
    assert await told.of(update) == {"depot_crate": None}
    assert await told.of("DELETE FROM depot_crate") == {"depot_crate": None}
    assert await told.of(HUNDRED.format("1, 101")) == {"depot_crate": None}


async def test_rows_that_get_other_keys_count_twice(told: Told) -> None:
    await told.of(HUNDRED.format("1, 51"))
    update = "UPDATE depot_crate SET id = id + 1000 WHERE id <= {}"
    assert len((await told.of(update.format(50)))["depot_crate"] or ()) == 100
    await told.of("TRUNCATE depot_crate CASCADE", HUNDRED.format("1, 51"))
    assert await told.of(update.format(51)) == {"depot_crate": None}


async def test_a_bulk_update_is_one_notification(told: Told) -> None:
    def notified() -> list[str]:
        heard: list[str] = []
        with told.depot.connection() as connection:
            connection.add_notify_handler(lambda said: heard.append(said.payload))
            connection.execute("LISTEN wsrequest_live")
            connection.execute(HUNDRED.format("1, 5000"))
            connection.execute("UPDATE depot_crate SET label = 'y'")
        return heard

    all_rows = '{"table" : "depot_crate", "column" : "id", "keys" : null, "only" : null}'
    assert await asyncio.to_thread(notified) == [all_rows] * 2


async def test_columns_that_are_called_as_something_else(told: Told) -> None:
    insert = "INSERT INTO written (keys, one, ignored) VALUES (5, 1, 1)"
    assert await told.of(insert) == {"written": {"5"}}
    assert await told.of("UPDATE written SET one = 2") == {"written": {"5"}}
    assert await told.of("UPDATE written SET ignored = 2") == {}
    assert await told.of("DELETE FROM written") == {"written": {"5"}}


async def test_statements_that_write_nothing_say_nothing(told: Told) -> None:
    assert (
        await told.of(
            "UPDATE depot_crate SET label = 'y' WHERE id = 5",
            "DELETE FROM depot_crate WHERE id = 5",
            HUNDRED.format("1, 0"),
            "INSERT INTO depot_quiet (label) VALUES ('no trigger')",
        )
        == {}
    )


async def test_a_transaction_is_told_as_a_whole_or_not_at_all(told: Told) -> None:
    whole = f"""
        BEGIN; {CRATE.format(1)}; {CRATE.format(2)}; UPDATE depot_crate SET label = 'z' WHERE id = 2;
        INSERT INTO depot_slot ("row", "column") VALUES (1, 1); COMMIT
    """
    assert await told.of(whole) == {"depot_crate": {"1", "2"}, "depot_slot": None}
    undone = f"BEGIN; {CRATE.format(3)}; TRUNCATE depot_parcel; ROLLBACK"
    assert await told.of(undone) == {}
    partly = f"""
        BEGIN; {CRATE.format(4)}; SAVEPOINT here; {CRATE.format(5)}; ROLLBACK TO here; {CRATE.format(6)}; COMMIT
    """
    assert await told.of(partly) == {"depot_crate": {"4", "6"}}


async def test_what_the_database_deletes_by_itself(told: Told) -> None:
    parcel = "INSERT INTO depot_parcel (code, crate_id) VALUES ('{}', {})"
    await told.of(CRATE.format(1), parcel.format("AB 1", 1), parcel.format("ab 2", 1))
    assert await told.of("DELETE FROM depot_crate WHERE id = 1") == {
        "depot_crate": {"1"},
        "depot_parcel": {"ab 1", "ab 2"},
    }


async def test_what_stored_procedures_do(told: Told) -> None:
    function = """
        CREATE OR REPLACE FUNCTION arrive(number integer) RETURNS void LANGUAGE sql
        AS $$ INSERT INTO depot_crate (id, label, weight, "lastSeen") VALUES (number, 'x', 0, 0) $$
    """
    assert await told.of(function, "SELECT arrive(9)") == {"depot_crate": {"9"}}


async def test_copy(told: Told) -> None:
    def copy() -> None:
        with (
            told.depot.connection() as connection,
            connection.cursor().copy("COPY depot_parcel (code, crate_id) FROM STDIN") as lines,
        ):
            lines.write("C 1\t1\nC 2\t1\n")

    await told.of(CRATE.format(1))
    told.changes.clear()
    await asyncio.to_thread(copy)
    await told.until(lambda: told.changes)
    assert told.changes == [{"depot_parcel": {"c 1", "c 2"}}]


async def test_upserts_and_merges(told: Told) -> None:
    upsert = f"{CRATE.format('{}')} ON CONFLICT (id) DO UPDATE SET label = 'y'"
    assert await told.of(upsert.format(1)) == {"depot_crate": {"1"}}
    assert await told.of(upsert.format(1)) == {"depot_crate": {"1"}}
    assert await told.of(f"{CRATE.format(1)} ON CONFLICT DO NOTHING") == {}
    merge = """
        MERGE INTO depot_crate USING (VALUES (1), (2)) AS each (id) ON depot_crate.id = each.id
        WHEN MATCHED THEN DELETE
        WHEN NOT MATCHED THEN INSERT (id, label, weight, "lastSeen") VALUES (each.id, 'z', 0, 0)
    """
    assert await told.of(merge) == {"depot_crate": {"1", "2"}}


async def test_keys_of_all_kinds(told: Told) -> None:
    tag = f"INSERT INTO depot_tag (id, name) VALUES ('{TAG}', 'x')"
    assert await told.of(tag) == {"depot_tag": {TAG.replace("-", "")}}
    of_crate = "INSERT INTO depot_crate_tags (id, crate_id, tag_id) VALUES (4, 1, '{}')"
    assert await told.of(CRATE.format(1), of_crate.format(TAG)) == {
        "depot_crate": {"1"},
        "depot_crate_tags": {"4"},
    }
    parcel = "INSERT INTO depot_parcel (code, crate_id) VALUES ('{}', 1)"
    assert await told.of(parcel.format("AB''C\\\"d")) == {"depot_parcel": {"ab'c\\\"d"}}
    # Texts that a collation may take for the same as others are no names of rows.
    assert await told.of(parcel.format("é")) == {"depot_parcel": None}


async def test_another_schema_and_names_that_are_quoted(told: Told) -> None:
    table = '"the archive"."Odd name-d"'
    assert await told.of(f"INSERT INTO {table} (id, label) VALUES (3, 'x')") == {
        "odd name-d": {"3"}
    }
    assert await told.of(f"TRUNCATE {table}") == {"odd name-d": None}


async def test_keys_that_fill_a_notification(told: Told) -> None:
    """It takes less than 8000 bytes, and so 7999 are none too many."""
    around = len('{"table" : "depot_parcel", "column" : "code", "keys" : [], "only" : null}')
    each = 400 + len('"",')
    number, rest = divmod(7999 - around + 1, each)
    codes = [f"{n:0400d}" for n in range(number)] + ["x" * (rest - len('"",'))]
    values = "', 1), ('".join(codes)
    insert = f"INSERT INTO depot_parcel (code, crate_id) VALUES ('{values}', 1)"
    await told.of(CRATE.format(1))
    assert await told.of(insert) == {"depot_parcel": set(codes)}
    await told.of("TRUNCATE depot_parcel")
    assert await told.of(insert.replace("xx", "xxx", 1)) == {"depot_parcel": None}


async def test_columns_that_count_for_little(told: Told) -> None:
    await told.of(CRATE.format(1), CRATE.format(2))
    seen = 'UPDATE depot_crate SET "lastSeen" = "lastSeen" + 1'
    assert await told.of(seen) == {}
    assert await told.of(f"{seen}, label = 'y' WHERE id = 1") == {"depot_crate": {"1"}}
    # What was not changed was written, as far as anybody knows; and 1.00 is another text than 1.0.
    assert await told.of(f"{seen}, weight = 1.00 WHERE id = 1") == {"depot_crate": {"1"}}
    # The setting holds as it is, whatever it was when the triggers were made.
    with override_settings(WSREQUEST={"LIVE_IGNORE": []}):
        assert await told.of(seen) == {"depot_crate": {"1", "2"}}


async def test_a_role_that_may_do_nothing_but_write(told: Told) -> None:
    written = await told.of(
        "DROP ROLE IF EXISTS courier",
        "CREATE ROLE courier",
        "GRANT INSERT ON depot_crate TO courier",
        "SET ROLE courier",
        CRATE.format(1),
        "RESET ROLE",
        "DROP OWNED BY courier",
        "DROP ROLE courier",
    )
    assert written == {"depot_crate": {"1"}}


@pytest.mark.parametrize("path", ["''", "nowhere", "pg_catalog, nowhere"])
async def test_whatever_the_search_path(told: Told, path: str) -> None:
    insert = CRATE.format(1).replace("depot_crate", "public.depot_crate")
    assert await told.of(f"SET search_path = {path}", insert, "RESET search_path") == {
        "depot_crate": {"1"}
    }


async def test_a_key_whose_column_is_called_otherwise_by_now(told: Told) -> None:
    """All rows; no write ever fails because of a trigger."""
    renamed = "ALTER TABLE depot_crate RENAME {} TO {}"
    try:
        changed = await told.of(
            renamed.format("id", "number"), CRATE.format(1).replace("(id,", "(number,")
        )
    finally:
        await told.depot.execute(renamed.format("number", "id"))
    assert changed == {"depot_crate": None}
