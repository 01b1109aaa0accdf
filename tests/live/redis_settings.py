"""The test project with live views, and a broker that processes share: the server at WSREQUEST_TEST_BROKER."""

from __future__ import annotations

from tests.push.redis_settings import *  # noqa: F403
from tests.push.redis_settings import WSREQUEST as SHARED

ROOT_URLCONF = "tests.live.report_urls"
WSREQUEST = {**SHARED, "LIVE_MIN_INTERVAL": 0.001}
