"""The server stalls, is restarted, crashes, or ends connections: the listener says so, and comes back by itself."""

from __future__ import annotations

import asyncio
import signal

import psycopg
import pytest
from django.db import connections

from tests.push.postgres.fixtures import ALIAS
from tests.push.postgres.threads import execute, on_thread, table_locked, until_it_is
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Position, Retention
from wsrequest.push.brokers.postgres import PostgresBroker, ear, hearing, wires

pytestmark = pytest.mark.slow

KEEP = Retention(size=100, ttl=60)
ONCE = ["interrupted", "resumed"]

TERMINATE = """
SELECT count(pg_terminate_backend(pid, 30000)) FROM pg_stat_activity
WHERE application_name = 'wsrequest' AND query LIKE %s AND datname = current_database()
"""


async def published(broker, topic, payload):
    """After an interruption: as often as it takes."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await broker.apublish(topic, payload, KEEP)
            except BrokerUnavailable:
                await asyncio.sleep(0.01)


async def test_the_connection_that_listens_is_ended(broker, listen):
    ears, heard = listen()
    before = await ears.subscribe("/terminated/")
    assert await on_thread(execute, TERMINATE, "LISTEN%") == [(1,)]
    await heard.until(lambda: heard.turns == ONCE)
    await broker.apublish("/terminated/", b"after", KEEP)
    await heard.until(lambda: heard.events)
    assert heard.events == [("/terminated/", Position(before.epoch, 1), b"after")]


async def test_what_was_missed_is_in_the_history(broker, listen, monkeypatch):
    monkeypatch.setattr(hearing, "FIRST_DELAY", 1.0)
    monkeypatch.setattr(hearing.random, "uniform", lambda least, most: most)
    ears, heard = listen()
    before = await ears.subscribe("/missed/")
    real_open = ear.Ear.open

    async def fails_once(*arguments):
        monkeypatch.setattr(ear.Ear, "open", real_open)
        raise OSError

    monkeypatch.setattr(ear.Ear, "open", fails_once)
    await on_thread(execute, TERMINATE, "LISTEN%")
    await heard.until(lambda: heard.turns == ["interrupted"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ears.subscribe("/missed/too/")  # it would not be heard
    for number in range(3):
        await broker.apublish("/missed/", b"%d" % number, KEEP)
    await heard.until(lambda: heard.turns == ONCE)
    assert heard.events == []
    page = await ears.history("/missed/", before, 2)
    assert [entry.payload for entry in page.entries] == [b"0", b"1"]
    assert page.newest == (before.epoch, 3)


async def test_the_connections_that_answer_are_ended(listen):
    ears, heard = listen()
    before = await ears.subscribe("/answers/")
    assert await on_thread(execute, TERMINATE, "%wsrequest_position%") == [(1,)]
    assert (await ears.history("/answers/", before, 1)).newest == before
    assert heard.turns == []


async def test_the_connection_that_publishes_is_ended(broker):
    def work():
        broker.publish("/publisher/", b"1", KEEP)
        [(pid,)] = execute("SELECT pg_backend_pid()")
        return pid

    def work_on():
        connection = connections[ALIAS]
        other = connection.copy()
        try:
            other.connect()
            with other.cursor() as cursor, connection.cursor() as own:
                own.execute("SELECT pg_backend_pid()")
                cursor.execute("SELECT pg_terminate_backend(%s, 30000)", own.fetchone())
        finally:
            other.close()
        with pytest.raises(BrokerUnavailable):
            broker.publish("/publisher/", b"2", KEEP)
        return broker.publish("/publisher/", b"3", KEEP)

    assert await on_thread(work)
    assert (await on_thread(work_on)).offset == 2


async def test_the_server_is_stopped_for_three_seconds(listen, postgres, postgres_server):
    broker = PostgresBroker(postgres, timeout=1.0)
    ears, heard = listen(broker)
    before = await ears.subscribe("/stalled/")
    await asyncio.to_thread(postgres_server.suspend)
    try:
        stalled = asyncio.get_running_loop().time()
        with pytest.raises(BrokerUnavailable):
            await ears.members("/stalled/")
        await heard.until(lambda: heard.turns == ["interrupted"])
        with pytest.raises(BrokerUnavailable):
            await ears.subscribe("/stalled/too/")
        publishing = asyncio.create_task(published(broker, "/stalled/", b"during"))
        await asyncio.sleep(max(0, stalled + 3 - asyncio.get_running_loop().time()))
    finally:
        await asyncio.to_thread(postgres_server.resume)
    await heard.until(lambda: heard.turns == ONCE)
    assert (await publishing).epoch == before.epoch
    page = await ears.history("/stalled/", before, 5)
    assert page.whole
    assert {entry.payload for entry in page.entries} == {b"during"}
    await ears.subscribe("/stalled/too/")


async def test_the_server_is_restarted(broker, listen, postgres_server):
    ears, heard = listen()
    before = await ears.subscribe("/restarted/")
    await broker.apublish("/restarted/", b"before", KEEP)
    await heard.until(lambda: len(heard.events) == 1)
    await asyncio.to_thread(postgres_server.stop)
    try:
        await heard.until(lambda: heard.turns == ["interrupted"])
        with pytest.raises(BrokerUnavailable):
            await ears.history("/restarted/", before, 5)
        with pytest.raises(BrokerUnavailable):
            await broker.apublish("/restarted/", b"lost", KEEP)
    finally:
        await asyncio.to_thread(postgres_server.start)
    await heard.until(lambda: heard.turns == ONCE)
    assert await published(broker, "/restarted/", b"after") == (before.epoch, 2)
    await heard.until(lambda: len(heard.events) == 2)
    page = await ears.history("/restarted/", before, 5)
    assert [entry.payload for entry in page.entries] == [b"before", b"after"]


async def test_the_server_crashes(broker, listen, postgres_server):
    """The tables come back empty, and that shows."""
    ears, heard = listen()
    before = await ears.subscribe("/crashed/")
    await broker.apublish("/crashed/", b"before", KEEP)
    await asyncio.to_thread(postgres_server.stop, signal.SIGQUIT)
    await asyncio.to_thread(postgres_server.start)
    await heard.until(lambda: heard.turns == ONCE)
    page = await ears.history("/crashed/", Position(before.epoch, 1), 5)
    assert not page.whole
    assert page.newest.epoch != before.epoch
    assert await published(broker, "/crashed/", b"after") == (page.newest.epoch, 1)


async def test_the_server_is_not_there_yet(listen, postgres, postgres_server, caplog):
    await asyncio.to_thread(postgres_server.stop)
    try:
        ears, heard = listen(PostgresBroker(postgres, timeout=0.2))
        await heard.until(lambda: heard.turns == ["interrupted"])
        with pytest.raises(BrokerUnavailable):
            await ears.subscribe("/early/")
    finally:
        await asyncio.to_thread(postgres_server.start)
    await heard.until(lambda: heard.turns == ONCE)
    await ears.subscribe("/early/")
    lost, back = [r.getMessage() for r in caplog.records if r.name == "wsrequest.push"]
    assert lost.startswith("The broker at DATABASES['postgres'] is lost: OperationalError: conn")
    assert back == "The broker at DATABASES['postgres'] is back"


async def test_close_while_it_connects(postgres, postgres_server, listen):
    await asyncio.to_thread(postgres_server.suspend)
    try:
        ears, heard = listen()
        asking = asyncio.create_task(ears.members("/never/"))
        await asyncio.sleep(0)
        await ears.close()
        with pytest.raises(BrokerUnavailable):
            await asking
        await ears.close()
    finally:
        await asyncio.to_thread(postgres_server.resume)
    assert heard.turns == []


async def test_close_while_something_is_asked(listen, monkeypatch):
    monkeypatch.setattr(wires, "CLOSING", 0.05)
    ears, _ = listen()
    await ears.members("/closing/")
    with table_locked():
        asking = asyncio.create_task(ears.enter("/closing/", "ada", b"", 60))
        await until_it_is([(1,)], "SELECT count(*) FROM pg_locks WHERE NOT granted")
        await ears.close()
        with pytest.raises(BrokerUnavailable):
            await asking


async def test_a_loop_that_was_held_up_is_no_interruption(broker, listen, monkeypatch):
    """Although the answer was not looked at in time."""
    monkeypatch.setattr(ear, "ASK_AFTER", 0.05)
    monkeypatch.setattr(ear, "ANSWER_WITHIN", 0.5)
    held_up = asyncio.Event()
    real_ask = ear.Ear._ask

    def ask(self):
        real_ask(self)
        signal.sigtimedwait((), 1.0)  # sleeps
        held_up.set()

    monkeypatch.setattr(ear.Ear, "_ask", ask)
    ears, heard = listen()
    await ears.subscribe("/held-up/")
    async with asyncio.timeout(30):
        for _ in range(2):
            held_up.clear()
            await held_up.wait()
    await broker.apublish("/held-up/", b"", KEEP)
    await heard.until(lambda: heard.events)
    assert heard.turns == []


async def test_a_quiet_connection_is_kept(listen, monkeypatch):
    """The server's answers to the question whether it is there count as life."""
    for name in ("ASK_AFTER", "_OFTEN"):
        monkeypatch.setattr(ear, name, 0.01)
    asked = []
    often = asyncio.Event()
    real_ask = ear.Ear._ask

    def ask(self):
        asked.append(real_ask(self))
        if len(asked) == 20:
            often.set()

    monkeypatch.setattr(ear.Ear, "_ask", ask)
    ears, heard = listen()
    await ears.subscribe("/quiet/")
    async with asyncio.timeout(30):
        await often.wait()
    assert heard.turns == []


