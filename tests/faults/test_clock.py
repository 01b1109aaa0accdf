"""The clock on the wall is set: what lasts for a time lasts as long as before, as other clocks measure it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

import wsrequest
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.memory import connection
from wsrequest import apublish

SOURCES = Path(wsrequest.__file__).parent

#: Who asks what time it is, and for what.
ASKED_IN = {
    "lifecycle/cookies.py": "a cookie says when it expires",
    "management/commands/runserver.py": "to be read by people",
    "management/commands/wswatch.py": "to be read by people",
    "session/credentials.py": "a token says when it expires",
    "session/subscriptions.py": "a token says when it expires",
}

#: Reading a module's tree takes much longer.
MAYBE = re.compile(r"\btime\.time|from time import|\bnow\b|utcnow")

DAY = 86_400.0


def questions(tree: ast.AST) -> Iterator[str]:
    """Where a module asks for the time of day."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (each.name for each in node.names if each.name in ("time", "time_ns"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in {
                "time.time",
                "time.time_ns",
                "datetime.now",
                "datetime.utcnow",
                "timezone.now",
            }:
                yield name


def test_nobody_asks_for_the_time_of_day_to_measure_with() -> None:
    asked = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if MAYBE.search(text := path.read_text()) and any(questions(ast.parse(text)))
    }
    assert asked == set(ASKED_IN), "Measure with time.monotonic() or the loop's clock."


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_the_clock_is_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    settings.ROOT_URLCONF = "tests.subscribe.urls"
    settings.WSREQUEST = {"MESSAGE_BURST": 5, "MESSAGES_PER_SECOND": 0.001}
    wall = time.time
    async with connection() as peer:
        answer = await subscribe(peer, "/thing/clock/")
        epoch = answer["subscription"]["epoch"]
        await apublish("/thing/clock/", 1)
        await pulled(peer, 1)
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        await apublish("/thing/clock/", 2)
        assert await pulled(peer, 1) == [{"id": 1, "event": "message", "data": 2, "offset": 2}]

        async with connection() as later:  # the history is as old as it is
            since = {"epoch": epoch, "offset": 0}
            later.transport.push(
                {"id": 1, "method": "SUBSCRIBE", "url": "/thing/clock/", "since": since}
            )
            answer, *events = await pulled(later, 3)
            assert answer["subscription"]["recovered"] is True
            assert [event["data"] for event in events] == [1, 2]

        for number in range(2, 7):  # nobody has earned a message by it
            peer.transport.push({"id": number, "url": "/thing/clock/"})
        statuses = [each["status"] for each in await pulled(peer, 5)]
        assert sorted(statuses) == [200, 200, 200, 200, 429]
