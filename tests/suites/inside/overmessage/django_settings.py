"""Settings for Django's ``tests/runtests.py``: Django's own for SQLite, and our runner.

Settings are what every process of the suite loads first, forked or spawned, so the client is
changed here too.
"""

from __future__ import annotations

from test_sqlite import *  # noqa: F403

from overmessage import client, record

TEST_RUNNER = "overmessage.django_runner.RecordingRunner"
# The suite uploads files of a few MiB in one request, which HTTP without a proxy lets through.
WSREQUEST = {"MAX_MESSAGE_BYTES": 64 * 2**20}

record.name_unittest_tests()
client.install()
