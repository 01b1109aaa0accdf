"""The test project with a broker that processes share: the server at WSREQUEST_TEST_BROKER."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403

WSREQUEST = {
    "BROKERS": {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"], "timeout": 1},
        }
    },
    "TOPICS": {"/short/": {"HISTORY_SIZE": 2}},
}
