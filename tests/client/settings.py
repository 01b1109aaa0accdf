"""The settings of a server that clients see killed and started again."""

from __future__ import annotations

from tests.project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.client.urls"
