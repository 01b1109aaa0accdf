"""May this connection be opened? Asked of Django's own settings, by Django's own rules."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings as django_settings
from django.core.exceptions import DisallowedHost

from wsrequest.errors import HostRefused
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.handshake import check_origin


class Opening(NamedTuple):
    """What Django says of a handshake: ``secure`` (https, by SECURE_PROXY_SSL_HEADER too), and ``trusted``: there was
    an Origin, and it is ours.

    No other site can have opened a trusted connection, which is what a CSRF token shows over HTTP; so its requests need
    none.
    """

    secure: bool
    trusted: bool


def verify_opening(factory: RequestFactory) -> Opening:
    """Check Host and Origin of the handshake. Raises HostRefused or OriginRefused."""
    request = factory.opening()
    try:
        host = request.get_host()
    except DisallowedHost:
        raise HostRefused from None
    factory.host = host
    secure = request.is_secure()
    trusted = check_origin(
        factory.handshake.header(b"origin"),
        f"{'https' if secure else 'http'}://{host}",
        django_settings.CSRF_TRUSTED_ORIGINS,
    )
    return Opening(secure, trusted)
