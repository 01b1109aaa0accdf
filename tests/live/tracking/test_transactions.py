"""What a transaction writes is told with its commit, and what is rolled back never."""

from __future__ import annotations

import asyncio
import gc
import threading
import unittest
from contextlib import contextmanager, suppress

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections, transaction
from django.http import HttpResponse
from django.test import Client, TestCase, override_settings
from django.urls import path

from tests.live.tracking.shop.models import Author, Shelf
from wsrequest.livequery.writes import Log, log_of


class Undone(Exception):
    """Rolls a transaction back."""


def close(alias):
    """The connection of this thread."""
    connections[alias].close()


def shelve(db, code):
    Shelf.objects.using(db).create(code=code)


def rows(*codes):
    return {"shop_shelf": {*codes}}


@contextmanager
def rolled_back(db, **options):
    with suppress(Undone), transaction.atomic(using=db, **options):
        yield
        raise Undone


def test_it_is_told_with_the_commit_and_as_one(db, told):
    with transaction.atomic(using=db):
        shelve(db, "a")
        shelve(db, "b")
        Author.objects.using(db).update(name="x")
        assert told == []
    assert told == [{**rows("a", "b"), "shop_author": None}]


def test_without_a_transaction_it_is_told_at_once(db, told):
    shelve(db, "a")
    assert told == [rows("a")]
    shelve(db, "b")
    assert told == [rows("a"), rows("b")]


def test_a_rollback_is_not_told_and_leaves_nothing(db, told):
    with rolled_back(db):
        shelve(db, "a")
    assert told == []
    assert log_of(connections[db]) is None
    with transaction.atomic(using=db):
        shelve(db, "b")
    assert told == [rows("b")]


def test_set_rollback(db, told):
    with transaction.atomic(using=db):
        shelve(db, "a")
        transaction.set_rollback(True, using=db)
    assert told == []


def test_a_block_inside_that_is_undone(db, told):
    with transaction.atomic(using=db):
        with rolled_back(db):
            shelve(db, "a")
        shelve(db, "b")
        with rolled_back(db):
            shelve(db, "c")
    assert told == [rows("b")]


def test_only_the_block_inside_writes(db, told):
    with transaction.atomic(using=db):
        with transaction.atomic(using=db):
            shelve(db, "a")
        with rolled_back(db):
            shelve(db, "b")
    assert told == [rows("a")]


def test_blocks_in_blocks(db, told):
    with transaction.atomic(using=db):
        with transaction.atomic(using=db):
            shelve(db, "a")
            with rolled_back(db):
                shelve(db, "b")
                with transaction.atomic(using=db):
                    shelve(db, "c")
        with rolled_back(db):
            with transaction.atomic(using=db):
                shelve(db, "d")
            shelve(db, "e")
        shelve(db, "f")
    assert told == [rows("a", "f")]


def test_the_outer_block_writes_after_an_inner_one_and_only_that_is_undone(db, told):
    """The log goes on where all who held it until now are dropped."""
    with transaction.atomic(using=db):
        with rolled_back(db):
            with transaction.atomic(using=db):
                shelve(db, "a")
            with rolled_back(db):
                shelve(db, "b")
        with transaction.atomic(using=db):
            shelve(db, "c")
    assert told == [rows("c")]


def test_blocks_without_savepoints(db, told):
    with transaction.atomic(using=db):
        with transaction.atomic(using=db, savepoint=False):
            shelve(db, "a")
        with transaction.atomic(using=db):
            with rolled_back(db), transaction.atomic(using=db, savepoint=False):
                shelve(db, "b")
            shelve(db, "c")
    assert told == [rows("a", "c")]


def test_savepoints_of_ones_own(db, told):
    # As Django 6.1 calls it, which warns of its former name.
    make_savepoint = getattr(transaction, "savepoint_create", None) or transaction.savepoint
    with transaction.atomic(using=db):
        early = make_savepoint(using=db)
        shelve(db, "a")
        transaction.savepoint_rollback(early, using=db)
        shelve(db, "b")
        first = make_savepoint(using=db)
        shelve(db, "c")
        second = make_savepoint(using=db)
        shelve(db, "d")
        transaction.savepoint_commit(second, using=db)
        transaction.savepoint_rollback(first, using=db)
        shelve(db, "e")
        transaction.savepoint_commit(first, using=db)
    assert told == [rows("b", "e")]


