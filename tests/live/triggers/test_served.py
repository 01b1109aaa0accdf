"""Live subscriptions of a real server, whose rows are written as by psql."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonpatch import JsonPatch

from tests.live.triggers.told import TERMINATE, Depot
from tests.push.postgres.server import PostgresServer
from tests.support.client import Peer, connect
from tests.support.server import ServerProcess

TAG = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

#: Ends the connection that listens while something is being written that it would hear of.
WRITTEN_MEANWHILE = f"""
BEGIN;
UPDATE depot_crate SET label = 'meanwhile' WHERE id = 2;
{TERMINATE};
COMMIT
"""


@pytest.fixture(scope="module")
def served(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Depot]]:
    postgres_server.execute("CREATE DATABASE served")
    where = postgres_server.parameters
    database = {
        "NAME": "served",
        "USER": where["user"],
        "HOST": where["host"],
        "PORT": where["port"],
    }
    environment = {"WSREQUEST_TEST_POSTGRES": json.dumps(database)}
    folder = tmp_path_factory.mktemp("depot")
    server = ServerProcess(folder, "tests.live.triggers.depot", **environment)
    yield server.start(), Depot(postgres_server, "served")
    server.stop()


async def until(peer: Peer, states: dict[int, Any], number: int, wanted: Any) -> None:
    """What the client holds has become this."""
    while states[number] != wanted:
        said = await peer.next()
        if said.get("event") == "patch":
            states[said["id"]] = JsonPatch(said["data"]).apply(states[said["id"]])
        elif said.get("event") == "replace":
            states[said["id"]] = said["data"]


async def test_whoever_writes(served: tuple[ServerProcess, Depot]) -> None:
    server, depot = served
    async with connect(server.ws) as peer:
        states: dict[int, Any] = {}
        for number, url in ((1, "/crates/"), (2, "/crates/2/")):
            if number == 2:
                crate = "INSERT INTO depot_crate (id, label, weight, \"lastSeen\") VALUES ({}, '{}', 0, 0)"
                await depot.execute(crate.format(1, "first"), crate.format(2, "second"))
                first, second = ["first", [], []], ["second", [], []]
                await until(peer, states, 1, {"crates": [first, second], "odd": []})
            answer = await peer.request(url, id=number, method="SUBSCRIBE", live=True)
            assert answer["status"] == 200, answer
            states[number] = answer["data"]
        await depot.execute(
            "UPDATE depot_crate SET label = 'other' WHERE id = 2",
            "INSERT INTO depot_parcel (code, crate_id) VALUES ('a', 1), ('b', 2)",
            f"INSERT INTO depot_tag (id, name) VALUES ('{TAG}', 'green')",
            f"INSERT INTO depot_crate_tags (crate_id, tag_id) VALUES (2, '{TAG}')",
            """INSERT INTO "the archive"."Odd name-d" (label) VALUES ('odd')""",
        )
        first, second = ["first", [], ["a"]], ["other", ["green"], ["b"]]
        await until(peer, states, 1, {"crates": [first, second], "odd": ["odd"]})
        await until(peer, states, 2, {"crate": second})
        # The database deletes the parcel by itself.
        await depot.execute("DELETE FROM depot_crate WHERE id = 1")
        await until(peer, states, 1, {"crates": [second], "odd": ["odd"]})
        await depot.execute(WRITTEN_MEANWHILE)
        second[0] = "meanwhile"
        await until(peer, states, 2, {"crate": second})
        await until(peer, states, 1, {"crates": [second], "odd": ["odd"]})
        # What the project writes by itself is told, too.
        async with httpx.AsyncClient() as client:
            assert (await client.post(f"{server.http}/crates/", content="third")).is_success
        third = ["third", [], []]  # its number is the first that is free
        await until(peer, states, 1, {"crates": [third, second], "odd": ["odd"]})
        await depot.execute("TRUNCATE depot_crate, depot_parcel, depot_crate_tags RESTART IDENTITY")
        await until(peer, states, 1, {"crates": [], "odd": ["odd"]})
        assert (await peer.first(lambda said: said.get("end") is True))["status"] == 404
        assert await asyncio.to_thread(depot.execute_now, "TABLE depot_crate") == []
