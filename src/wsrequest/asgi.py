"""What a project's ``asgi.py`` imports; a door to :mod:`wsrequest.transports.asgi`, and nothing else.

>>> os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
>>> application = get_asgi_application()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from wsrequest.transports.asgi import ASGIApplication

__all__ = ["get_asgi_application"]


def get_asgi_application() -> ASGIApplication:
    """The project as one ASGI application: HTTP as Django's own ``get_asgi_application()`` serves it, and a WebSocket
    at ``WSREQUEST["PATH"]``. Sets Django up first, so that the order of imports does not matter."""
    django.setup(set_prefix=False)
    from wsrequest.transports.asgi import ASGIApplication

    return ASGIApplication()