def test_savepoints_of_sqls_own(db, told):
    with transaction.atomic(using=db), connections[db].cursor() as cursor:
        shelve(db, "a")
        cursor.execute('SAVEPOINT "Mine"')
        shelve(db, "b")
        cursor.execute('ROLLBACK TO "Mine"')
        cursor.execute("/* again */ SAVEPOINT later")
        shelve(db, "c")
        cursor.execute("ROLLBACK TO SAVEPOINT later")
        cursor.execute("RELEASE SAVEPOINT later")
        shelve(db, "d")
    assert told == [rows("a", "d")]


def test_what_only_reads_like_a_rollback(db, told):
    with transaction.atomic(using=db), connections[db].cursor() as cursor:
        shelve(db, "a")
        cursor.execute("INSERT INTO shop_shelf VALUES ('b', 'a savepoint to rollback to there')")
        cursor.execute("UPDATE shop_author SET seen = 1 -- before the savepoint, rollback to it")
    assert told == [{"shop_shelf": None, "shop_author": None}]


def test_an_error_inside(db, told):
    shelve(db, "there")
    told.clear()
    with transaction.atomic(using=db):
        with suppress(DatabaseError), transaction.atomic(using=db):
            shelve(db, "a")
            shelve(db, "there")
            Shelf.objects.using(db).bulk_create([Shelf(code="there")])
        shelve(db, "b")
    assert told in ([rows("b")], [rows("b", "there")])
    told.clear()
    with suppress(DatabaseError), transaction.atomic(using=db):
        shelve(db, "c")
        Shelf.objects.using(db).bulk_create([Shelf(code="there")])
    assert told == []


def test_the_order_of_what_waits_for_the_commit(db, told):
    order = []
    with transaction.atomic(using=db):
        transaction.on_commit(lambda: order.append(list(told)), using=db)
        shelve(db, "a")
        transaction.on_commit(lambda: order.append(list(told)), using=db)
        transaction.on_commit(lambda: shelve(db, "b"), using=db)
    assert order == [[rows("a")], [rows("a")]]
    assert told == [rows("a"), rows("b")]


def test_what_fails_at_the_commit_of_others_does_not_keep_it_back(db, told):
    def fail():
        raise Undone

    with suppress(Undone), transaction.atomic(using=db):
        shelve(db, "a")
        transaction.on_commit(fail, using=db)
    assert told == [rows("a")]
    with suppress(Undone), transaction.atomic(using=db):
        transaction.on_commit(fail, using=db)
        shelve(db, "b")
        with transaction.atomic(using=db):
            shelve(db, "c")
    assert told[1:] == [rows("b", "c")]
    with suppress(Undone), transaction.atomic(using=db):
        with transaction.atomic(using=db):
            transaction.on_commit(fail, using=db)
            with transaction.atomic(using=db):
                shelve(db, "d")
        with rolled_back(db):
            shelve(db, "e")
    assert told[2:] == [rows("d")]


def test_two_databases(lite_db, second_shop, told):
    with rolled_back(second_shop):
        with transaction.atomic(using=lite_db):
            shelve(second_shop, "a")
            shelve(lite_db, "b")
        assert told == [rows("b")]
    assert told == [rows("b")]


def test_threads_have_transactions_of_their_own(lite_db, told):
    inside, done = threading.Event(), threading.Event()

    def other():
        try:
            with transaction.atomic(using=lite_db):
                Author.objects.using(lite_db).count()
                inside.set()
                done.wait()
                shelve(lite_db, "other")
        finally:
            connections[lite_db].close()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with rolled_back(lite_db):
        shelve(lite_db, "mine")
    assert told == []
    done.set()
    thread.join()
    assert told == [rows("other")]


