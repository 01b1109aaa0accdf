"""A response as a client would read it from the wire (``--wire``)."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import msgspec
from django.http import HttpResponseBase
from django.http.response import ResponseHeaders

WIRE_VARIABLE = "WSREQUEST_SUITES_WIRE"


class Answer(msgspec.Struct):
    """What the client is sent, with the body's JSON as it stands there."""

    status: int
    headers: dict[str, str]
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    encoding: str = ""


def over_the_wire(method: str, response: Any) -> None:
    """Encode the response as a message, and put in the place of each of its parts what was read from that message.

    Only the documented headers that don't go on the wire stay. Cookies stay too: their values are the
    connection's, not the client's. A stream is left alone; it is sent in pieces.
    """
    if not os.environ.get(WIRE_VARIABLE) or response.streaming:
        return
    from wsrequest.conf import get_settings

    omitted = frozenset(get_settings().omit_response_headers)
    answer = msgspec.json.decode(encoded(method, response, omitted), type=Answer)
    kept = {name: value for name, value in response.items() if name.lower() in omitted}
    response.status_code = answer.status
    response._reason_phrase = None
    response.headers = ResponseHeaders({**kept, **answer.headers})
    response.content = body_of(answer)


def encoded(method: str, response: HttpResponseBase, omitted: frozenset[str]) -> bytes:
    """Write the message, as a connection would."""
    from wsrequest.lifecycle.response import reply_to
    from wsrequest.protocol.json import JSONCodec
    from wsrequest.protocol.messages import Response

    codec = JSONCodec()
    reply = reply_to(method, response, omitted, codec)
    message = Response(
        id=1,
        status=reply.status,
        headers=reply.headers,
        data=reply.data,
        encoding=reply.encoding,
        cookies=reply.cookies,
    )
    return codec.encode(message)


def body_of(answer: Answer) -> bytes:
    """Read ``data`` by the rules of PROTOCOL.md."""
    if answer.data is msgspec.UNSET:
        return b""
    text = bytes(answer.data)
    if answer.encoding == "base64":
        return base64.b64decode(json.loads(text))
    content_type, _, charset = answer.headers.get("content-type", "").partition("charset=")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return text
    value: str = json.loads(text)
    return value.encode(charset.partition(";")[0].strip(' "') or "utf-8")
