"""The server's answer as Django's test client has answers: made of what came over the wire, and of nothing else that a
client would have to know."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, StreamingHttpResponse
from django.test.client import JSON_CONTENT_TYPE_RE
from django.urls import resolve
from django.utils.functional import SimpleLazyObject
from msgspec import UNSET

from wsrequest.protocol.client import body_of
from wsrequest.testing.connection import CODEC

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import ResolverMatch

    from wsrequest.protocol.messages import Said
    from wsrequest.testing.recording import Record


#: Statuses of redirects, as Django's client knows them.
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class _Facts:
    """What Django's test client adds to a response."""

    client: Any
    #: Of a redirect.
    url: str
    #: The message that was answered.
    request: dict[str, Any]
    #: The request that the view has seen; None where none came to be.
    wsgi_request: HttpRequest | None
    templates: list[Any]
    context: Any
    resolver_match: ResolverMatch
    exc_info: Any
    #: Where redirects were followed: each one's url and status.
    redirect_chain: list[tuple[str, int]]
    #: What the client may know of the cookies that were set, as PROTOCOL.md has it.
    public_cookies: dict[str, dict[str, Any]]

    def json(self, **options: Any) -> Any:
        """The body's JSON; ValueError where its type is another one."""
        content_type = self.get("Content-Type") or ""  # type: ignore[attr-defined]
        if not JSON_CONTENT_TYPE_RE.match(content_type):
            raise ValueError(f'Content-Type header is "{content_type}", not "application/json"')
        return json.loads(self.getvalue(), **options)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Here it ends nothing but a stream: the request has ended where the server has answered it."""
        for close in self._resource_closers:  # type: ignore[attr-defined]
            close()
        self.closed = True


class Response(_Facts, HttpResponse):
    """The answer to a message."""


class StreamingResponse(_Facts, StreamingHttpResponse):
    """The answer to a message, whose parts come as they are asked for."""


AnyResponse = Response | StreamingResponse


def response_for(said: Said, message: dict[str, Any], record: Record | None, stream: Any) -> Any:
    """The answer that begins with these words; ``stream`` are its parts, where more follow."""
    content_type = said.headers.get("content-type")
    response: AnyResponse
    if said.more:
        response = StreamingResponse(stream, content_type=content_type)
    else:
        body = body_of(CODEC, said, content_type or "")
        response = Response(body, content_type=content_type)
    assert said.status is not UNSET
    response.status_code = said.status
    if content_type is None:
        del response["content-type"]
    for name, value in said.headers.items():
        response[name] = value
    if (location := said.headers.get("location")) is not None:
        response.url = location
    response.request = message
    response.public_cookies = said.cookies
    _remember(response, record)
    return response


def _remember(response: AnyResponse, record: Record | None) -> None:
    request = None if record is None else record.request
    response.wsgi_request = request
    response.exc_info = None if record is None else record.exc_info
    response.templates = [] if record is None else record.templates
    contexts = [] if record is None else record.contexts
    response.context = (contexts[0] if len(contexts) == 1 else contexts) if contexts else None
    answered = None if record is None else record.response
    if answered is not None:
        # With the values that only the server keeps: the next handshake needs them.
        response.cookies = SimpleCookie()
        response.cookies.update(answered.cookies)
    if request is not None:
        urlconf = getattr(request, "urlconf", None)
        response.resolver_match = SimpleLazyObject(  # type: ignore[assignment]
            lambda: resolve(request.path_info, urlconf=urlconf)
        )
