"""What listeners hear, however large, and in which order."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from pathlib import Path

import pytest
import uvloop
from django.db import connections

from tests.push.postgres.ears import Heard
from tests.push.postgres.fixtures import ALIAS
from tests.push.postgres.threads import execute, on_thread, table_locked, until_it_is
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Entry, Position, Retention
from wsrequest.push.brokers.postgres import PostgresBroker, listener, words

KEEP = Retention(size=10, ttl=60)
ROOT = Path(__file__).resolve().parents[3]

# A part of a notification holds 5400 bytes; PostgreSQL takes less than 8000 of text.
SIZES = [0, 1, 5399, 5400, 5401, 7999, 8000, 8001, 10_800, 10_801, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
async def test_payloads_of_any_size(broker, listen, size):
    ear, heard = listen()
    topic = f"/size/{size}/"
    before = await ear.subscribe(topic)
    payload = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    assert await broker.apublish(topic, payload, KEEP) == (before.epoch, 1)
    await ear.signal(topic, payload)
    await broker.asignal(None, payload)
    await heard.until(lambda: len(heard.signals) == 2)
    assert heard.payloads(topic) == [payload]
    assert heard.signals == [(topic, payload), (None, payload)]
    assert (await ear.history(topic, before, 1)).entries == (Entry(1, payload),)


async def test_a_payload_in_equal_parts(broker, listen):
    """PostgreSQL makes equal notifications of a transaction into one."""
    ear, heard = listen()
    await ear.subscribe("/equal/")
    await broker.apublish("/equal/", b"x" * 54_000, Retention(size=0, ttl=0))
    await heard.until(lambda: heard.events)
    assert heard.payloads("/equal/") == [b"x" * 54_000]


@pytest.mark.parametrize(
    "topic",
    [
        "/" + "long/" * 10_000,
        "/with space/",
        "/Grüße/",
        "\x00",
        "\ud800",
        "*",
        "#fragment",
        "no slash",
        "",
        "/" + "x" * 399,
        "/" + "x" * 400,
    ],
    ids=lambda topic: ascii(topic[:12]) + str(len(topic)),
)
async def test_any_name_of_a_topic(broker, listen, topic):
    ear, heard = listen()
    before = await ear.subscribe(topic)
    await broker.apublish(topic, b"x" * 6000, KEEP)
    await broker.asignal(topic, b"word")
    await heard.until(lambda: heard.signals)
    assert heard.events == [(topic, Position(before.epoch, 1), b"x" * 6000)]
    assert heard.signals == [(topic, b"word")]


def test_names_are_told_apart():
    names = ["/a", "@a", "/a/", "a", "#a", "*", "", "/" + "x" * 400, "/" + "x" * 401]
    assert len({words.key_of(name) for name in names}) == len(names)
    assert words.EVERYWHERE not in map(words.key_of, names)


def test_what_was_not_heard_from_its_beginning_is_left_out():
    assembly = words.Assembly()
    assert assembly.add(b"2/2 event /a/ e 1 eA==") is None
    assert assembly.add(b"1/2 event /a/ e 2 eA==") is None
    assert assembly.add(b"2/2 event /a/ e 2 eQ==") == ("event", "/a/", "e", 2, b"xy")
    assert assembly.add(b"1/1 event /a/ e 3 ") == ("event", "/a/", "e", 3, b"")


async def test_channels_are_apart(broker, listen):
    other = PostgresBroker(ALIAS, channel="Another one")
    ear, heard = listen()
    other_ear, other_heard = listen(other)
    ours, theirs = await ear.subscribe("/shared/"), await other_ear.subscribe("/shared/")
    assert ours.epoch != theirs.epoch
    await broker.apublish("/shared/", b"ours", KEEP)
    await broker.asignal(None, b"ours")
    await other.apublish("/shared/", b"theirs", KEEP)
    await other.asignal(None, b"theirs")
    await heard.until(lambda: heard.signals)
    await other_heard.until(lambda: other_heard.signals)
    assert heard.payloads("/shared/") == [b"ours"]
    assert other_heard.payloads("/shared/") == [b"theirs"]
    assert await ear.enter("/shared/", "ada", b"", 60)
    assert await other_ear.members("/shared/") == {}
    assert await on_thread(broker.members, "/shared/") == {"ada": b""}


PUBLISHER = """
import sys
from concurrent.futures import ThreadPoolExecutor
import django
from django.conf import settings
from django.db import connections, transaction

