"""The rooms as an ASGI application, with leases that a test can wait for."""

from __future__ import annotations

import os

from wsrequest.asgi import get_asgi_application
from wsrequest.push import presence

presence.LEASE = float(os.environ.get("WSREQUEST_TEST_LEASE", presence.LEASE))

application = get_asgi_application()
