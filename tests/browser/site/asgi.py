"""The application, and the static files that are built."""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

from wsrequest.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.browser.site.settings")

application = ASGIStaticFilesHandler(get_asgi_application())
