"""The server's answer as httpx has answers."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any

import httpx
from msgspec import UNSET

from wsrequest.client.link import Link
from wsrequest.protocol.messages import Said


def response_of(
    link: Link, said: Said, stream: httpx.AsyncByteStream | httpx.ByteStream
) -> httpx.Response:
    """The cookies that it sets become Set-Cookie headers, except those that are HttpOnly: these the server keeps."""
    assert said.status is not UNSET
    headers = [(name.encode(), _encoded(value)) for name, value in said.headers.items()]
    for name, attributes in said.cookies.items():
        line = _set_cookie(name, attributes)
        if line is None:
            link.secret_cookies.add(name)
            continue
        headers.append((b"set-cookie", _encoded(line)))
        link.secret_cookies.discard(name)
        if attributes.get("max-age") == 0:
            link.cookies.pop(name, None)
        else:
            link.cookies[name] = line.partition(";")[0].partition("=")[2]
    return httpx.Response(said.status, headers=headers, stream=stream)


def _set_cookie(name: str, attributes: dict[str, Any]) -> str | None:
    if "value" not in attributes:
        return None
    cookie: SimpleCookie = SimpleCookie()
    try:
        cookie[name] = str(attributes["value"])
        for attribute, value in attributes.items():
            if attribute != "value":
                cookie[name][attribute] = value
    except CookieError:
        return None
    return cookie[name].OutputString()


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
