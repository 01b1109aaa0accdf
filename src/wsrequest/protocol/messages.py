"""The messages of ``PROTOCOL.md`` as msgspec Structs, and the rules for a single message.

Client to server: :class:`Request`, :class:`Cancel`, :class:`Auth`, :class:`Ping`.
Server to client: :class:`Response`, :class:`Chunk`, :class:`Event`, :class:`End`, :class:`Pong`, :class:`Control`,
:class:`Notice`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from wsrequest.errors import InvalidField, MissingURL

#: An exchange's id: an integer from 1 to 2^53-1 (what every JSON peer can hold exactly) or a short string.
Id = Annotated[int, Meta(ge=1, le=2**53 - 1)] | Annotated[str, Meta(max_length=64)]

#: Methods whose ``data`` object is a query string rather than a body.
QUERY_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "SUBSCRIBE"})

#: Methods that a ``key`` means nothing for: run twice, they do what they do when run once (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "SUBSCRIBE"})


class Since(Struct, gc=False):
    """The last event that the client has seen of a topic: the ``epoch`` and the ``offset`` that came with it."""

    epoch: Annotated[str, Meta(max_length=64)]
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Request(Struct, gc=False):
    """A message that becomes an ``HttpRequest`` (PROTOCOL.md, "Request").

    ``data`` is the JSON text as it was sent, not parsed: most bodies go to the view as they came. (From MessagePack,
    it is JSON text that says the same; bytes make a :class:`BytesRequest`.)
    After :func:`checked`, ``method`` is upper case, ``url`` is not empty and header names are lower case.
    """

    url: str | None = None
    method: str | None = None
    data: Raw | UnsetType = UNSET
    id: Id | None = None
    token: str | None = None
    headers: dict[str, str] | None = None
    encoding: Literal["base64", "text"] | None = None
    #: Milliseconds from its arrival to the start of the answer.
    timeout: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    #: The idempotency key.
    key: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    # For SUBSCRIBE; with other methods they mean nothing.
    since: Since | None = None
    live: bool = False
    presence: bool = False


class BytesRequest(Request, gc=False):
    """A request whose ``data`` is not JSON text but the body itself: bytes, which MessagePack has."""


class Asked(Struct, omit_defaults=True, kw_only=True, gc=False):
    """A :class:`Request` as a client writes it: ``data`` is any value, and what is not said is left out."""

    id: int
    url: str
    method: str = "GET"
    data: Any = UNSET
    headers: dict[str, str] | None = None
    encoding: Literal["base64", "text"] | UnsetType = UNSET
    key: str | None = None
    timeout: int | None = None
    since: Since | None = None
    live: bool = False
    presence: bool = False


class Auth(Struct, gc=False):
    """``{"id": id, "auth": token or null}``: the token of the connection from now on; answered 204."""

    auth: str | None
    id: Id | None = None


class Cancel(Struct, gc=False):
    """``{"cancel": id}``: end the exchange that has this id."""

    cancel: Id


#: What stands in a ping: any integer that every JSON peer can hold exactly.
PingNumber = Annotated[int, Meta(ge=-(2**53 - 1), le=2**53 - 1)]


class Ping(Struct, gc=False):
    """``{"ping": n}``; answered by a :class:`Pong`. Any message shows that the peer is alive."""

    ping: PingNumber


class Pong(Struct, gc=False):
    """``{"pong": n}``, the answer to a :class:`Ping`. A stray one is ignored."""

    pong: PingNumber


class Subscribed(Struct, omit_defaults=True, gc=False):
    """That a response is the beginning of a subscription, and from where on its events follow.

    ``recovered`` says, where the request had ``since``, whether all events since then follow; ``presence`` is who is
    there, where that was asked for.
    """

    epoch: str
    offset: int = msgspec.field(default_factory=int)  # not omitted, whatever it is
    rev: int = msgspec.field(default_factory=int)
    recovered: bool | UnsetType = UNSET
    presence: list[Raw | str | bytes] | UnsetType = UNSET


class Response(Struct, omit_defaults=True, kw_only=True, gc=False):
    """The answer to a request. ``data`` is absent where HTTP has no body (HEAD, 204, 304).

    ``data`` is a :class:`msgspec.Raw` where the body is JSON already (it is spliced in, never parsed), else
    a string: text, or with ``encoding == "base64"`` bytes. Under MessagePack bytes are bytes.
    """

    id: Id | None | UnsetType = UNSET
    status: int
    headers: dict[str, str]
    data: Any = UNSET
    encoding: Literal["base64"] | UnsetType = UNSET
    cookies: dict[str, dict[str, str | int]] | UnsetType = UNSET
    more: bool = False
    subscription: Subscribed | UnsetType = UNSET


class Chunk(Struct, omit_defaults=True, kw_only=True, gc=False):
    """A piece of a streamed body: text, or bytes: under JSON those are text with ``encoding == "base64"``."""

    id: Id | UnsetType = UNSET
    chunk: str | bytes
    encoding: Literal["base64"] | UnsetType = UNSET


class Happening(Struct, omit_defaults=True, gc=False):
    """An event as all subscribers of its topic are sent it: what follows each one's own ``id`` (and ``skip``).

    Presence (``join``, ``leave``) has no ``offset``.
    """

    event: str
    data: Any
    offset: int | UnsetType = UNSET


class Event(Struct, omit_defaults=True, kw_only=True, gc=False):
    """An event that is one subscription's own: ``replace``, with the new state of the url (and, after a loss, the new
    position), and ``lost``."""

    id: Id
    event: str
    data: Any = UNSET
    encoding: Literal["base64"] | UnsetType = UNSET
    rev: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


class End(Struct, omit_defaults=True, kw_only=True, gc=False):
    """The end of a stream or a subscription; ``status`` and ``data`` say why where it did not end by itself."""

    id: Id | UnsetType = UNSET
    end: Literal[True]
    status: int | UnsetType = UNSET
    data: Any = UNSET
    encoding: Literal["base64"] | UnsetType = UNSET


class Control(Struct, gc=False):
    """``{"control": name, "data": {...}}``: about the connection, not about an exchange."""

    control: str
    data: dict[str, Any]


class Notice(Struct, gc=False):
    """``{"event": name, "data": ...}``, without an id: what the application tells this connection."""

    event: str
    data: Any


class Begun(Struct, gc=False):
    """:class:`Subscribed` as a client reads it."""

    epoch: str
    offset: int
    rev: int = 0
    recovered: bool | None = None
    presence: list[Any] | None = None


class Said(Struct, kw_only=True, gc=False):
    """Whatever a server says, as a client reads it: one struct for all kinds, told apart by what is in it.

    ``data`` and ``chunk`` stay as they stand in the frame: what they are depends on ``encoding`` and content type.
    """

    id: int | str | None | UnsetType = UNSET
    status: int | UnsetType = UNSET
    headers: dict[str, str] = {}
    data: Raw | UnsetType = UNSET
    encoding: Literal["base64"] | UnsetType = UNSET
    cookies: dict[str, dict[str, Any]] = {}
    more: bool = False
    subscription: Begun | UnsetType = UNSET
    chunk: Raw | UnsetType = UNSET
    end: bool = False
    event: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    skip: int = 0
    rev: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    control: str | UnsetType = UNSET


ClientMessage = Request | Cancel | Auth | Ping | Pong
ServerMessage = Response | Chunk | Event | End | Pong | Control | Notice

#: Event names that belong to subscriptions.
RESERVED_EVENTS = frozenset({"patch", "replace", "lost", "join", "leave"})


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """Which header names a message may not bear, because they are facts of the connection.

    ``denied`` holds the project's own (proxy and remote-user headers); the fixed ones are in
    :data:`DENIED_HEADERS` and :data:`DENIED_PREFIXES`.
    """

    denied: frozenset[str] = frozenset()

    def problem(self, name: str, value: str) -> str | None:
        """Why this header may not be sent in a message, or None. ``name`` is in lower case."""
        if not _HEADER_NAME(name):
            return "is not a header name (letters, digits and hyphens)"
        if name in DENIED_HEADERS or name in self.denied or name.startswith(DENIED_PREFIXES):
            return "belongs to the connection and can't be sent in a message"
        if _is_bad_value(value):
            return "has a NUL, CR or LF in its value"
        return None


#: By these a proxy or a CDN says who the client is; those with the prefix ``x-forwarded-`` go with them.
CLIENT_HEADERS = frozenset(
    "cf-connecting-ip client-ip fastly-client-ip forwarded forwarded-for true-client-ip x-client-ip"
    " x-cluster-client-ip x-forwarded x-real-ip".split()
)

#: What the handshake decides, what frames a body or rewrites a url, and what is between two hops (RFC 9110, 7.6.1).
DENIED_HEADERS = CLIENT_HEADERS.union(
    "host cookie origin remote-user content-length connection keep-alive te trailer transfer-encoding upgrade"
    " x-original-url x-rewrite-url".split()
)
DENIED_PREFIXES = ("x-forwarded-", "proxy-", "sec-websocket-")

# RFC 9110's token without the underscore, which META can't tell from a hyphen (CVE-2026-3902).
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]+").fullmatch
_BAD_IN_VALUE = re.compile(r"[\0\r\n]").search
_BAD_IN_URL = re.compile(r"[\x00-\x1f\x7f]").search
_ABSOLUTE_URL = re.compile(r"//|[A-Za-z][A-Za-z0-9+.-]*:").match


#: In their normal form, and with no rule of their own.
_USUAL_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


def _is_bad_value(value: str) -> bool:
    # isprintable() is several times faster than a pattern, and clears nearly every value.
    return not value.isprintable() and _BAD_IN_VALUE(value) is not None


def checked(request: Request, rules: HeaderRules) -> Request:
    """The same request in its normal form. Raises a :class:`~wsrequest.errors.MessageError` that says what is wrong."""
    url = request.url
    if not url:
        raise MissingURL(request.id)
    if (url[0] != "/" or url[1:2] == "/") and _ABSOLUTE_URL(url):
        raise InvalidField("url", "send the path without scheme and domain", request.id)
    if not url.isprintable() and _BAD_IN_URL(url):
        raise InvalidField("url", "percent-encode control characters", request.id)
    if request.method not in _USUAL_METHODS:
        request.method = _checked_method(request)
    if request.token is not None:
        check_token("token", request.token, request.id)
    if request.headers:
        request.headers = _checked_headers(request.headers, request, rules)
    return request


def check_token(field: str, token: str, id: int | str | None) -> None:
    """Raise InvalidField for a token that can't stand in a header."""
    if _is_bad_value(token):
        raise InvalidField(field, "has a NUL, CR or LF in it", id)


def _checked_method(request: Request) -> str:
    method = request.method
    if method is None:
        return "GET"
    if not (method.isascii() and method.isalpha()):
        raise InvalidField("method", "it consists of letters", request.id)
    method = method.upper()
    if method == "SUBSCRIBE" and request.id is None:
        raise InvalidField("id", "SUBSCRIBE needs one", None)
    return method


def _checked_headers(sent: dict[str, str], request: Request, rules: HeaderRules) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in sent.items():
        lower = name.lower()
        if problem := rules.problem(lower, value):
            raise InvalidField("headers", f"{name[:64]!r} {problem}", request.id)
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    if request.token is not None and "authorization" in headers:
        raise InvalidField("token", "send either token or headers.authorization", request.id)
    return headers
