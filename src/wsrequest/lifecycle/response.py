"""``HttpResponse`` -> what goes on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import SimpleCookie

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from msgspec import UNSET, Raw, UnsetType

from wsrequest.lifecycle.cookies import public_cookies
from wsrequest.lifecycle.identity import Identity
from wsrequest.lifecycle.touched import Varies
from wsrequest.protocol.body import charset_of, is_json_type
from wsrequest.protocol.codec import Codec, Encoding


@dataclass(slots=True)
class Reply:
    """A response without its Django object: the fields of :class:`wsrequest.protocol.messages.Response`.

    ``set_cookies`` are the cookies as Django set them, for the connection's jar; None where it set none.
    ``identity`` is who the request was.
    """

    status: int
    headers: dict[str, str]
    data: Raw | str | bytes | UnsetType = UNSET
    encoding: Encoding = UNSET
    cookies: dict[str, dict[str, str | int]] | UnsetType = UNSET
    set_cookies: SimpleCookie | None = None
    identity: Identity = UNSET
    #: It is but the head of one: the body would come in pieces.
    is_stream: bool = False
    #: What the answer depended on; None where nobody watches.
    varies: Varies | None = None


def head_of(response: HttpResponseBase, omitted: frozenset[str]) -> Reply:
    """Status, headers (lower case, without the ``omitted`` ones) and cookies."""
    # The mapping's own items() looks each header up again: three times slower, for every response.
    stored: dict[str, tuple[str, str]] = response.headers._store
    headers = {name: value for name, (_, value) in stored.items() if name not in omitted}
    reply = Reply(response.status_code, headers)
    written = headers.pop("set-cookie", None)  # as a header: HttpOnly values would go to the client
    if response.cookies or written:
        reply.set_cookies = response.cookies
        if written:
            reply.set_cookies = SimpleCookie(written)
            reply.set_cookies.update(response.cookies)
        reply.cookies = public_cookies(reply.set_cookies)
    return reply


def reply_to(
    method: str | None, response: HttpResponse, omitted: frozenset[str], codec: Codec
) -> Reply:
    """A whole response that is not a stream."""
    reply = head_of(response, omitted)
    if has_body(method, response):
        reply.data, reply.encoding = body_data(
            response.content, reply.headers.get("content-type", ""), codec
        )
    return reply


def has_body(method: str | None, response: HttpResponseBase) -> bool:
    """HTTP has no body at all for HEAD, 1xx, 204 and 304, whatever the view wrote (RFC 9110, 6.4.1)."""
    status = response.status_code
    return not (method == "HEAD" or status in (204, 304) or 100 <= status < 200)


def body_data(body: bytes, content_type: str, codec: Codec) -> tuple[Raw | str | bytes, Encoding]:
    """``data`` and ``encoding``: JSON is spliced in, text becomes a string, and what would not come back as the same
    bytes, or the same JSON, is bytes."""
    if is_json_type(content_type):
        spliced = codec.splice(body) if charset_of(content_type) == "utf-8" else None
        return codec.binary(body) if spliced is None else (spliced, UNSET)
    return text_data(body, content_type, codec)


def text_data(body: bytes, content_type: str, codec: Codec) -> tuple[str | bytes, Encoding]:
    """Bytes as text in the charset of their type (UTF-8 where it names none), else as bytes."""
    charset = charset_of(content_type)
    try:
        if charset == "utf-8":  # what is valid there has one spelling only
            return body.decode(), UNSET
        if charset is not None:
            text = body.decode(charset)
            if text.encode(charset) == body:
                return text, UNSET
    except UnicodeError:
        pass
    return codec.binary(body)
