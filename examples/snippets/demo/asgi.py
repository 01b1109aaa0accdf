"""The demo's ASGI application: `uvicorn --app-dir examples/snippets demo.asgi:application`.

`get_asgi_application()` is all that a project needs. The wrapper around it serves the app's own static files from
where they lie, so that the demo has no `collectstatic` step; it looks at http requests under `/static/` only. A
project in production leaves it out, and lets its web server or WhiteNoise do that.
"""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

from wsrequest.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")

application = ASGIStaticFilesHandler(get_asgi_application())
