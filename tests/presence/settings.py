"""The settings of processes that share the broker at WSREQUEST_TEST_BROKER."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.presence.urls"

WSREQUEST = {
    "BROKERS": {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"]},
        }
    },
    "TOPICS": {
        "/introduced/*": {"PRESENCE": True, "PRESENCE_INFO": "tests.presence.urls.info"},
        "/rooms/*": {"PRESENCE": True},
    },
}
