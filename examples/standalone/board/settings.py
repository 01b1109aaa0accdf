"""Settings of the board: what a project needs that has an API, and nothing for HTTP. BOARD_DB names another file."""

from __future__ import annotations

import os
from pathlib import Path

# Good enough for a demo on one's own machine, and for nothing else: it is public.
SECRET_KEY = "a-public-key-for-the-demo-only-do-not-use-it-elsewhere"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = ["wsrequest", "board"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "board.urls"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get(
            "BOARD_DB", Path(__file__).resolve().parent.parent / "board.sqlite3"
        ),
        # Messages run in parallel: writers wait for each other.
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