async def test_asynchronous_code(lite_db, told):
    @sync_to_async
    def work():
        with transaction.atomic(using=lite_db):
            shelve(lite_db, "a")
        connections[lite_db].close()

    await asyncio.gather(work())
    await Shelf.objects.using(lite_db).acreate(code="b")
    await sync_to_async(close)(lite_db)
    assert told == [rows("a"), rows("b")]


def view(request, code):
    shelve("lite", code)
    if code == "broken":
        raise Undone
    return HttpResponse()


urlpatterns = [path("<code>/", view)]


def test_atomic_requests(lite_db, told):
    settings = connections[lite_db].settings_dict
    settings["ATOMIC_REQUESTS"] = connections.settings[lite_db]["ATOMIC_REQUESTS"] = True
    try:
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
            client = Client(raise_request_exception=False)
            assert client.get("/fine/").status_code == 200
            assert client.get("/broken/").status_code == 500
    finally:
        settings["ATOMIC_REQUESTS"] = connections.settings[lite_db]["ATOMIC_REQUESTS"] = False
    assert told == [rows("fine")]


def test_without_autocommit(db, told):
    connection = connections[db]
    transaction.set_autocommit(False, using=db)
    try:
        shelve(db, "a")
        transaction.rollback(using=db)
        assert told == []
        shelve(db, "b")
        with transaction.atomic(using=db):
            shelve(db, "c")
        with rolled_back(db):
            shelve(db, "d")
        assert told == []
        transaction.commit(using=db)
        assert told == [rows("b", "c")]
        with transaction.atomic(using=db):
            shelve(db, "e")
        transaction.commit(using=db)
        assert told == [rows("b", "c"), rows("e")]
    finally:
        transaction.rollback(using=db)
        transaction.set_autocommit(True, using=db)
    assert told == [rows("b", "c"), rows("e")]
    shelve(db, "f")
    assert told[2:] == [rows("f")]
    connection.close()  # which is a new one from here on


def test_a_wrapper_around_the_first_query_of_a_connection(lite_db, told):
    connections[lite_db].close()
    del connections[lite_db]
    seen = []

    def wrapper(execute, sql, *args):
        seen.append(sql)
        return execute(sql, *args)

    with connections[lite_db].execute_wrapper(wrapper):
        shelve(lite_db, "a")
    shelve(lite_db, "b")
    assert told == [rows("a"), rows("b")]
    assert any("INSERT" in sql for sql in seen)
    assert len(connections[lite_db].execute_wrappers) == 1


def test_a_connection_that_is_closed_in_a_transaction(lite_db, told):
    with suppress(DatabaseError), transaction.atomic(using=lite_db):
        shelve(lite_db, "a")
        connections[lite_db].close()
    assert told == []
    shelve(lite_db, "b")
    assert told == [rows("b")]


def test_nothing_is_left_behind_by_many_transactions(lite_db, told):
    for number in range(20):
        with transaction.atomic(using=lite_db):
            shelve(lite_db, str(number))
    assert not [each for each in gc.get_objects() if type(each) is Log]


def test_in_a_test_case_it_is_told_by_who_runs_the_callbacks(lite_db, told):
    class Case(TestCase):
        databases = {lite_db}

        def runTest(self):
            shelve(lite_db, "before")
            with self.captureOnCommitCallbacks(using=lite_db, execute=True):
                shelve(lite_db, "a")
            assert told == [rows("before", "a")]
            with self.captureOnCommitCallbacks(using=lite_db) as callbacks:
                shelve(lite_db, "b")
            assert told == [rows("before", "a")]
            for callback in callbacks:
                callback()
            assert told[1:] == [rows("b")]

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_a_test_case_finds_no_callbacks_but_its_own_where_nobody_watches(lite_db):
    class Case(TestCase):
        databases = {lite_db}

        def runTest(self):
            with self.captureOnCommitCallbacks(using=lite_db) as callbacks:
                shelve(lite_db, "a")
            assert callbacks == []

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
