"""How a browser comes by the cookies that were set on its WebSocket.

No frame can set a cookie in a browser, and no script can set an HttpOnly one. So the page asks this view for a ticket
over the socket, and posts the ticket over HTTP, where the answer bears the Set-Cookie headers:

>>> urlpatterns += [path("cookies/", CookieHandover.as_view())]

On the way the page sees a ticket and no cookie. The ticket is good once, for a minute, at the same host, in a browser
with the same User-Agent and, where the handshake bore the cookie of Django's CSRF protection, with the same one. And
the POST is under that protection: without it, another site could log its visitor in, as somebody else.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from http.cookies import Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse, parse_cookie
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_protect

if TYPE_CHECKING:
    from wsrequest.lifecycle.request import SocketRequest

_SALT = "wsrequest.contrib.cookies"


@method_decorator([csrf_protect, login_not_required], name="dispatch")
class CookieHandover(View):
    """POST over the socket: ``{"ticket", "expires_in"}``. POST of ``ticket`` (JSON or a form) over HTTP: 204, with the
    cookies that responses on that connection had set since its handshake, deletions too, each as it was set.

    A ticket that is no good (any more, or here) is answered 403 with the code ``bad_ticket``; ask for another one. No
    answer is to be stored. The cookies wait in the cache ``cache``, which all processes must share; where it drops
    them, the ticket is no good.
    """

    http_method_names = ["post", "options"]

    #: Seconds for which a ticket is good.
    max_age = 60
    #: Which of CACHES.
    cache = "default"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        """By which of the two ways it comes decides what is asked."""
        if hasattr(request, "websocket"):
            return self._issue(cast("SocketRequest", request))
        return self._redeem(request)

    def _issue(self, request: SocketRequest) -> HttpResponse:
        handle = secrets.token_urlsafe(24)
        kept = [_as_kept(morsel) for morsel in request.websocket.cookies_set()]
        caches[self.cache].set(_key(handle), kept, self.max_age)
        cookie = request.scope["websocket"].header(b"cookie") or ""
        agent = request.scope["websocket"].header(b"user-agent") or ""
        bound = _mark(request.get_host(), agent, _csrf_cookie(cookie))
        ticket = signing.dumps([handle, bound], salt=_SALT)
        return JsonResponse({"ticket": ticket, "expires_in": self.max_age})

    def _redeem(self, request: HttpRequest) -> HttpResponse:
        kept = self._taken(request, _ticket_in(request))
        if kept is None:
            error = "This ticket is not good, or no more; ask for another one."
            return JsonResponse({"error": error, "code": "bad_ticket"}, status=403)
        response = HttpResponse(status=204)
        del response.headers["Content-Type"]
        response.cookies = _HandedOver(map(_as_morsel, kept))
        return response

    def _taken(self, request: HttpRequest, ticket: str) -> list[Any] | None:
        """What was kept for this ticket; None where it is not good here. Afterwards it is good for nothing."""
        try:
            handle, bound = signing.loads(ticket, salt=_SALT, max_age=self.max_age)
        except signing.BadSignature:
            return None
        host, agent = request.get_host(), request.headers.get("User-Agent", "")
        csrf_cookie = request.COOKIES.get(django_settings.CSRF_COOKIE_NAME, "")
        # A browser that had no CSRF cookie at its handshake has got one since.
        marks = [_mark(host, agent, csrf_cookie), _mark(host, agent, "")]
        if sum(constant_time_compare(mark, bound) for mark in marks) == 0:
            return None
        cache = caches[self.cache]
        kept: list[Any] | None = cache.get(_key(handle))
        # Of several that come at the same time one deletes it, whatever the cache is.
        return kept if kept is not None and cache.delete(_key(handle)) else None


class _HandedOver(SimpleCookie):
    """Cookies as they were set elsewhere: several may have one name, and what middleware sets under their names for
    this response's own request (an old session, say) gives way."""

    def __init__(self, morsels: Iterable[Morsel[str]]) -> None:
        super().__init__()
        self._morsels = tuple(morsels)
        for morsel in self._morsels:
            dict.__setitem__(self, morsel.key, morsel.copy())

    def values(self) -> Any:
        """What is sent; by Django's handlers, for one."""
        names = {morsel.key for morsel in self._morsels}
        others = [morsel for morsel in super().values() if morsel.key not in names]
        return [*self._morsels, *others]


def _ticket_in(request: HttpRequest) -> str:
    """The ticket, or "" for none."""
    sent: Any = request.POST
    if request.content_type == "application/json":
        try:
            sent = json.loads(request.body)
        except (ValueError, RecursionError):
            return ""
    ticket = sent.get("ticket") if hasattr(sent, "get") else None
    return ticket if isinstance(ticket, str) else ""


def _csrf_cookie(header: str) -> str:
    """Of a Cookie header, as Django reads it; "" for none."""
    return parse_cookie(header).get(django_settings.CSRF_COOKIE_NAME, "")


def _mark(*facts: str) -> str:
    """What a ticket is bound to, so that it tells nothing."""
    return salted_hmac(_SALT, json.dumps(facts), algorithm="sha256").hexdigest()


def _key(handle: str) -> str:
    return f"{_SALT}:{handle}"


def _as_kept(morsel: Morsel[str]) -> tuple[str, str, str, dict[str, Any]]:
    """Plain data, for any cache."""
    return morsel.key, morsel.value, morsel.coded_value, dict(morsel)


def _as_morsel(kept: tuple[str, str, str, dict[str, Any]]) -> Morsel[str]:
    name, value, coded_value, attributes = kept
    morsel: Morsel[str] = Morsel()
    morsel.set(name, value, coded_value)
    morsel.update(attributes)
    return morsel
