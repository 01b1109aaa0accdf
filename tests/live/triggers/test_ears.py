"""Who hears triggers: while there is somebody who wants to know, and again after an interruption."""

from __future__ import annotations

import asyncio
import logging
import sys
from itertools import count
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import override_settings

from tests.live.triggers.conftest import listening
from tests.live.triggers.told import TERMINATE, Depot, Told
from tests.push.postgres.fixtures import ALIAS
from wsrequest.errors import ConfigurationError
from wsrequest.livequery import ears
from wsrequest.livequery.ears import CHANNEL, Ears
from wsrequest.push.brokers.postgres.ear import Ear

LISTENERS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'wsrequest' AND datname = current_database()
"""
QUIET = "INSERT INTO depot_tag (id, name) VALUES (gen_random_uuid(), 'x')"


async def listeners(depot: Depot, number: int) -> None:
    """Wait until there are so many."""
    async with asyncio.timeout(30):
        while await depot.execute(LISTENERS) != [(number,)]:
            pass


async def notify(depot: Depot, payload: str) -> None:
    await depot.execute(f"SELECT pg_notify('{CHANNEL}', '{payload}')")


# --- being there ---------------------------------------------------------------------------------


async def test_a_connection_while_somebody_wants_to_know(depot: Depot) -> None:
    told = Told(depot)
    made = Ears(asyncio.get_running_loop(), told.changed, told.all_changed)
    await listeners(depot, 0)
    for turn in (1, 2):
        made.want(True)
        await told.until(lambda turn=turn: told.unsure == turn)  # type: ignore[misc]
        await listeners(depot, 1)
        made.want(False)
        await listeners(depot, 0)
    await made.close()


async def test_ears_that_are_closed_before_they_hear(depot: Depot) -> None:
    told = Told(depot)
    made = Ears(asyncio.get_running_loop(), told.changed, told.all_changed)
    made.want(True)
    made.want(False)
    made.want(True)
    await made.close()
    await listeners(depot, 0)
    assert told.unsure == 0


async def test_without_the_setting_nobody_listens(depot: Depot) -> None:
    told = Told(depot)
    with override_settings(WSREQUEST={}):
        made = Ears(asyncio.get_running_loop(), told.changed, told.all_changed)
    made.want(True)
    made.told({"depot_crate": {"1"}})
    await made.close()
    await listeners(depot, 0)
    assert (told.changes, told.unsure) == ([{"depot_crate": {"1"}}], 0)


async def test_another_address_for_what_listens(depot: Depot) -> None:
    """A pooler in transaction mode can't be listened through."""
    address = {"host": depot.server.parameters["host"], "port": depot.server.port}
    settings = connections.settings[ALIAS]
    port, settings["PORT"] = settings["PORT"], "1"
    try:
        with override_settings(WSREQUEST={"LIVE_TRIGGERS": {ALIAS: address}}):
            async with listening(depot) as told:
                assert await told.of("TRUNCATE depot_slot") == {"depot_slot": None}
    finally:
        settings["PORT"] = port


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "wsrequest.push"]


# --- interruptions -------------------------------------------------------------------------------


async def test_after_an_interruption_anything_may_have_changed(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "wsrequest.push"):
        assert await told.depot.execute(TERMINATE) == [(1,)]
        await told.until(lambda: told.unsure == 2)
    lost, back = said(caplog)
    assert lost.startswith(f"The triggers at DATABASES['{ALIAS}'] can't be heard: ")
    assert back == f"The triggers at DATABASES['{ALIAS}'] are heard again"
    assert await told.of("TRUNCATE depot_slot") == {"depot_slot": None}
    assert told.unsure == 2


