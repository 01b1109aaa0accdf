"""The test project's settings; the processes share the broker at WSREQUEST_TEST_BROKER."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403
from tests.transports.shared.site.limits import (
    MAX_CONNECTIONS_PER_USER,
    MAX_MESSAGE_BYTES,
    MAX_SUBSCRIPTIONS,
)

ROOT_URLCONF = "tests.transports.shared.site.urls"

CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]

WSREQUEST = {
    "BROKERS": {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"]},
        }
    },
    "MAX_CONNECTIONS_PER_USER": MAX_CONNECTIONS_PER_USER,
    "MAX_MESSAGE_BYTES": MAX_MESSAGE_BYTES,
    "MAX_OUTBOX_BYTES": 256 * 1024,
    "MAX_SUBSCRIPTIONS": MAX_SUBSCRIPTIONS,
    # The tests' peers say nothing while they wait for something else.
    "PING_INTERVAL": 120,
    "TOPICS": {"/rooms/*": {"PRESENCE": True}},
}
