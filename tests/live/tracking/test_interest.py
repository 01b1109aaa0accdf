"""What concerns nobody when it is written is told all the same to whoever has come before the commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.test import override_settings

from tests.live.tracking.shop.models import Author, Shelf
from tests.live.tracking.told import Rows, ToldBroker
from wsrequest.livequery.interest import Interest, interest
from wsrequest.livequery.statements import known_tables
from wsrequest.livequery.writes import Log
from wsrequest.push.brokers import broker_of

#: Longer than anything here takes.
PATIENCE = 60


@pytest.fixture
def told(at_once: None) -> Iterator[list[Rows]]:
    """What is told in a process that nobody watches, and from which nothing is heard elsewhere."""
    brokers = {"default": {"BACKEND": "tests.live.tracking.told.ToldBroker"}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        broker = broker_of()
        assert isinstance(broker, ToldBroker)
        # The first write finds out where the broker is.
        Author.objects.using("lite").filter(pk=0).update(name="")
        assert not interest.heard
        yield broker.told
        assert (interest.looks, interest.tables) == (0, {})


@pytest.fixture
def others(told: list[Rows]) -> Iterator[None]:
    """Somebody depends on authors."""
    interest.add(["shop_author"])
    yield
    interest.remove(["shop_author"])


@pytest.fixture(params=["nobody", "others"])
def watched(request: pytest.FixtureRequest, told: list[Rows]) -> str:
    """By whom, other than those who come."""
    if request.param == "others":
        request.getfixturevalue("others")
    return str(request.param)


@pytest.fixture
def lite_db(lite_shop: str) -> Iterator[str]:
    yield lite_shop
    for model in (Author, Shelf):
        model._default_manager.using(lite_shop).all().delete()


@pytest.fixture
def anything(watched: str) -> Rows:
    """What is told of a write to shelves that was not noted."""
    return dict.fromkeys(known_tables() if watched == "nobody" else ["shop_shelf"])


def shelve(code: str) -> None:
    Shelf.objects.using("lite").create(code=code)


def write(code: str, before: Callable[[], Any]) -> None:
    """In a transaction of a thread of its own, which is committed when something has happened."""
    written, go = threading.Event(), threading.Event()

    def work() -> None:
        try:
            with transaction.atomic(using="lite"):
                shelve(code)
                written.set()
                assert go.wait(PATIENCE)
        finally:
            connections["lite"].close()

    thread = threading.Thread(target=work)
    thread.start()
    assert written.wait(PATIENCE)
    before()
    go.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


pytestmark = pytest.mark.usefixtures("lite_db")


def test_nobody_hears(told: list[Rows], watched: str) -> None:
    shelve("a")
    with transaction.atomic(using="lite"):
        shelve("b")
        with transaction.atomic(using="lite"):
            shelve("c")
    assert told == []


def test_a_look_begins_while_a_transaction_is_open(told: list[Rows], anything: Rows) -> None:
    write("a", interest.begin)
    interest.end()
    assert told == [anything]


def test_a_table_is_read_while_a_transaction_is_open(told: list[Rows], anything: Rows) -> None:
    """The look is over before the commit: what it read is known by then."""

    def look() -> None:
        interest.begin()
        interest.add(["shop_shelf"])
        interest.end()

    write("a", look)
    interest.remove(["shop_shelf"])
    assert told == [anything]


def test_who_comes_and_goes_while_a_transaction_is_open(told: list[Rows], watched: str) -> None:
    def look() -> None:
        interest.begin()
        interest.add(["shop_shelf"])
        interest.end()
        interest.remove(["shop_shelf"])

    write("a", look)
    assert told == []


def test_what_is_written_after_the_look_is_told_by_row(
    told: list[Rows], watched: str, anything: Rows
) -> None:
    with transaction.atomic(using="lite"):
        shelve("a")
        interest.begin()
        shelve("b")
    interest.end()
    assert sorted(told, key=str) == sorted([{"shop_shelf": {"b"}}, anything], key=str)


def test_a_savepoint_that_is_undone_does_not_take_the_rest_with_it(
    told: list[Rows], anything: Rows
) -> None:
    with transaction.atomic(using="lite"):
        with suppress(DatabaseError), transaction.atomic(using="lite"):
            shelve("a")
            raise DatabaseError
        shelve("b")
        interest.begin()
    interest.end()
    assert told == [anything]


def test_a_rollback_is_told_to_nobody_who_came(told: list[Rows], watched: str) -> None:
    with suppress(DatabaseError), transaction.atomic(using="lite"):
        shelve("a")
        interest.begin()
        raise DatabaseError
    with transaction.atomic(using="lite"):
        Author.objects.using("lite").count()
    interest.end()
    assert told == []


def test_a_transaction_that_writes_more_than_one_table(told: list[Rows], watched: str) -> None:
    with transaction.atomic(using="lite"):
        shelve("a")
        author = Author.objects.using("lite").create(name="a")
        for code in "bc":
            shelve(code)
        assert len(connections["lite"].run_on_commit) <= 2
    written = {"shop_author": {str(author.pk)}, "shop_shelf": None}
    assert [each["shop_author"] for each in told] == [
        written["shop_author"] for _ in range(watched == "others")
    ]


def test_one_callback_for_a_transaction(told: list[Rows], watched: str) -> None:
    with transaction.atomic(using="lite"):
        for number in range(5):
            shelve(str(number))
        (entry,) = connections["lite"].run_on_commit
        assert not isinstance(entry[1].__self__, Log)


def test_a_look_begins_while_a_statement_runs(told: list[Rows], anything: Rows) -> None:
    """Outside of a transaction. The new row, which the statement returns, is there when it is told."""
    connection = connections["lite"]

    def look(execute: Callable[..., Any], *arguments: Any) -> Any:
        result = execute(*arguments)
        interest.begin()
        return result

    connection.execute_wrappers.append(look)  # between the statement and who notes it
    try:
        shelve("a")
    finally:
        connection.execute_wrappers.remove(look)
        interest.end()
    assert told == [anything]
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        assert other.execute("SELECT code FROM shop_shelf").fetchall() == [("a",)]


def test_a_row_is_committed_before_it_is_asked_whom_it_concerns(
    told: list[Rows], watched: str
) -> None:
    """Or who comes in between would read what was before, and never hear."""
    with connections["lite"].cursor() as cursor:
        cursor.execute("INSERT INTO shop_shelf (code, label) VALUES ('a', '') RETURNING code")
        with closing(sqlite3.connect(connections["lite"].settings_dict["NAME"])) as other:
            assert other.execute("SELECT code FROM shop_shelf").fetchall() == [("a",)]
        assert cursor.fetchone() == ("a",)


def test_another_broker_is_asked_anew(told: list[Rows]) -> None:
    brokers = {"default": {"BACKEND": "tests.live.tracking.test_spreading.Away"}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        assert interest.heard
        shelve("a")
        assert interest.elsewhere
        assert broker_of().told == [{"shop_shelf": {"a"}}]  # type: ignore[attr-defined]
    shelve("b")
    assert not interest.heard
    assert told == []


def test_what_several_have_read() -> None:
    some = Interest()
    some.settle(False)
    assert not some.heard
    some.add(["a", "b"])
    some.add(["a"])
    some.remove(["a", "b"])
    assert some.tables == {"a": 1}
    assert some.heard
    some.remove(["a"])
    assert some.tables == {}
    assert not some.heard
