"""Is it the same over the socket as over HTTP?"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.cookies import SimpleCookie
from typing import Any

from django.conf import settings as django_settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, transaction
from django.test.client import BOUNDARY, MULTIPART_CONTENT, Client, encode_multipart
from django.utils.http import urlencode

from wsrequest.conf import get_settings
from wsrequest.protocol.body import is_json_type
from wsrequest.session.terms import omitted
from wsrequest.testing.client import WebSocketClient

_TOKEN = re.compile(rb'(csrfmiddlewaretoken"[^>]*value=")[^"]*')

#: Which are said otherwise on the socket, or by nobody but an HTTP server.
_NOT_COMPARED = frozenset({"set-cookie", "content-length"})

_HAS_QUERY = frozenset({"GET", "HEAD"})


def assert_same_over_http(
    path: str,
    data: Any = None,
    *,
    method: str = "GET",
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    socket: WebSocketClient | None = None,
    ignore: Collection[str] = (),
) -> Any:
    """Send the same request with Django's test client and over the socket, and compare status, headers, cookies, body
    and templates. Returns the socket's answer; raises AssertionError with all that differs.

    ``socket`` is the client, with its cookies: who is logged in there, is so over HTTP. ``ignore`` are names of
    headers and cookies that need not be the same, or "body" or "templates". Values of the session's and the CSRF
    cookie are random, and are not compared; nor is what PROTOCOL.md says is not on the wire.

    In a ``TestCase``, what the request has written over HTTP is undone before it is sent over the socket.
    """
    own = None if socket is not None else WebSocketClient()
    client = socket or own
    assert client is not None
    try:
        with _undone():
            over_http = _http(client, method, path, data, content_type, headers, token)
        over_socket: Any = client.request(
            method, path, data, content_type=content_type, headers=headers, token=token
        )
        body = over_socket.getvalue()
    finally:
        if own is not None:
            own.disconnect()
    differences = list(_differences(over_http, over_socket, body, frozenset(ignore)))
    if differences:
        raise AssertionError(
            "\n".join([f"{method} {path} is not the same over the socket:", *differences])
        )
    return over_socket


@contextmanager
def _undone() -> Iterator[None]:
    """Undo what is written in the transactions that there are."""
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                stack.enter_context(transaction.atomic(using=connection.alias))
                stack.callback(transaction.set_rollback, True, using=connection.alias)
        yield


def _http(
    socket: WebSocketClient,
    method: str,
    path: str,
    data: Any,
    content_type: str | None,
    headers: Mapping[str, str] | None,
    token: str | None,
) -> tuple[Any, bytes]:
    client = Client(raise_request_exception=socket.raise_request_exception, **socket.defaults)
    client.cookies = SimpleCookie()
    client.cookies.update(socket.cookies)
    sent = dict(headers or {})
    if token is not None:
        sent["authorization"] = f"{get_settings().token_scheme} {token}"
    options: dict[str, Any] = {"headers": sent}
    if data is not None and method.upper() in _HAS_QUERY | {"OPTIONS"}:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode(data, doseq=True)}"
    elif data is not None:
        options["data"], options["content_type"] = _body(data, content_type)
    response: Any = client.generic(method.upper(), path, **options)
    return response, response.getvalue()


def _body(data: Any, content_type: str | None) -> tuple[Any, str]:
    if content_type is None:
        return json.dumps(data, cls=DjangoJSONEncoder), "application/json"
    if isinstance(data, str | bytes):
        return data, content_type
    if content_type.startswith("multipart/form-data"):
        body = encode_multipart(BOUNDARY, data)
        for value in data.values():
            if hasattr(value, "seek"):
                value.seek(0)  # it is read again
        return body, MULTIPART_CONTENT
    if is_json_type(content_type):
        return json.dumps(data, cls=DjangoJSONEncoder), content_type
    return urlencode(data, doseq=True), content_type


def _differences(
    over_http: tuple[Any, bytes], over_socket: Any, body: bytes, ignored: frozenset[str]
) -> Iterator[str]:
    http, http_body = over_http
    yield from _unequal("status", http.status_code, over_socket.status_code)
    left_out = omitted(get_settings()) | _NOT_COMPARED | {name.lower() for name in ignored}
    yield from _unequal_items("header", _headers(http, left_out), _headers(over_socket, left_out))
    cookies = [_cookies(response.cookies, ignored) for response in (http, over_socket)]
    yield from _unequal_items("cookie", *cookies)
    if "templates" not in ignored:
        names = [[template.name for template in each.templates] for each in (http, over_socket)]
        yield from _unequal("templates", *names)
    if "body" not in ignored:
        yield from _unequal_bodies(http, http_body, body)


def _headers(response: Any, left_out: Collection[str]) -> dict[str, str]:
    items = {name.lower(): value for name, value in response.items()}
    return {name: value for name, value in items.items() if name not in left_out}


def _cookies(cookies: SimpleCookie, ignored: Collection[str]) -> dict[str, str]:
    random = {django_settings.SESSION_COOKIE_NAME, django_settings.CSRF_COOKIE_NAME}
    told = {}
    for name, morsel in cookies.items():
        if name not in ignored:
            attributes = {key: value for key, value in morsel.items() if value and key != "expires"}
            told[name] = f"{'...' if name in random else morsel.value} {attributes}"
    return told


def _unequal(what: str, http: Any, socket: Any) -> Iterator[str]:
    if http != socket:
        yield f"- {what}: {http!r} over HTTP, {socket!r} over the socket"


def _unequal_items(what: str, http: dict[str, str], socket: dict[str, str]) -> Iterator[str]:
    for name in sorted(http.keys() | socket.keys()):
        yield from _unequal(f"{what} {name}", http.get(name), socket.get(name))


def _unequal_bodies(response: Any, http: bytes, socket: bytes) -> Iterator[str]:
    is_json = is_json_type(response.get("content-type", ""))
    here, there = (_lines(_TOKEN.sub(rb"\1...", body), is_json=is_json) for body in (http, socket))
    if here != there:
        yield "- body:"
        yield from difflib.unified_diff(here, there, "over HTTP", "over the socket", lineterm="")


def _lines(body: bytes, *, is_json: bool) -> list[str]:
    text = body.decode("utf-8", "backslashreplace")
    if is_json and text:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text.splitlines()
