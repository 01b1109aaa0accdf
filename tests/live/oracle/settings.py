"""Of all processes of a run, which share a database, and a broker where there is more than one."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS as _APPS
from tests.project.settings import MIDDLEWARE as _MIDDLEWARE
from tests.project.settings import TEST_DATABASE

INSTALLED_APPS = [*(app for app in _APPS if app != "tests.project"), "tests.live.oracle"]

_session = _MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware")
MIDDLEWARE = [
    *_MIDDLEWARE[: _session + 1],
    "django.middleware.locale.LocaleMiddleware",
    *_MIDDLEWARE[_session + 1 :],
]

ROOT_URLCONF = "tests.live.oracle.urls"

LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

if "WSREQUEST_TEST_POSTGRES" in os.environ:
    _database: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        **json.loads(os.environ["WSREQUEST_TEST_POSTGRES"]),
    }
else:
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": TEST_DATABASE,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }
DATABASES = {"default": {**_database, "CONN_MAX_AGE": None}}

# A client may listen for long and say nothing.
WSREQUEST: dict[str, Any] = {"WORKERS": 4, "LIVE_MIN_INTERVAL": 0.005, "PING_INTERVAL": 3600}

if "WSREQUEST_TEST_BROKER" in os.environ:
    WSREQUEST["BROKERS"] = {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"]},
        }
    }
