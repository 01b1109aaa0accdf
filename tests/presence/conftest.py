"""A project with rooms, and a broker of its own for each test."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from tests.presence import urls
from tests.project.gates import gates
from tests.subscribe import urls as subscribe_urls

WITH_PRESENCE = {"PRESENCE": True}
INTRODUCED = {"PRESENCE": True, "PRESENCE_INFO": "tests.presence.urls.info"}

TOPICS = {
    "/introduced/*": INTRODUCED,
    "/aintroduced/*": INTRODUCED,
    "/quiet/*": {"PRESENCE": False},
    "/enter/*": {},
    "/club/": {},
    "*": WITH_PRESENCE,
}


@pytest.fixture(autouse=True)
def project(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.presence.urls"
    # Also a new broker: the old ones are forgotten with the setting.
    settings.WSREQUEST = {"TOPICS": TOPICS, "REAUTHORIZE_INTERVAL": 0.05}
    urls.closed.clear()
    urls.asked.clear()
    subscribe_urls.state.clear()
    gates.clear()
