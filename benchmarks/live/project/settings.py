"""The benchmark's settings, with a session for each user and room for many who watch.

``BENCH_VALKEY`` (a url) says where the Valkey is, where there is to be one.
"""

from __future__ import annotations

import os

from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import DATABASES, INSTALLED_APPS, WSREQUEST

ROOT_URLCONF = "benchmarks.live.project.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.live.project.apps.LiveBenchConfig"]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A commit need not wait for the disk: what is added to it would not be seen otherwise.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "transaction_mode": "IMMEDIATE",
    }

#: More than the clients that watch.
CONNECTIONS = 12_000
#: More than one of them watches.
WATCHED = 2_000

WSREQUEST |= {
    "METRICS": "benchmarks.live.project.counted.Counted",
    # Clients watch in silence, and are not asked whether they still may.
    "PING_INTERVAL": None,
    "REAUTHORIZE_INTERVAL": 3600,
    "MAX_CONNECTIONS": CONNECTIONS,
    "MAX_CONNECTIONS_PER_ADDRESS": CONNECTIONS,
    "MAX_SUBSCRIPTIONS": WATCHED,
    "MAX_LIVE": WATCHED,
}

VALKEY = os.environ.get("BENCH_VALKEY")
if VALKEY is not None:
    WSREQUEST["BROKERS"] = {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": VALKEY},
        }
    }
