"""Of one process, or of several that share a broker."""

from __future__ import annotations

import os

from tests.project.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "wsrequest",
    "tests.project",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

ROOT_URLCONF = "tests.browser.site.urls"

# Of several processes, as tickets for cookies are.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["WSREQUEST_TEST_BROKER"],
    }
}

WSREQUEST = {
    "BROKERS": {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": os.environ["WSREQUEST_TEST_BROKER"]},
        },
    },
    "TOPICS": {"/board/": {"PRESENCE": True}, "/lobby/": {"PRESENCE": True}},
    "GRACE_TIME": 2,
}
