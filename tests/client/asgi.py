"""The views for clients as an ASGI application."""

from __future__ import annotations

from wsrequest.asgi import get_asgi_application

application = get_asgi_application()
