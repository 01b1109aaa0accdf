"""Whoever is told of a row can read it, also where SQLite had not yet committed it when it gave its first row back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import connections
from django.test import override_settings

from tests.live.tracking.shop.models import Author
from tests.live.tracking.told import ToldBroker
from wsrequest.livequery.interest import interest
from wsrequest.push.brokers import broker_of

INSERT = "INSERT INTO shop_author (name, seen) VALUES ('a', 0), ('b', 0), ('c', 0) RETURNING name"


class ReadingBroker(ToldBroker):
    """``seen`` is how many authors another connection sees when it is told of a change."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.file = ""

    def signal(self, topic: str | None, payload: bytes) -> None:
        with closing(sqlite3.connect(self.file)) as other:
            self.seen += other.execute("SELECT COUNT(*) FROM shop_author").fetchone()
        super().signal(topic, payload)


@pytest.fixture
def seen(lite_db: str, at_once: None) -> Iterator[list[int]]:
    brokers = {"default": {"BACKEND": f"{__name__}.ReadingBroker"}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        broker = broker_of()
        assert isinstance(broker, ReadingBroker)
        broker.file = str(connections[lite_db].settings_dict["NAME"])
        interest.begin()
        yield broker.seen
        interest.end()


def test_a_new_row_is_there_when_it_is_told(lite_db: str, seen: list[int]) -> None:
    authors = Author.objects.using(lite_db)
    first, second = (authors.create(name=name) for name in "ab")
    assert seen == [1, 2]
    assert set(authors.values_list("pk", flat=True)) == {first.pk, second.pk}


def test_rows_that_nobody_has_fetched_are_there(lite_db: str, seen: list[int]) -> None:
    with connections[lite_db].cursor() as cursor:
        cursor.execute(INSERT)
        assert seen == [3]


def test_what_it_returned_can_be_fetched_in_every_way(lite_db: str, seen: list[int]) -> None:
    with connections[lite_db].cursor() as cursor:
        assert cursor.execute(INSERT).fetchall() == [("a",), ("b",), ("c",)]
        assert cursor.fetchone() is None
        cursor.execute(INSERT)
        assert cursor.fetchone() == ("a",)
        assert list(cursor) == [("b",), ("c",)]
        cursor.execute(INSERT)
        assert [cursor.fetchmany(2), cursor.fetchmany(2)] == [[("a",), ("b",)], [("c",)]]
        cursor.execute(INSERT)
        assert cursor.fetchmany() == [("a",)]
        assert [column[0] for column in cursor.description] == ["name"]
        assert cursor.fetchall() == [("b",), ("c",)]
    assert seen == [3, 6, 9, 12]


def test_what_was_not_fetched_is_not_taken_for_what_comes_next(
    lite_db: str, seen: list[int]
) -> None:
    with connections[lite_db].cursor() as cursor:
        cursor.execute(INSERT)
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        cursor.execute(INSERT)
        cursor.executemany("UPDATE shop_author SET name = %s WHERE name = %s", [("d", "a")])
        assert cursor.fetchall() == []