host, port, user, name, process, count = sys.argv[1:]
database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": user, "HOST": host, "PORT": port}
settings.configure(DATABASES={"default": database})
django.setup()

from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.postgres import PostgresBroker

broker = PostgresBroker()

def work(thread):
    for number in range(int(count)):
        said = f"{process}.{thread} {number}".encode()
        if number % 3:
            broker.publish("/many/", said, Retention(10000, 60))
        else:
            with transaction.atomic():
                broker.publish("/many/", said, Retention(10000, 60))
                broker.publish("/many/others/", said, Retention(10, 60))
    connections.close_all()

with ThreadPoolExecutor(2) as pool:
    list(pool.map(work, range(2)))
"""


async def test_many_publishers_have_one_order(listen, postgres_server):
    count, processes = 40, 4
    first_ear, first = listen()
    second_ear, second = listen()
    before = await first_ear.subscribe("/many/")
    assert await second_ear.subscribe("/many/") == before
    where = postgres_server.parameters
    name = connections.settings[ALIAS]["NAME"]
    database = [where["host"], str(where["port"]), where["user"], name]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": ""}
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PUBLISHER,
            *database,
            str(n),
            str(count),
            cwd=ROOT,
            env=environment,
        )
        for n in range(processes)
    ]
    assert [await process.wait() for process in running] == [0] * processes
    everything = count * processes * 2
    await first.until(lambda: len(first.events) == everything)
    await second.until(lambda: len(second.events) == everything)
    assert first.offsets("/many/") == list(range(1, everything + 1))
    assert first.events == second.events
    page = await first_ear.history("/many/", before, everything)
    assert [entry.payload for entry in page.entries] == first.payloads("/many/")
    for source in {said.split()[0] for said in first.payloads("/many/")}:
        own = [
            int(said.split()[1]) for said in first.payloads("/many/") if said.split()[0] == source
        ]
        assert own == list(range(count))


async def test_on_uvloop(broker):
    async def scenario():
        heard = Heard()
        ear = broker.listen(asyncio.get_running_loop(), heard)
        try:
            before = await ear.subscribe("/uvloop/")
            await ear.signal("/uvloop/", b"word")
            await broker.apublish("/uvloop/", b"x" * 20_000, KEEP)
            await heard.until(lambda: heard.events and heard.signals)
            return heard.payloads("/uvloop/"), await ear.history("/uvloop/", before, 5)
        finally:
            await ear.close()

    def work():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(scenario())

    payloads, page = await on_thread(work)
    assert payloads == [b"x" * 20_000] == [entry.payload for entry in page.entries]


async def test_what_is_not_subscribed_is_not_heard(broker, listen):
    ear, heard = listen()
    await ear.subscribe("/left/")
    await broker.apublish("/other/", b"", KEEP)
    await broker.asignal("/other/", b"")
    await ear.unsubscribe("/left/")
    await broker.apublish("/left/", b"", KEEP)
    await broker.asignal(None, b"last")
    await heard.until(lambda: heard.signals)
    assert (heard.events, heard.signals) == ([], [(None, b"last")])


# --- what is kept ------------------------------------------------------------------------------


KEPT = 'SELECT "offset" FROM wsrequest_event WHERE epoch = %s ORDER BY 1'


async def rows_of(position: Position) -> list[int]:
    return [offset for (offset,) in await on_thread(execute, KEPT, position.epoch)]


async def test_the_table_holds_no_more_than_the_history(broker, listen):
    ear, _ = listen()
    before = await ear.subscribe("/kept/")
    for size, expected in [
        (3, [1]),
        (3, [1, 2]),
        (3, [1, 2, 3]),
        (3, [2, 3, 4]),
        (1, [5]),
        (0, []),
    ]:
        await broker.apublish("/kept/", b"", Retention(size, 60))
        assert await rows_of(before) == expected
    assert (await ear.history("/kept/", Position(before.epoch, 5), 5)).whole is False
    assert (await ear.history("/kept/", Position(before.epoch, 6), 5)).whole is True


async def test_a_history_without_a_bound(broker, listen):
    ear, _ = listen()
    before = await ear.subscribe("/unbounded/")
    for retention in (Retention(2**62, math.inf), Retention(2**62, 1e15)):
        await broker.apublish("/unbounded/", b"", retention)
    assert await rows_of(before) == [1, 2]


async def test_who_listens_removes_what_has_expired(broker, listen, monkeypatch):
    monkeypatch.setattr(listener, "SWEEP_INTERVAL", 0.01)
    ear, _ = listen()
    expired = await ear.subscribe("/expired/")
    fresh = await ear.subscribe("/fresh/")
    await broker.apublish("/expired/", b"", Retention(size=5, ttl=0))
    await broker.apublish("/fresh/", b"", KEEP)
    await until_it_is([], KEPT, expired.epoch)
    assert await rows_of(fresh) == [1]
    assert await ear.subscribe("/expired/") == (expired.epoch, 1)  # offsets go on


async def test_a_topic_that_nobody_uses_for_a_day_is_forgotten(broker, listen):
    ear, _ = listen()
    old, used = await ear.subscribe("/old/"), await ear.subscribe("/used/")
    await broker.apublish("/old/", b"", Retention(size=5, ttl=0))
    await broker.apublish("/used/", b"", Retention(size=5, ttl=0))

    def a_day_later():
        yesterday = "clock_timestamp() - interval '25 hours'"
        execute(
            f"UPDATE wsrequest_topic SET used = {yesterday}, expires = {yesterday}, due = {yesterday}"
        )

    await on_thread(a_day_later)
    assert await ear.subscribe("/used/") == (used.epoch, 1)  # is a use
    await on_thread(execute, "SELECT wsrequest_sweep(1000)")
    assert await ear.subscribe("/used/") == (used.epoch, 1)
    again = await ear.subscribe("/old/")
    assert again.epoch != old.epoch
    assert again.offset == 0
    assert await rows_of(old) == []


async def test_members_of_a_topic_that_nobody_asks_about_are_forgotten(listen, monkeypatch):
    monkeypatch.setattr(listener, "SWEEP_INTERVAL", 0.01)
    monkeypatch.setattr(listener, "FORGETTING", 2)
    ear, _ = listen()
    await ear.enter("/abandoned/", "ada", b"", 60)
    await ear.enter("/abandoned/", "bob", b"", 60)
    old = "UPDATE wsrequest_member SET until = clock_timestamp() - interval '2 hours' WHERE member = %s"
    await on_thread(execute, old, "ada")
    members = "SELECT member FROM wsrequest_member WHERE key = '/abandoned/'"
    await until_it_is([("bob",)], members)


async def test_tables_that_were_emptied_begin_a_new_epoch(broker, listen):
    ear, heard = listen()
    before = await ear.subscribe("/emptied/")
    await broker.apublish("/emptied/", b"1", KEEP)
    await on_thread(execute, "TRUNCATE wsrequest_topic, wsrequest_event")
    position = await broker.apublish("/emptied/", b"2", KEEP)
    assert position.epoch != before.epoch
    assert position.offset == 1
    assert not (await ear.history("/emptied/", Position(before.epoch, 1), 5)).whole
    await heard.until(lambda: len(heard.events) == 2)
    assert heard.events[1] == ("/emptied/", position, b"2")


# --- questions ---------------------------------------------------------------------------------


async def test_who_gives_up_leaves_the_connection_of_use(listen, postgres):
    ear, _ = listen(PostgresBroker(postgres, connections=1))
    await ear.members("/given-up/")
    with table_locked():
        asking = asyncio.create_task(ear.enter("/given-up/", "ada", b"", 60))
        await until_it_is([(1,)], "SELECT count(*) FROM pg_locks WHERE NOT granted")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert await ear.members("/given-up/") == {"ada": b""}


async def test_no_answer_in_time(listen, postgres):
    ear, heard = listen(PostgresBroker(postgres, connections=1, timeout=1.0))
    await ear.subscribe("/late/")
    turns = list(heard.turns)
    with table_locked():
        with pytest.raises(BrokerUnavailable):
            await ear.members("/late/")
        # The one connection is taken.
        with pytest.raises(BrokerUnavailable):
            await asyncio.gather(*[ear.members("/late/") for _ in range(20)])
    async with asyncio.timeout(30):
        while True:
            try:
                assert await ear.members("/late/") == {}
                break
            except BrokerUnavailable:
                continue
    assert heard.turns == turns  # listening is another matter


async def test_many_questions_at_once_take_turns(listen, postgres):
    ear, _ = listen(PostgresBroker(postgres, connections=2))
    positions = await asyncio.gather(*[ear.subscribe(f"/turns/{n}/") for n in range(200)])
    assert len({position.epoch for position in positions}) == 200
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'wsrequest' AND datname = current_database()
    """
    await until_it_is([(3,)], query)  # two, and the one that listens
