"""Sessions in a server of `Tornado <https://www.tornadoweb.org>`_: WebSockets, and SockJS by sockjs-tornado.

::

    Application([
        (r"/ws/", WebSocketHandler),
        *SockJSRouter(SockJSConnection, "/sockjs").urls,
    ])

Django must be set up. Tornado runs on asyncio: sessions live on its loop, and views run on threads beside it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from wsrequest.transports.tornado.websocket import WebSocketHandler

if TYPE_CHECKING:
    from wsrequest.transports.tornado.sockjs import SockJSConnection, SockJSRouter

__all__ = ["SockJSConnection", "SockJSRouter", "WebSocketHandler"]


def __getattr__(name: str) -> Any:
    """Who has no SockJS clients need not have sockjs-tornado."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # sockjs-tornado's, of itself
        from wsrequest.transports.tornado import sockjs
    return getattr(sockjs, name)
