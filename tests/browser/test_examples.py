"""openapi-fetch, axios, ky and TanStack Query over the socket, against the real server."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.server import ROOT

pytestmark = pytest.mark.node

JS = ROOT / "js"


def test_the_clients_that_people_know_work_over_the_socket(process):
    assert (JS / "node_modules").is_dir(), "Run npm ci in js/ first."
    done = subprocess.run(
        [JS / "node_modules" / ".bin" / "vitest", "run", "--dir", "examples"],
        cwd=JS,
        env={**os.environ, "WSREQUEST_SERVER": process.http},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
