"""The test project, measured by Prometheus, as one ASGI application."""

from __future__ import annotations

import os

from wsrequest.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.metrics.settings")

application = get_asgi_application()
