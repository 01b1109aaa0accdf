"""A project in one module, for servers in processes of their own, with views that wait for the test."""

from __future__ import annotations

import json
import os

from django.conf import settings

from tests.support.doors import urlpatterns

__all__ = ["application", "urlpatterns"]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: only tests use it",
    USE_TZ=True,
    WSREQUEST=json.loads(os.environ["WSREQUEST"]),
)

from wsrequest.asgi import get_asgi_application  # noqa: E402 (it sets Django up)

application = get_asgi_application()
