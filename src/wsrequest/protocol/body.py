"""What a message's ``data`` is in HTTP: a query string, or a body with its content type.

The rules are those of PROTOCOL.md, "data". Everything here is a pure function of one message.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import functools
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from msgspec import UNSET

from wsrequest.errors import InvalidField
from wsrequest.protocol.messages import QUERY_METHODS, BytesRequest, Request

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BYTES = "application/octet-stream"

_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}
#: RFC 2046, 5.1.1.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]").fullmatch


class Payload(NamedTuple):
    """``query`` is added to the url's own; ``body`` is None where the request has none (not even an empty one)."""

    query: str = ""
    body: bytes | None = None
    content_type: str | None = None


_NO_PAYLOAD = Payload()


def payload(request: Request) -> Payload:
    """The payload of a checked request. Raises :class:`~wsrequest.errors.InvalidField` for data that can't be one."""
    content_type = request.headers.get("content-type") if request.headers else None
    if request.data is UNSET:
        return _NO_PAYLOAD if content_type is None else Payload(content_type=content_type)
    raw = bytes(request.data)
    if request.encoding is not None:
        return Payload(body=_encoded(raw, request), content_type=content_type)
    if isinstance(request, BytesRequest):
        return Payload(body=raw, content_type=BYTES if content_type is None else content_type)
    if request.method in QUERY_METHODS:
        if raw == b"null":
            return Payload(content_type=content_type)
        if raw.startswith(b"{"):
            return Payload(
                query=urlencode(list(_fields(_load(raw, request.id), request.id))),
                content_type=content_type,
            )
    if content_type is None:
        return Payload(body=raw, content_type=JSON)
    return Payload("", *_typed(raw, content_type, request.id))


def is_json_type(content_type: str) -> bool:
    """Whether a content type (with or without parameters) is JSON: ``application/json`` or ``.../...+json``."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == JSON or media_type.endswith("+json")


def parameter(content_type: str, name: str) -> str | None:
    """A parameter of a content type, such as ``charset`` or ``boundary``, without its quotes; its case is kept."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None


def charset_of(content_type: str) -> str | None:
    """The Python name of the type's charset ("utf-8" where it names none), None where it names none that we know.

    What Python calls an encoding but is no character set of HTTP is not known here; some of these take a time that
    grows with the square of the text.
    """
    # A peer chooses it: a long one is not worth keeping, and names no charset.
    return _charset_of(content_type) if len(content_type) <= 200 else None


@functools.lru_cache(maxsize=128)
def _charset_of(content_type: str) -> str | None:
    try:
        name = codecs.lookup(parameter(content_type, "charset") or "utf-8").name
        "".encode(name)  # Python has codecs that are for no text, as rot13
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else name


def _encoded(raw: bytes, request: Request) -> bytes:
    text = None if isinstance(request, BytesRequest) else _load(raw, request.id)
    if not isinstance(text, str):
        raise InvalidField("data", f"with encoding {request.encoding!r} it is a string", request.id)
    if request.encoding == "text":
        return _bytes(text, "utf-8", request.id)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField("data", "is not base64", request.id) from None


def _typed(raw: bytes, content_type: str, id: int | str | None) -> tuple[bytes, str]:
    """Body and content type for data under a content type that the message names."""
    charset = charset_of(content_type)
    if is_json_type(content_type):
        return raw if charset == "utf-8" else _bytes(raw.decode(), charset, id), content_type
    value = _load(raw, id)
    if isinstance(value, str):
        return _bytes(value, charset, id), content_type
    media_type = content_type.partition(";")[0].strip().lower()
    if isinstance(value, dict) and media_type == FORM:
        return urlencode(list(_fields(value, id))).encode(), content_type
    if isinstance(value, dict) and media_type == MULTIPART:
        return _multipart(value, content_type, charset, id)
    raise InvalidField(
        "data", f"under this content type it is a string{_or_object(media_type)}", id
    )


def _or_object(media_type: str) -> str:
    return " or an object" if media_type in (FORM, MULTIPART) else ""


class _Number(NamedTuple):
    """A number as it was written: a form must not turn 1.50 into 1.5, nor a long one into something near it."""

    text: str


def _load(raw: bytes, id: int | str | None) -> Any:
    try:
        return json.loads(raw, parse_int=_Number, parse_float=_Number)
    except RecursionError:
        raise InvalidField("data", "is nested too deep for its content type", id) from None


def _bytes(text: str, charset: str | None, id: int | str | None) -> bytes:
    if charset is None:
        raise InvalidField("headers", "the charset of the content-type is not known", id)
    try:
        return text.encode(charset)
    except UnicodeError:
        raise InvalidField(
            "data", "can't be encoded in the charset of its content type", id
        ) from None


def _fields(value: dict[str, Any], id: int | str | None) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a query string or form: a list is a repeated key."""
    for key, entry in value.items():
        for item in entry if isinstance(entry, list) else (entry,):
            if item is not None:
                yield _bytes(key, "utf-8", id), _bytes(_scalar(item, id), "utf-8", id)


def _scalar(value: Any, id: int | str | None) -> str:
    """A form's values are strings: ``true`` and ``1.50`` as they stand in the message. (null is left out before.)"""
    if isinstance(value, str):
        return value
    if isinstance(value, _Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    raise InvalidField(
        "data", "a form or query has strings, numbers, booleans and lists of them as values", id
    )


def _multipart(
    value: dict[str, Any], content_type: str, charset: str | None, id: int | str | None
) -> tuple[bytes, str]:
    """multipart/form-data as browsers write it (RFC 7578, and the HTML standard's escapes in names)."""
    boundary = parameter(content_type, "boundary")
    if boundary is None:
        boundary = f"wsrequest-{secrets.token_hex(16)}"
        content_type = f"{content_type}; boundary={boundary}"
    elif not _BOUNDARY(boundary):
        raise InvalidField("headers", "the boundary of the content-type is not a valid one", id)
    parts = bytearray()
    for key, entry in value.items():
        for item in entry if isinstance(entry, list) else (entry,):
            if item is None:
                continue
            disposition = f'Content-Disposition: form-data; name="{_escaped(key)}"'
            if isinstance(item, dict):
                filename, file_type, content = _file(item, id)
                disposition += f'; filename="{_escaped(filename)}"\r\nContent-Type: {file_type}'
            else:
                content = _bytes(_scalar(item, id), charset, id)
            head = _bytes(f"--{boundary}\r\n{disposition}\r\n\r\n", "utf-8", id)
            parts += head + content + b"\r\n"
    parts += f"--{boundary}--\r\n".encode()
    return bytes(parts), content_type


def _file(item: dict[str, Any], id: int | str | None) -> tuple[str, str, bytes]:
    name, content = item.get("filename"), item.get("content")
    file_type = item.get("content_type", BYTES)
    if not (isinstance(name, str) and isinstance(content, str) and isinstance(file_type, str)):
        raise InvalidField(
            "data", "a file is {filename, content_type, content}, with content in base64", id
        )
    if not file_type.isprintable():
        raise InvalidField("data", "a file's content_type has a control character", id)
    try:
        return name, file_type, base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField("data", "a file's content is not base64", id) from None


def _escaped(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
