"""Nothing is lost: whatever is written, each query whose result is another one afterwards has read what was written.

Queries and statements are made at random, run by SQLite for real, and only then looked at. One that SQLite refuses says
nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.live.tracking.made_up import WORDS, Maker, Text
from tests.live.tracking.shop.models import Author, Book, Shelf, Tag
from tests.live.tracking.told import Rows
from wsrequest.livequery.statements import note, note_made, statement_of
from wsrequest.livequery.tracking import install


@pytest.fixture(scope="module")
def filled(lite_shop: str) -> str:
    install()
    for number in range(4):
        Author(pk=number, name=WORDS[number]).save(using=lite_shop)
        Shelf(pk=WORDS[number]).save(using=lite_shop)
    for number in range(4):
        Book(pk=number, title=WORDS[number], author_id=number, price=number).save(using=lite_shop)
    Tag(name="t").save(using=lite_shop)
    return lite_shop


@contextmanager
def undone(alias: str) -> Iterator[None]:
    """Below Django, which is not to see it."""
    connection = connections[alias].connection
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def run(alias: str, text: Text):
    with connections[alias].cursor() as cursor:
        cursor.cursor.execute(text.sql, text.params)
        return cursor, cursor.fetchall()


def reads_of(alias: str, text: Text) -> Rows:
    found = statement_of(text.sql, connections[alias])
    reads: Rows = {}
    note(reads, found.reads, found, text.params)
    return reads


def meet(written: Rows, read: Rows) -> bool:
    return any(
        keys is None or read[table] is None or keys & read[table]
        for table, keys in written.items()
        if table in read
    )


Checked = tuple[int, int]


def check(alias: str, queries: list[Text], change: Text) -> Checked:
    """How many queries ran, and how many had another result afterwards."""
    connection = connections[alias]
    connection.ensure_connection()
    with undone(alias):
        before = []
        for text in queries:
            with suppress(sqlite3.Error):
                before.append((text, run(alias, text)[1]))
        found = statement_of(change.sql, connection)
        written: Rows = {}
        try:
            cursor, _ = run(alias, change)
        except sqlite3.Error:
            return 0, 0
        note(written, found.writes, found, change.params)
        if found.made is not None:
            note_made(written, found.made, cursor, connection)
        changed = 0
        for text, result in before:
            if run(alias, text)[1] != result:
                changed += 1
                reads = reads_of(alias, text)
                assert meet(written, reads), (text, reads, change, written)
    return len(before), changed


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.4]))
def test_what_changes_a_result_was_read(filled: str, seed: int, odd: float) -> None:
    maker = Maker(Random(seed), odd)
    for _ in range(10):
        check(filled, [maker.query() for _ in range(20)], maker.statement())


def test_enough_is_made_up(filled: str) -> None:
    """Else what is above would say nothing: most queries run, many results change, and rows are told apart."""
    maker = Maker(Random(1), 0.1)
    ran = changed = narrow = 0
    for _ in range(200):
        queries = [maker.query() for _ in range(10)]
        narrow += sum(None not in reads_of(filled, text).values() for text in queries)
        counts = check(filled, queries, maker.statement())
        ran, changed = ran + counts[0], changed + counts[1]
    assert (ran > 1000, changed > 100, narrow > 200) == (True, True, True), (ran, changed, narrow)


@pytest.mark.parametrize(
    ("query", "change"),
    [
        (
            Text("SELECT * FROM shop_book WHERE price BETWEEN %s AND shop_book.id = %s", 0, 1),
            Text("UPDATE shop_book SET title = 'z' WHERE shop_book.id = %s", 3),
        ),
        (
            Text("SELECT * FROM shop_book WHERE shop_book.id = %s AND 1 OR price = %s", 1, 2),
            Text("UPDATE shop_book SET title = 'z' WHERE shop_book.id = %s", 2),
        ),
        (
            Text("SELECT * FROM shop_book WHERE (shop_book.id) IN ((%s))", 1),
            Text("DELETE FROM shop_book WHERE (shop_book.id) = (%s)", 1),
        ),
        (
            Text("SELECT * FROM shop_book WHERE shop_book.id = %s", 9),
            Text("UPDATE shop_book SET id = 9 WHERE shop_book.id = %s", 1),
        ),
    ],
)
def test_what_is_easily_lost(filled: str, query: Text, change: Text) -> None:
    assert check(filled, [query], change) == (1, 1)


def test_the_oracle_sees_what_is_lost(filled: str) -> None:
    """It has teeth: rows that don't meet are told from rows that do."""
    text = Text("SELECT * FROM shop_book WHERE shop_book.id = %s", 1)
    assert reads_of(filled, text) == {"shop_book": {"1"}}
    assert not meet({"shop_book": {"2"}}, reads_of(filled, text))
    assert meet({"shop_book": {"2", "1"}}, reads_of(filled, text))
    assert meet({"shop_book": None}, reads_of(filled, text))
