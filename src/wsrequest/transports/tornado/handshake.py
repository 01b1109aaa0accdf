"""What a request to Tornado says of the connection that it opens."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPServerRequest

from wsrequest.conf import get_settings
from wsrequest.protocol.handshake import Handshake


def handshake_of(request: HTTPServerRequest) -> Handshake:
    """To be called before the upgrade. ``xheaders=True`` of the server has its say on the client and on ``secure``."""
    connection: Any = request.connection
    peer, socket = connection.context.address, connection.stream.socket
    own = None if socket is None else socket.getsockname()  # None: the client is gone
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return Handshake(
        path=unquote(request.path),
        query_string=request.query.encode("latin-1"),
        headers=[
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.get_all()
        ],
        subprotocols=tuple(name.strip() for name in offered if name.strip()),
        secure=request.protocol == "https",
        # Of a Unix socket neither is known.
        client=(request.remote_ip or "", peer[1]) if isinstance(peer, tuple) else None,
        server=own[:2] if isinstance(own, tuple) else None,
        http_version=request.version.removeprefix("HTTP/"),
    )


def largest_message() -> int:
    """Bytes that are taken for one message: what is too large for the project is still answered."""
    return 2 * (get_settings().max_message_bytes or 2**39)
