"""A client for Python: httpx over the socket, subscriptions and live answers. It needs no Django, and no settings.

``pip install django-websocket-request[client]``.
"""

from wsrequest.client.blocking import SyncConnection, SyncWebSocketTransport, connect_sync
from wsrequest.client.connection import Connection, Notice, connect
from wsrequest.client.following import Event, Position
from wsrequest.client.subscription import Live, Subscription
from wsrequest.client.transport import WebSocketTransport

__all__ = [
    "Connection",
    "Event",
    "Live",
    "Notice",
    "Position",
    "Subscription",
    "SyncConnection",
    "SyncWebSocketTransport",
    "WebSocketTransport",
    "connect",
    "connect_sync",
]
