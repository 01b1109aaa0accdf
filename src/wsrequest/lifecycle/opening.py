"""May this connection be opened? Asked of Django's own settings, by Django's own rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from wsrequest.errors import HostRefused
from wsrequest.lifecycle.cookies import CookieJar
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


def session_cookie(jar: CookieJar) -> str | None:
    """The value of the cookie that names the session."""
    return jar.value_of(django_settings.SESSION_COOKIE_NAME)


def opening_view(hook: str | None, jar: CookieJar) -> Callable[[HttpRequest], Any] | None:
    """The view that answers a handshake: the project's hook (a dotted path), or without one, where there is a session,
    a view that asks only who it is. None where there is nothing to ask."""
    if hook is not None:
        return _as_view(import_string(hook))
    return _who_is_it if django_settings.SESSION_COOKIE_NAME in jar else None


def _as_view(hook: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The hook, which may return None for yes. Whether one has to be logged in is its own business."""

    def view(request: HttpRequest) -> HttpResponseBase:
        return _yes_or(hook(request))

    async def aview(request: HttpRequest) -> HttpResponseBase:
        return _yes_or(await hook(request))

    chosen: Callable[[HttpRequest], Any] = aview if iscoroutinefunction(hook) else view
    return login_not_required(chosen)


def _yes_or(response: HttpResponseBase | None) -> HttpResponseBase:
    """Anything else is a mistake, and must let nobody in. Without this, some middleware of Django's fails on it."""
    if response is None:
        return HttpResponse(status=204)
    if not isinstance(response, HttpResponseBase):
        raise TypeError(
            f"The HANDSHAKE hook returned {type(response).__name__}. Return None to let the connection in, and a"
            " response to refuse it, such as HttpResponseForbidden()."
        )
    return response


@login_not_required
def _who_is_it(request: HttpRequest) -> HttpResponse:
    user = getattr(request, "user", None)
    return HttpResponse(status=204 if user is not None and user.is_authenticated else 203)
