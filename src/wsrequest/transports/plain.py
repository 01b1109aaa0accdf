"""``WebSocketRequest``, the class of 2014: a message in, a response out, whatever carried the message.

>>> WebSocketRequest('{"method": "GET", "url": "/api/projects/"}').get_response().content
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve
from msgspec import Raw
from msgspec.structs import replace

from wsrequest.conf import get_settings
from wsrequest.errors import InvalidMessage, MessageError, MissingURL
from wsrequest.lifecycle.inline import arun_inline, run_inline
from wsrequest.lifecycle.once import once_for
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.trust import connection_only_headers, own_host
from wsrequest.protocol.body import payload
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import HeaderRules, Request, checked

if TYPE_CHECKING:
    from django.test import RequestFactory as DjangoRequestFactory


class WebSocketRequest:
    """One message, run through Django's whole request/response lifecycle in the calling thread.

    After the constructor ``error`` is None, or ``{"error": sentence, "status_code": status}`` for a message that
    can't be answered by a view: ``"Invalid formatted message."`` (400), ``"Missing URL"`` (400), ``"Resource not
    found."`` (404), or a sentence about the field that is wrong (400). After :meth:`get_response`, ``request`` is the
    ``HttpRequest`` that the middleware and the view have seen.
    """

    def __init__(
        self,
        message: str | bytes,
        factory_defaults: Mapping[str, Any] | None = None,
        *,
        enforce_csrf_checks: bool = False,
    ) -> None:
        """``message`` is a JSON object as in PROTOCOL.md; ``factory_defaults`` goes to ``request.META`` wherever the
        message is silent; ``enforce_csrf_checks`` is as in Django's test client: off, because whoever calls this
        vouches for where the message came from.

        Sets Django up where that has not been done, so that a script need only name its settings.
        """
        if not apps.ready:
            django.setup()
        self.message = message
        self.factory_defaults = dict(factory_defaults or {})
        self.enforce_csrf_checks = enforce_csrf_checks
        self.error: dict[str, Any] | None = None
        self.request: HttpRequest | None = None
        self._parsed: Request | None = None
        self._not_found: dict[str, Any] | None = None
        self._json = _loads(message)
        self.url = self.get_url()
        self.method = self.get_method()
        self.data = self.get_data()
        self.token = self.get_token()
        self._check()

    def get_url(self) -> str | None:
        """The message's url, None where it has none."""
        url: str | None = self._json.get("url")
        return url

    def get_method(self) -> str:
        """The method in lower case, ``get`` by default."""
        return str(self._json.get("method") or "get").lower()

    def get_data(self) -> Any:
        """The message's data, ``{}`` by default."""
        return self._json.get("data", {})

    def get_token(self) -> str | None:
        """The message's token, None where it has none."""
        token: str | None = self._json.get("token")
        return token

    def set_error(self, error: str, status_code: int = 400) -> None:
        """Remember why this message can't be answered by a view."""
        self.error = {"error": error, "status_code": status_code}

    def is_valid_message(self) -> bool:
        """Whether the message can be read at all, whether or not its url leads anywhere."""
        return self._parsed is not None

    def is_valid(self) -> bool:
        """Whether the message can be read and its url leads to a view."""
        return self.error is None

    def get_url_resolver_match(self) -> ResolverMatch | None:
        """The url's match in ROOT_URLCONF, None where there is none."""
        if self._parsed is None:
            return None
        _, path_info, _ = self._factory().split(self.url or "")
        try:
            return resolve(path_info)
        except Exception:  # noqa: BLE001  Http404, or whatever a converter raises
            return None

    def get_factory(self) -> DjangoRequestFactory:
        """Django's ``RequestFactory`` with the defaults and the token, for code that wants a request of its own.

        :meth:`get_response` uses it only where a subclass overrides this method or :meth:`get_request`.
        """
        from django.test import RequestFactory as DjangoRequestFactory

        defaults = dict(self.factory_defaults)
        if self.token:
            defaults["HTTP_AUTHORIZATION"] = f"{get_settings().token_scheme} {self.token}"
        return DjangoRequestFactory(**defaults)

    def get_request(self, factory: DjangoRequestFactory) -> HttpRequest:
        """The message as a request of this factory. Raises ValueError for a message that can't be read."""
        if self._parsed is None:
            raise ValueError("This message can't be a request: see `error`.")
        message = self._message()
        added, body, content_type = payload(message)
        url = message.url or ""
        if added:
            url = f"{url}{'&' if '?' in url else '?'}{added}"
        headers = {
            key: value for key, value in (message.headers or {}).items() if key != "content-type"
        }
        return factory.generic(
            self.method.upper(), url, body or b"", content_type=content_type or "", headers=headers
        )

    def get_view(self, resolver_match: ResolverMatch, request: HttpRequest) -> Any:
        """What the view alone says to this request, as in 2014: no middleware, so no session, user or CSRF.

        :meth:`get_response` does not use it.
        """
        return resolver_match.func(request, *resolver_match.args, **resolver_match.kwargs)

    def get_response(self) -> HttpResponseBase:
        """The response of the whole lifecycle, or for a message that can't be read ``error`` as JSON.

        A url that leads nowhere is answered by the lifecycle, too: by APPEND_SLASH, flatpages or handler404.
        """
        request = self._build()
        return run_inline(request) if isinstance(request, HttpRequest) else request

    async def aget_response(self) -> HttpResponseBase:
        """:meth:`get_response` for a running event loop; an asynchronous view runs on it."""
        request = self._build()
        return await arun_inline(request) if isinstance(request, HttpRequest) else request

    def _check(self) -> None:
        settings = get_settings()
        limits = Limits(None, settings.max_depth, settings.max_keys, _header_rules())
        messages = list(JSONCodec().decode(self.message, limits))
        message = (
            messages[0] if len(messages) == 1 and self._json is not _NOTHING else InvalidMessage()
        )
        if not isinstance(message, Request | MessageError):
            message = MissingURL()
        if isinstance(message, MessageError):
            self.set_error(str(message), message.status)
            return
        self._parsed = message
        if self.get_url_resolver_match() is None:
            self.set_error("Resource not found.", 404)
            self._not_found = self.error

    def _build(self) -> HttpRequest | HttpResponseBase:
        # A url that leads nowhere is the lifecycle's business; any other error is the answer, a subclass's own too.
        if self.error is not None and self.error is not self._not_found:
            return JsonResponse(self.error, status=self.error["status_code"])
        try:
            request = self._request()
        except MessageError as error:
            self.set_error(str(error), error.status)
            return JsonResponse(self.error, status=error.status)
        except BadRequest:
            return HttpResponseBadRequest()
        if self._parsed is not None:
            once = once_for(self._message(), self.factory_defaults.get("HTTP_COOKIE", ""))
            if once is not None:
                once.attach(request)
        self.request = request
        return request

    def _request(self) -> HttpRequest:
        trusted = not self.enforce_csrf_checks
        kind = type(self)
        if (kind.get_factory, kind.get_request) == (
            WebSocketRequest.get_factory,
            WebSocketRequest.get_request,
        ):
            cookie = self.factory_defaults.get("HTTP_COOKIE", "")
            return self._factory().build(self._message(), cookie, trusted=trusted)
        request = self.get_request(self.get_factory())
        request.__dict__["_dont_enforce_csrf_checks"] = trusted
        return request

    def _message(self) -> Request:
        """The message, with what a subclass or the caller has made of its url, method, data and token."""
        message = self._parsed
        assert message is not None
        now = {"url": self.url, "method": self.method.upper(), "token": self.token}
        changed: dict[str, Any] = {
            name: value for name, value in now.items() if value != getattr(message, name)
        }
        if self.data != self._json.get("data", {}):
            changed["data"] = Raw(json.dumps(self.data).encode())
        return checked(replace(message, **changed), _header_rules()) if changed else message

    def _factory(self) -> RequestFactory:
        scheme = self.factory_defaults.get("wsgi.url_scheme", "http")
        handshake = Handshake(
            path="/",
            secure=scheme == "https",
            client=("127.0.0.1", 0),
            server=(own_host(), 443 if scheme == "https" else 80),
        )
        return RequestFactory(handshake, get_settings(), meta=self.factory_defaults)


_NOTHING: dict[str, Any] = {}


def _header_rules() -> HeaderRules:
    return HeaderRules(connection_only_headers(get_settings().handshake_headers))


def _loads(message: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return _NOTHING
    return value if isinstance(value, dict) else _NOTHING
