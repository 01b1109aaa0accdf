"""ATOMIC_REQUESTS: a view that raises leaves nothing behind, whichever way the request came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.same.cases import Case, case, get
from tests.same.compare import OverSocket
from tests.same.run import assert_as_expected, assert_same, over_each
from tests.support.server import ServerThread

CASES = [
    case(
        "rollback",
        get("/add-note/kept/", contains="3"),
        get("/add-note/lost/?fail", status=500),
        get("/notes/", contains='["first", "kept", "second"]'),
    ),
    # Django refuses these two together.
    case("async", get("/aadd-note/x/", status=500), get("/notes/", contains='["first", "second"]')),
]


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    options = connections.settings["default"]
    options["ATOMIC_REQUESTS"] = True
    running = ServerThread(debug=False).start()
    yield running
    running.stop()
    options["ATOMIC_REQUESTS"] = False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@over_each
def test_same(case: Case, server: ServerThread, over: type[OverSocket]) -> None:
    assert_as_expected(case, assert_same(case, server, over))
