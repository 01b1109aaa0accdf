"""A project whose urls are subscribed to, and a broker of its own for each test."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from tests.subscribe import urls


@pytest.fixture(autouse=True)
def project(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.subscribe.urls"
    settings.WSREQUEST = {}  # also a new broker: the old ones are forgotten with the setting
    urls.state.clear()
    urls.asked.clear()
