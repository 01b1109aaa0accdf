"""What is published inside of a transaction takes part in it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.db import OperationalError, connections, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse
from django.test import Client, TestCase, override_settings
from django.urls import path

from tests.push.postgres.fixtures import ALIAS
from tests.push.postgres.threads import execute, on_thread
from wsrequest.push.brokers.base import Position, Retention
from wsrequest.push.brokers.postgres import PostgresBroker

KEEP = Retention(size=10_000, ttl=60)


class Undone(Exception):
    """Rolls a transaction back."""


@contextmanager
def rolled_back():
    with suppress(Undone), transaction.atomic(using=ALIAS):
        yield
        raise Undone


async def up_to_now(broker, heard):
    """Wait until everything that was committed is heard."""
    count = len(heard.signals)
    await broker.asignal(None, b"now")
    await heard.until(lambda: len(heard.signals) > count)


async def test_it_is_heard_after_the_commit_and_not_before(broker, listen):
    listener, heard = listen()
    before = await listener.subscribe("/orders/")
    published, commit = threading.Event(), threading.Event()

    def work():
        with transaction.atomic(using=ALIAS):
            position = broker.publish("/orders/", b"paid", KEEP)
            published.set()
            commit.wait()
        return position

    working = asyncio.create_task(on_thread(work))
    await asyncio.to_thread(published.wait)
    await up_to_now(broker, heard)
    assert heard.events == []
    commit.set()
    assert await working == before  # as far as it was known
    await heard.until(lambda: heard.events)
    assert heard.events == [("/orders/", Position(before.epoch, 1), b"paid")]


async def test_a_topic_that_nobody_knows_yet_has_no_position(broker):
    def work():
        with transaction.atomic(using=ALIAS):
            return broker.publish("/new/", b"", KEEP)

    assert await on_thread(work) == Position("", 0)


async def test_a_rollback_leaves_nothing(broker, listen):
    listener, heard = listen()
    before = await listener.subscribe("/orders/rolled-back/")

    def work():
        with rolled_back():
            broker.publish("/orders/rolled-back/", b"phantom", KEEP)
        return broker.publish("/orders/rolled-back/", b"real", KEEP)

    assert await on_thread(work) == Position(before.epoch, 1)
    await up_to_now(broker, heard)
    assert heard.payloads("/orders/rolled-back/") == [b"real"]


async def test_a_savepoint_that_is_rolled_back_takes_only_its_own(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/savepoints/")

    def work():
        with transaction.atomic(using=ALIAS):
            broker.publish("/savepoints/", b"1", KEEP)
            with rolled_back():
                broker.publish("/savepoints/", b"phantom", KEEP)
            with transaction.atomic(using=ALIAS):
                broker.publish("/savepoints/", b"2", KEEP)
            broker.publish("/savepoints/", b"3", KEEP)

    await on_thread(work)
    await up_to_now(broker, heard)
    assert heard.payloads("/savepoints/") == [b"1", b"2", b"3"]
    assert heard.offsets("/savepoints/") == [1, 2, 3]


async def test_without_autocommit_too(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/by-hand/")

    def work():
        transaction.set_autocommit(False, using=ALIAS)
        broker.publish("/by-hand/", b"phantom", KEEP)
        transaction.rollback(using=ALIAS)
        broker.publish("/by-hand/", b"real", KEEP)
        transaction.commit(using=ALIAS)

    await on_thread(work)
    await up_to_now(broker, heard)
    assert heard.payloads("/by-hand/") == [b"real"]


async def test_a_signal_is_said_with_the_commit(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/signals/")

    def work():
        with rolled_back():
            broker.signal("/signals/", b"phantom")
        with transaction.atomic(using=ALIAS):
            broker.signal("/signals/", b"twice")
            broker.signal("/signals/", b"twice")

    await on_thread(work)
    await heard.until(lambda: len(heard.signals) == 2)
    assert heard.signals == [("/signals/", b"twice")] * 2


async def test_thousands_of_events_in_a_transaction(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/import/")

    def work():
        with transaction.atomic(using=ALIAS):
            for number in range(2000):
                broker.publish("/import/", b"%d" % number, KEEP)

    await on_thread(work)
    await heard.until(lambda: len(heard.events) == 2000)
    assert heard.payloads("/import/") == [b"%d" % number for number in range(2000)]
    assert heard.offsets("/import/") == list(range(1, 2001))
    assert await on_thread(execute, "SELECT count(*) FROM wsrequest_outbox") == [(0,)]


# --- beside others -----------------------------------------------------------------------------


async def test_a_long_transaction_does_not_hold_up_others(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/busy/")
    published, commit = threading.Event(), threading.Event()

    def work():
        with transaction.atomic(using=ALIAS):
            broker.publish("/busy/", b"long", KEEP)
            published.set()
            commit.wait()

    working = asyncio.create_task(on_thread(work))
    await asyncio.to_thread(published.wait)
    await broker.apublish("/busy/", b"short", KEEP)  # would wait for the end of `work`
    await heard.until(lambda: heard.events)
    commit.set()
    await working
    await heard.until(lambda: len(heard.events) == 2)
    assert heard.payloads("/busy/") == [b"short", b"long"]
    assert heard.offsets("/busy/") == [1, 2]


async def test_opposite_orders_of_topics_do_not_deadlock(broker, listen):
    topics = ["/one/", "/two/", "/three/"]
    rounds, meeting = 40, threading.Barrier(2)
    listener, heard = listen()
    for topic in topics:
        await listener.subscribe(topic)

    def work(order):
        try:
            for _ in range(rounds):
                with transaction.atomic(using=ALIAS):
                    for topic in order:
                        broker.publish(topic, b"", KEEP)
                    meeting.wait(30)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            loop.run_in_executor(pool, work, topics),
            loop.run_in_executor(pool, work, topics[::-1]),
        )
    await heard.until(lambda: len(heard.events) == 2 * rounds * len(topics))
    for topic in topics:
        assert heard.offsets(topic) == list(range(1, 2 * rounds + 1))


async def test_a_repeatable_read_that_met_another_has_to_be_repeated(broker):
    """As is usual under this isolation level."""
    await broker.apublish("/repeatable/", b"", KEEP)
    begun, go_on = threading.Event(), threading.Event()

    def work():
        with transaction.atomic(using=ALIAS):
            execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            broker.publish("/repeatable/", b"", KEEP)
            begun.set()
            go_on.wait()

    working = asyncio.create_task(on_thread(work))
    await asyncio.to_thread(begun.wait)
    await broker.apublish("/repeatable/", b"", KEEP)
    go_on.set()
    with pytest.raises(OperationalError, match="serialize"):
        await working


async def test_a_transaction_that_is_broken_already(broker):
    def work():
        with rolled_back():
            with suppress(Undone), transaction.atomic(using=ALIAS, savepoint=False):
                raise Undone
            with pytest.raises(TransactionManagementError):
                broker.publish("/broken/", b"", KEEP)

    await on_thread(work)


# --- what Django does at the end of a test ------------------------------------------------------


async def test_constraints_that_are_checked_early_change_nothing(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/checked/")

    def work():
        with transaction.atomic(using=ALIAS):
            broker.publish("/checked/", b"1", KEEP)
            connections[ALIAS].check_constraints()
            broker.publish("/checked/", b"2", KEEP)
        with rolled_back():
            broker.publish("/checked/", b"phantom", KEEP)
            connections[ALIAS].check_constraints()
        with transaction.atomic(using=ALIAS):
            execute("SET CONSTRAINTS ALL IMMEDIATE")
            broker.publish("/checked/", b"3", KEEP)

    await on_thread(work)
    await up_to_now(broker, heard)
    assert heard.payloads("/checked/") == [b"1", b"2", b"3"]
    assert heard.offsets("/checked/") == [1, 2, 3]


async def test_in_a_testcase_nothing_is_ever_heard(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/tested/")

    class ATest(TestCase):
        databases = {ALIAS}

        def runTest(self):
            broker.publish("/tested/", b"phantom", KEEP)

    def work():
        result = ATest().defaultTestResult()
        ATest()(result)
        return result

    result = await on_thread(work)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    await broker.apublish("/tested/", b"real", KEEP)
    await heard.until(lambda: heard.events)
    assert heard.payloads("/tested/") == [b"real"]
    assert heard.offsets("/tested/") == [1]


# --- requests ----------------------------------------------------------------------------------


def order(request):
    PostgresBroker(ALIAS).publish("/requests/", request.GET["say"].encode(), KEEP)
    if "fail" in request.GET:
        raise Undone
    return HttpResponse()


urlpatterns = [path("order", order)]


async def test_atomic_requests(broker, listen):
    listener, heard = listen()
    await listener.subscribe("/requests/")

    def work():
        client = Client(raise_request_exception=False)
        assert client.get("/order?say=phantom&fail=1").status_code == 500
        assert client.get("/order?say=real").status_code == 200

    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        connections.settings[ALIAS]["ATOMIC_REQUESTS"] = True
        await on_thread(work)
    await up_to_now(broker, heard)
    assert heard.payloads("/requests/") == [b"real"]


# --- processes that die ------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[3]

DYING = """
import os, signal, sys
import django
from django.conf import settings
from django.db import connections, transaction

