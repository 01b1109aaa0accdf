"""Of a process on PostgreSQL whose live queries hear triggers."""

from __future__ import annotations

import json
import os

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*(app for app in _APPS if app != "tests.project"), "tests.live.triggers.depot"]

ROOT_URLCONF = "tests.live.triggers.depot.urls"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **json.loads(os.environ["WSREQUEST_TEST_POSTGRES"]),
    }
}

WSREQUEST = {
    "LIVE_TRIGGERS": {"default": {}},
    "LIVE_IGNORE": ["depot.Crate.seen", "depot.Awkward.ignored"],
    "LIVE_MIN_INTERVAL": 0.005,
    "WORKERS": 4,
}
