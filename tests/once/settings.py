"""The settings of the processes that share a cache."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework.authtoken"]

WSREQUEST = {"IDEMPOTENCY_WAIT": float(os.environ.get("WSREQUEST_TEST_WAIT", "30"))}

ROOT_URLCONF = "tests.once.urls"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["WSREQUEST_TEST_CACHE"],
    }
}

# What a view raised is to be seen in the server's log, where a test fails for it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR"}},
}
