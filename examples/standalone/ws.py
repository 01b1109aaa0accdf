"""A Django project behind a Tornado server: python ws.py [PORT]

Django is not running: Tornado serves a page, and hands each message to the project, where it is a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "board.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 (Django is set up)
from tornado.web import Application, StaticFileHandler  # noqa: E402

import wsrequest  # noqa: E402
from wsrequest.transports.tornado import (  # noqa: E402
    SockJSConnection,
    SockJSRouter,
    WebSocketHandler,
)

HERE = Path(__file__).resolve().parent
CLIENT = Path(wsrequest.__file__).parent / "static" / "wsrequest"


async def main(port: int) -> None:
    application = Application(
        [
            (r"/ws/", WebSocketHandler),
            # For the pages of 2014, at the same address.
            *SockJSRouter(SockJSConnection, "/ws/api").urls,
            (r"/wsrequest/(.*)", StaticFileHandler, {"path": CLIENT}),
            (
                r"/(.*)",
                StaticFileHandler,
                {"path": HERE / "page", "default_filename": "index.html"},
            ),
        ]
    )
    application.listen(port, "127.0.0.1")
    print(f"Listening on http://127.0.0.1:{port}/ (Ctrl+C stops it)", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    call_command("migrate", run_syncdb=True, verbosity=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
