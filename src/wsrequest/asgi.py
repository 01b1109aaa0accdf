"""What a project's ``asgi.py`` imports; a door to :mod:`wsrequest.transports.asgi`, and nothing else.

>>> os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
>>> from wsrequest.asgi import get_asgi_application
>>> application = get_asgi_application()

Where the settings are named before, the import sets Django up, so that modules with models can be imported after it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import django
from django.apps import apps

if TYPE_CHECKING:
    from wsrequest.transports.asgi import ASGIApplication

__all__ = ["get_asgi_application"]


if "DJANGO_SETTINGS_MODULE" in os.environ and not (apps.ready or apps.loading):
    django.setup(set_prefix=False)


def get_asgi_application() -> ASGIApplication:
    """The project as one ASGI application: HTTP as Django's own ``get_asgi_application()`` serves it, and a WebSocket
    at ``WSREQUEST["PATH"]``. Sets Django up first, so that the order of imports does not matter."""
    django.setup(set_prefix=False)
    from wsrequest.transports.asgi import ASGIApplication

    return ASGIApplication()