host, port, user, name, fatal = sys.argv[1:]
database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": user, "HOST": host, "PORT": port}
settings.configure(DATABASES={"default": database})
django.setup()

from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.postgres import PostgresBroker

def die():
    os.kill(os.getpid(), signal.SIGKILL)

broker = PostgresBroker()
with transaction.atomic():
    connections["default"].cursor().execute("INSERT INTO paid VALUES (1)")
    broker.publish("/killed/", b"paid", Retention(10, 60))
    if fatal == "before":
        die()
    transaction.on_commit(die)
raise SystemExit("it lives")
"""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_around_the_commit(broker, listen, postgres_server, moment):
    """The event is there where the data is."""
    listener, heard = listen()
    await listener.subscribe("/killed/")
    await on_thread(execute, "CREATE TABLE IF NOT EXISTS paid (id integer)")
    await on_thread(execute, "TRUNCATE paid")
    where = postgres_server.parameters
    name = connections.settings[ALIAS]["NAME"]
    arguments = [where["host"], str(where["port"]), where["user"], name, moment]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DYING,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
    )
    assert await process.wait() == -signal.SIGKILL
    rows = await on_thread(execute, "SELECT id FROM paid")
    await up_to_now(broker, heard)
    expected = [] if moment == "before" else [b"paid"]
    assert heard.payloads("/killed/") == expected
    assert len(rows) == len(expected)
