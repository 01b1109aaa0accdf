"""Django signals about connections. Receivers run on a thread of the worker pool; what they raise is logged.

Both are sent with ``connection``, the :class:`~wsrequest.lifecycle.websocket.WebSocket` that requests see as
``request.websocket``, and ``user``, the primary key of the connection's user as a string, or None.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["connection_closed", "connection_opened"]

#: A connection was opened; no request of it has run yet.
connection_opened = Signal()

#: A connection is gone; requests of it may still be running. It has ``code``, too, which is the close code where this
#: side closed, and None where the peer went away.
connection_closed = Signal()
