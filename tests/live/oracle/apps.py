from __future__ import annotations

import os

from django.apps import AppConfig


class OracleConfig(AppConfig):
    name = "tests.live.oracle"
    label = "oracle"

    def ready(self) -> None:
        if planted := os.environ.get("WSREQUEST_TEST_PLANTED"):
            from tests.live.oracle.planted import plant

            plant(planted)
