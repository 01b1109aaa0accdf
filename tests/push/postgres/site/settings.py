"""Of processes that share a database."""

from __future__ import annotations

import json
import os

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [
    *(app for app in _APPS if app != "tests.project"),
    "wsrequest.contrib.postgres",
    "tests.push.postgres.site",
]

ROOT_URLCONF = "tests.push.postgres.site.urls"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "ATOMIC_REQUESTS": True,
        **json.loads(os.environ["WSREQUEST_TEST_POSTGRES"]),
    }
}

WSREQUEST = {
    "BROKERS": {"default": {"BACKEND": "wsrequest.push.brokers.postgres.PostgresBroker"}},
    "WORKERS": 4,
}