async def test_what_was_written_while_nobody_heard_is_not_lost(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    again, often = asyncio.Event(), asyncio.Event()
    tries = count(1)
    real_open = Ear.open

    async def closed(*arguments: Any) -> Ear:
        if next(tries) == 3:
            often.set()
        if not again.is_set():
            raise OSError("no way")
        return await real_open(*arguments)

    monkeypatch.setattr(Ear, "open", closed)
    await told.depot.execute(TERMINATE)
    await told.depot.execute("TRUNCATE depot_slot")
    async with asyncio.timeout(30):
        await often.wait()
    assert told.unsure == 1
    again.set()
    await told.until(lambda: told.unsure == 2)
    assert len(said(caplog)) == 2


# --- what is heard -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"table": 5, "keys": null, "only": null}',
        '{"table": "depot_crate", "keys": 5, "only": null}',
        '{"table": "depot_crate", "only": null}',
        '{"table": "depot_crate", "keys": null}',
        '{"table": "depot_crate", "keys": ["1"], "only": null}',
        '{"table": "depot_crate", "keys": null, "only": [5]}',
    ],
)
async def test_what_nobody_understands_may_mean_anything(told: Told, said: str) -> None:
    await notify(told.depot, said)
    await told.until(lambda: told.unsure == 2)
    assert await told.of("TRUNCATE depot_slot") == {"depot_slot": None}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            '{"table": "Depot_Crate", "column": "ID", "keys": ["1"], "only": null}',
            {"depot_crate": {"1"}},
        ),
        (
            '{"table": "depot_crate", "column": "ID", "keys": ["x"], "only": null}',
            {"depot_crate": None},
        ),
        (
            '{"table": "depot_crate", "column": "ID", "keys": ["1", null], "only": null}',
            {"depot_crate": None},
        ),
        ('{"table": "depot_crate", "column": "ID", "keys": ["1"], "only": ["LASTSEEN"]}', {}),
        (
            '{"table": "depot_crate", "column": "ID", "keys": ["1"], "only": ["lastSeen", "label"]}',
            {"depot_crate": {"1"}},
        ),
        # A parcel's key is its code.
        (
            '{"table": "depot_parcel", "column": "id", "keys": ["1"], "only": null}',
            {"depot_parcel": None},
        ),
        ('{"table": "of_somebody_else", "column": "ID", "keys": ["1"], "only": null}', {}),
    ],
)
async def test_what_notifications_mean(told: Told, said: str, meant: Any) -> None:
    assert await told.of(f"SELECT pg_notify('{CHANNEL}', '{said}')") == meant


# --- what is told twice --------------------------------------------------------------------------


async def test_what_the_writer_and_the_trigger_say_is_one_change(told: Told) -> None:
    made = Ears(asyncio.get_running_loop(), told.changed, told.all_changed)
    made.told({"depot_crate": {"1"}})
    assert told.changes == [{"depot_crate": {"1"}}]  # nobody knows of a trigger
    made.heard("depot_crate", {"1"})
    made.told({"depot_crate": {"1", "2"}, "depot_quiet": None})
    assert told.changes[1:] == [{"depot_quiet": None}]
    made.heard("depot_slot", None)
    await told.until(lambda: len(told.changes) == 3)
    assert told.changes[2] == {"depot_crate": {"1", "2"}, "depot_slot": None}
    made.told({"depot_crate": {"3"}})
    made.heard("depot_crate", {"3"})
    await told.until(lambda: len(told.changes) == 4)
    assert told.changes[3] == {"depot_crate": {"3"}}
    made.heard("depot_crate", {"4"})
    await made.close()  # with something that waits


# --- the setting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("triggers", "id", "problem"),
    [
        (["default"], "wsrequest.E002", "must be a dict with a dict for each alias"),
        ({"default": None}, "wsrequest.E002", "must be a dict with a dict for each alias"),
        ({5: {}}, "wsrequest.E002", "must be a dict with a dict for each alias"),
        ({"nowhere": {}}, "wsrequest.E007", "DATABASES has no 'nowhere'"),
        ({"default": {}}, "wsrequest.E007", "is a sqlite database, not PostgreSQL"),
    ],
)
def test_a_setting_that_can_not_be_used(triggers: Any, id: str, problem: str) -> None:
    with override_settings(WSREQUEST={"LIVE_TRIGGERS": triggers}):
        [error] = [each for each in run_checks() if "LIVE_TRIGGERS" in each.msg]
        with pytest.raises(ConfigurationError) as raised:
            ears.addresses()
    assert (error.id, error.msg) == (id, str(raised.value))
    assert problem in error.msg


def test_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for module in ("", ".wires"):
        monkeypatch.delitem(sys.modules, f"wsrequest.push.brokers.postgres{module}")
    with override_settings(WSREQUEST={"LIVE_TRIGGERS": {"default": {}}}):
        [error] = [each for each in run_checks() if each.id == "wsrequest.E007"]
    assert error.msg.startswith("WSREQUEST['LIVE_TRIGGERS']['default'] can't be used: ")
    assert "pip install 'django-websocket-request[postgres]'" in error.msg
