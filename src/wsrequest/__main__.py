"""``python -m wsrequest ws://host/ws/``: see :mod:`wsrequest.client.console`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from wsrequest.client.console import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error}; pip install 'django-websocket-request[client]'")
    sys.exit(main())
