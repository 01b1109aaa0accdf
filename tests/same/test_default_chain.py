"""The seven middleware of `startproject`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.same.cases import CASES, Case
from tests.same.compare import OverSocket
from tests.same.run import assert_as_expected, assert_same, over_each
from tests.support.server import ServerThread

# Django's own handler reads a synchronous iterator as a whole, and warns that it does.
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    with override_settings(WSREQUEST={"MAX_MESSAGE_BYTES": 8 * 2**20}):
        running = ServerThread(debug=False).start()
        yield running
        running.stop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@over_each
def test_same(case: Case, server: ServerThread, over: type[OverSocket]) -> None:
    assert_as_expected(case, assert_same(case, server, over))
