"""The project in a Tornado server, without Django's own HTTP: python -m tests.transports.shared.site.tornado PORT."""

from __future__ import annotations

import asyncio
import sys

import django
from tornado.web import Application

django.setup()

from wsrequest.transports.tornado import (  # noqa: E402 (Django is set up)
    SockJSConnection,
    SockJSRouter,
    WebSocketHandler,
)


class Negotiated(SockJSConnection):
    subprotocol = "wsrequest.v1.json"


#: A test that reads nothing for a while does not ask for more, either. It is seconds.
PATIENT = {"disconnect_delay": 15}


async def main(port: int) -> None:
    application = Application(
        [
            (r"/ws/", WebSocketHandler),
            *SockJSRouter(SockJSConnection, "/sockjs", PATIENT).urls,
            *SockJSRouter(Negotiated, "/sockjs-v1", PATIENT).urls,
        ]
    )
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
