"""The project as an ASGI application, as a user's own ``asgi.py`` would have it."""

from __future__ import annotations

import os

from wsrequest.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")

application = get_asgi_application()
