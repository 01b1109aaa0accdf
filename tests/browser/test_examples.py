"""openapi-fetch, axios, ky and TanStack Query over the socket, against the real server."""

from __future__ import annotations

import re

import pytest

from tests.support.node import vitest

pytestmark = pytest.mark.node


def test_the_clients_that_people_know_work_over_the_socket(process):
    said = vitest("examples", WSREQUEST_SERVER=process.http)
    assert int(re.search(r"Tests +(\d+) passed", said)[1]) >= 4, said
