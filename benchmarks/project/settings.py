"""Settings as in production: DEBUG off, the middleware that ``startproject`` gives.

The environment says what differs between runs: where the database is, and how long its
connections are kept.
"""

from __future__ import annotations

import os

SECRET_KEY = "only-for-benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.project.urls"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "wsrequest",
    "benchmarks.project.apps.BenchConfig",
]

# The seven of ``django-admin startproject``, in its order.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

if "BENCH_POSTGRES_HOST" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["BENCH_POSTGRES_HOST"],
            "NAME": "postgres",
            "USER": "postgres",
            "CONN_MAX_AGE": int(os.environ.get("BENCH_CONN_MAX_AGE", "60")),
            "OPTIONS": {"application_name": os.environ.get("BENCH_SERVER", "bench")},
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("BENCH_SQLITE", ":memory:"),
            "CONN_MAX_AGE": int(os.environ.get("BENCH_CONN_MAX_AGE", "60")),
        }
    }

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

# What the slow views take.
SLOW_SECONDS = 1.0

# The default, written out because the benchmark holds the database's connections against it.
WORKERS = min(32, (os.cpu_count() or 1) + 4)

# Everything else is the default but the rate, as a benchmark is a flood on purpose.
WSREQUEST: dict[str, object] = {"WORKERS": WORKERS}
if os.environ.get("BENCH_RATE") != "default":
    WSREQUEST["MESSAGES_PER_SECOND"] = None
