"""The settings of processes that share a broker and a database, and are made to suffer."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.faults.urls"

WSREQUEST = {
    "BROKERS": {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"]},
        }
    },
    "TOPICS": {"/log/short-*": {"HISTORY_SIZE": 3}, "*": {"HISTORY_SIZE": 20_000}},
    "WORKERS": 4,
}

# That the broker is away is what these tests are about, and a traceback in a server's log is what they fail for.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"nowhere": {"class": "logging.NullHandler"}},
    "loggers": {"wsrequest.push": {"handlers": ["nowhere"], "propagate": False}},
}
