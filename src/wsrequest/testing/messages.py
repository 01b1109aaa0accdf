"""The arguments of Django's test client as a handshake and as messages."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any

from django.utils.http import urlencode

from wsrequest.conf import get_settings
from wsrequest.lifecycle.trust import connection_only_headers
from wsrequest.protocol.client import subprotocols
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.messages import HeaderRules
from wsrequest.testing.connection import CODEC

#: What a message can say of itself, beside what every request has.
FIELDS = frozenset({"key", "live", "presence", "since", "timeout", "token"})

#: Keys of META that are facts of a connection.
_CONNECTION = frozenset(
    {"REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME", "wsgi.url_scheme"}
)

_JSON = "application/json"


def handshake_for(
    defaults: Mapping[str, Any], cookies: SimpleCookie, *, token: str | None, with_origin: bool
) -> Handshake:
    """That of a page of this site: with its Origin, and with the cookies that a browser has."""
    for key in defaults:
        if key not in _CONNECTION and not key.startswith("HTTP_"):
            raise ValueError(
                f"{key!r} is no fact of a WebSocket connection: it has headers (HTTP_...),"
                f" and {', '.join(sorted(_CONNECTION))}."
            )
    scheme = defaults.get("wsgi.url_scheme", "http")
    headers = {_header(key): str(value) for key, value in defaults.items() if key[:5] == "HTTP_"}
    name = str(defaults.get("SERVER_NAME", "testserver"))
    port = int(defaults.get("SERVER_PORT", 443 if scheme == "https" else 80))
    usual = port == (443 if scheme == "https" else 80)
    host = headers.setdefault("host", name if usual else f"{name}:{port}")
    if with_origin:
        headers.setdefault("origin", f"{scheme}://{host}")
    cookie = "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in cookies.values())
    if cookie:
        headers["cookie"] = cookie
    prefix = str(defaults.get("SCRIPT_NAME", "")).rstrip("/")
    return Handshake(
        path=prefix + get_settings().path,
        headers=[(key.encode("latin-1"), value.encode()) for key, value in headers.items()],
        root_path=prefix,
        subprotocols=tuple(subprotocols(CODEC, token)),
        secure=scheme == "https",
        client=(str(defaults.get("REMOTE_ADDR", "127.0.0.1")), 0),
        server=(name, port),
    )


def message_for(
    defaults: Mapping[str, Any],
    method: str,
    path: str,
    data: Any,
    content_type: str | None,
    headers: Mapping[str, str] | None,
    query_params: Mapping[str, Any] | None,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """A message, without its id."""
    if query_params:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode(query_params, doseq=True)}"
    message: dict[str, Any] = {"method": method, "url": path}
    named = _usual_headers(defaults)
    named.update({name.lower(): value for name, value in (headers or {}).items()})
    for key, value in extra.items():
        if key in FIELDS:
            if value is not None:
                message[key] = value
        elif key.startswith("HTTP_"):
            named[_header(key)] = str(value)
        else:
            raise TypeError(
                f"{key!r}: a message has headers (HTTP_...), and {', '.join(sorted(FIELDS))}. What is a fact of"
                " the connection is said to the client's constructor."
            )
    if "token" in message:
        named.pop("authorization", None)
    if content_type is not None:
        named["content-type"] = content_type
    if data is not None:
        message.update(_body(data, named.get("content-type", "")))
    if named:
        message["headers"] = named
    return message


def _usual_headers(defaults: Mapping[str, Any]) -> dict[str, str]:
    """Those of the client that a message may bear, too."""
    rules = HeaderRules(connection_only_headers(get_settings().handshake_headers))
    headers = {_header(key): str(value) for key, value in defaults.items() if key[:5] == "HTTP_"}
    return {name: value for name, value in headers.items() if rules.problem(name, value) is None}


def _body(data: Any, content_type: str) -> dict[str, Any]:
    if isinstance(data, bytes):
        return {"data": base64.b64encode(data).decode("ascii"), "encoding": "base64"}
    if content_type.startswith("multipart/form-data"):
        return {"data": {name: _part(value) for name, value in data.items()}}
    if isinstance(data, str) and content_type.startswith(_JSON):
        return {"data": data, "encoding": "text"}  # it is JSON already, as in Django's client
    return {"data": data}


def _part(value: Any) -> Any:
    """A field of a form: a file as PROTOCOL.md has it."""
    if isinstance(value, list | tuple):
        return [_part(each) for each in value]
    if not hasattr(value, "read"):
        return value
    content = value.read()
    if isinstance(content, str):
        content = content.encode()
    name = str(getattr(value, "name", "file")).replace("\\", "/").rpartition("/")[2]
    part = {"filename": name, "content": base64.b64encode(content).decode("ascii")}
    if content_type := getattr(value, "content_type", None):
        part["content_type"] = content_type
    return part


def _header(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").lower()