# --- opening -----------------------------------------------------------------------------------


@pytest.fixture
def before_listening(monkeypatch):
    """Something that is to happen instead of the next LISTEN, or around it."""
    real_ask = wires.Wire.ask_to_the_end

    def put(function):
        async def ask(wire, query, *parameters):
            if isinstance(query, str):
                return await real_ask(wire, query, *parameters)
            monkeypatch.setattr(wires.Wire, "ask_to_the_end", real_ask)
            return await function(wire, query)

        monkeypatch.setattr(wires.Wire, "ask_to_the_end", ask)

    return put


async def test_listening_fails_at_first(listen, before_listening):
    async def fails(wire, query):
        raise psycopg.OperationalError

    before_listening(fails)
    _, heard = listen()
    await heard.until(lambda: heard.turns == ONCE)


async def test_close_before_it_listens(listen, before_listening):
    asked = asyncio.get_running_loop().create_future()

    async def takes_long(wire, query):
        asked.set_result(wire)
        await wire.connection.execute("SELECT pg_sleep(60)")

    before_listening(takes_long)
    ears, heard = listen()
    wire = await asked
    await ears.close()
    assert wire.connection.closed
    assert heard.turns == []


async def test_what_comes_before_it_is_ready_is_heard_after_resumed(
    broker, listen, monkeypatch, before_listening
):
    ears, heard = listen()
    await ears.subscribe("/early/")

    async def publishes(wire, query):
        await wire.ask(query)
        await broker.apublish("/early/", b"early", KEEP)
        await wire.ask("SELECT 1")

    before_listening(publishes)
    resumed_after = []
    monkeypatch.setattr(heard, "resumed", lambda: resumed_after.append(len(heard.events)))
    await on_thread(execute, TERMINATE, "LISTEN%")
    await heard.until(lambda: heard.events)
    assert resumed_after == [0]
    assert heard.payloads("/early/") == [b"early"]


async def test_cancelled_before_it_is_set_up(postgres, monkeypatch):
    asked = asyncio.get_running_loop().create_future()
    real_connect = psycopg.AsyncConnection.connect

    async def connect(**parameters):
        connection = await real_connect(**parameters)
        asked.set_result(connection)
        return connection

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    opening = asyncio.create_task(wires.Wire.open(wires.Address(postgres, {}, 5.0)))
    connection = await asked
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert connection.closed


async def test_a_question_that_can_not_be_asked_is_the_end(postgres):
    listening = await ear.Ear.open(wires.Address(postgres, {}, 5.0), "wsrequest", print)
    listening.listen()
    listening._pgconn.finish()
    listening._ask()
    assert listening.deaf.done()
    listening.close(OSError())
