"""Which headers are the connection's own, and therefore taken from its handshake and from no message."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from wsrequest.protocol.messages import CLIENT_HEADERS

#: Handshake headers that speak of the client and hold for every request of the connection. The others are about the
#: upgrade itself (Accept-Encoding, Range, Sec-WebSocket-*...) or change with each request (Referer, If-*, Content-*).
CONNECTION_HEADERS = CLIENT_HEADERS | {
    "host",
    "cookie",
    "origin",
    "user-agent",
    "accept-language",
    "authorization",
    "traceparent",
    "tracestate",
    "remote-user",
}


def connection_only_headers(configured: Iterable[str] = ()) -> frozenset[str]:
    """Header names (lower case) by which a proxy vouches for something in this project: never taken from a message.

    Those are ``WSREQUEST["HANDSHAKE_HEADERS"]``, SECURE_PROXY_SSL_HEADER, and the header of each
    RemoteUserMiddleware.
    """
    keys = remote_user_keys()
    keys += [f"HTTP_{key}" for key in keys]
    if django_settings.SECURE_PROXY_SSL_HEADER:
        keys.append(django_settings.SECURE_PROXY_SSL_HEADER[0])
    names = {key.removeprefix("HTTP_").replace("_", "-").lower() for key in keys}
    return frozenset(names.union(configured))


def remote_user_keys() -> list[str]:
    """The ``header`` of each RemoteUserMiddleware, a META key."""
    # Told by its attributes: django.contrib.auth can't be imported where it is not installed.
    middleware = [import_string(path) for path in django_settings.MIDDLEWARE]
    return [kind.header for kind in middleware if hasattr(kind, "force_logout_if_no_header")]


def own_host() -> str:
    """A name that ALLOWED_HOSTS lets through, for a message that came without a Host."""
    for host in django_settings.ALLOWED_HOSTS:
        if "*" not in host:
            return host.removeprefix(".")
    return "localhost"


def path_below_prefix(path: str, root_path: str) -> str:
    """The path without the script prefix, as Django's own ASGI handler takes it off."""
    return path.removeprefix(django_settings.FORCE_SCRIPT_NAME or root_path)
