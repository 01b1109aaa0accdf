"""Settings of the demo: an ordinary Django + REST framework project, and a few lines about WebSockets.

These are `"wsrequest"` in INSTALLED_APPS, and WSREQUEST at the end: who is here, what is counted, and who carries
events. The socket itself comes with `demo.asgi`. Everything else, such as middleware, sessions, permissions and the
URLconf, is what the same project would have without it.

Environment: DEMO_DB (path of the SQLite file), DEMO_HOSTS (more host names, separated by commas), DEMO_SECRET_KEY, and
WSREQUEST_BROKER_URL (redis://... of a Redis or Valkey, which several processes and `manage.py wspublish` share).
"""

from __future__ import annotations

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# Good enough for a demo on one's own machine, and for nothing else: it is public.
SECRET_KEY = os.environ.get(
    "DEMO_SECRET_KEY", "a-public-key-for-the-demo-only-do-not-use-it-elsewhere"
)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS += [host for host in os.environ.get("DEMO_HOSTS", "").split(",") if host]

INSTALLED_APPS = [
    "wsrequest",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "snippets",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "demo.urls"
ASGI_APPLICATION = "demo.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DB", BASE_DIR / "db.sqlite3"),
        "CONN_MAX_AGE": 60,
        # Messages run in parallel: readers don't wait for the writer, and writers wait for each other.
        "OPTIONS": {
            "timeout": 10,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "index"
LOGOUT_REDIRECT_URL = "index"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "/static/"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    # The browsable API needs inline scripts, which the demo's Content-Security-Policy forbids.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 20,
}

WSREQUEST = {
    # The counters on the page.
    "METRICS": "snippets.figures.figures",
    "TOPICS": {
        # Who has the list open, and who reads this snippet just now.
        "/api/snippets/*": {"PRESENCE": True, "PRESENCE_INFO": "snippets.presence.introduce"},
    },
}
if BROKER_URL := os.environ.get("WSREQUEST_BROKER_URL"):
    WSREQUEST["BROKERS"] = {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": BROKER_URL},
        },
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # A 4xx answer is the demo's daily bread, not something to warn about.
    "loggers": {"django.request": {"level": "ERROR"}},
}
