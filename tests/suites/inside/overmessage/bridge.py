"""Django's test client over messages.

The client builds a WSGI environ (or an ASGI scope) and gives it to its handler. Here the handler
turns it into a message, as JSON text, and facts of the connection, runs
:class:`wsrequest.WebSocketRequest`, and gives the response back as the client expects it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.handlers.wsgi import LimitedStream, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.test import client as test_client

from overmessage import record
from overmessage.wire import over_the_wire

JSON_VARIABLE = "WSREQUEST_SUITES_JSON"

# What a message may not say, because it is a fact of its connection: these go to META by
# ``factory_defaults``, as the headers of a handshake do.
CONNECTION_HEADERS = frozenset(
    {
        "authuser",  # auth_tests' proxy names the user in HTTP_AUTHUSER; in the asynchronous chain
        "http-authuser",  # Django looks for that with one more HTTP_ before it
        "connection",
        "content-length",
        "cookie",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "remote-user",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
    }
)
CONNECTION_PREFIXES = ("proxy-", "sec-websocket-", "x-forwarded-")

# The parts of an environ that the message itself carries.
MESSAGE_KEYS = frozenset(
    {
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_METHOD",
        "wsgi.input",
    }
)


def install() -> None:
    """Change the test client's two handlers."""
    test_client.ClientHandler.__call__ = call  # type: ignore[method-assign]
    test_client.AsyncClientHandler.__call__ = acall  # type: ignore[method-assign]


# The synchronous client


def call(self: test_client.ClientHandler, environ: dict[str, Any]) -> HttpResponseBase:
    """Take the place of ``ClientHandler.__call__``."""
    from wsrequest import WebSocketRequest

    record.sent()
    message, defaults = from_environ(environ)
    request = WebSocketRequest(
        json.dumps(message), defaults, enforce_csrf_checks=self.enforce_csrf_checks
    )
    with connections_kept_open():
        response = request.get_response()
    test_client.conditional_content_removal(request.request, response)
    over_the_wire(request.request.method, response)
    response.wsgi_request = request.request
    close_with_the_stream(response)
    return response


def from_environ(environ: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a message, and the facts of its connection, of a WSGI environ."""
    headers: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    for key, value in environ.items():
        name = key.removeprefix("HTTP_").lower().replace("_", "-")
        if key.startswith("HTTP_") and in_message(name) and (text := as_text(value)) is not None:
            headers[name] = text
        elif key not in MESSAGE_KEYS:
            defaults[key] = value
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    path = get_script_name(environ).rstrip("/").encode() + environ["PATH_INFO"].encode("latin-1")
    body = LimitedStream(environ["wsgi.input"], content_length(environ)).read()
    query = environ.get("QUERY_STRING", "").encode("latin-1").decode()
    return build_message(environ["REQUEST_METHOD"], path, query, headers, body), defaults


def as_text(value: object) -> str | None:
    """A header's value in a message: text, where WSGI has its UTF-8 bytes as latin-1.

    Some tests put what is neither into an environ; no client could send that.
    """
    try:
        return value.encode("latin-1").decode() if isinstance(value, str) else None
    except UnicodeError:
        return None


def content_length(environ: dict[str, Any]) -> int:
    """Read the length as Django's ``WSGIRequest`` does."""
    try:
        return int(environ.get("CONTENT_LENGTH"))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0


# The asynchronous client


async def acall(self: test_client.AsyncClientHandler, scope: dict[str, Any]) -> HttpResponseBase:
    """Take the place of ``AsyncClientHandler.__call__``."""
    from wsrequest import WebSocketRequest

    record.sent()
    message, defaults = from_scope(scope)
    request = WebSocketRequest(
        json.dumps(message), defaults, enforce_csrf_checks=self.enforce_csrf_checks
    )
    with connections_kept_open():
        response = await request.aget_response()
    test_client.conditional_content_removal(request.request, response)
    over_the_wire(request.request.method, response)
    response.asgi_request = request.request
    close_with_the_stream(response)
    return response


def from_scope(scope: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a message, and the facts of its connection, of an ASGI scope."""
    headers: dict[str, str] = {}
    defaults: dict[str, Any] = {
        "REMOTE_ADDR": scope["client"][0],
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.url_scheme": scope["scheme"],
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "content-length":
            continue
        meta = "HTTP_" + name.upper().replace("-", "_")
        store, key = (headers, name) if in_message(name) else (defaults, meta)
        store[key] = f"{store[key]},{value}" if key in store else value
    body_file = scope.get("_body_file")
    body = body_file.read() if body_file else b""
    query = scope.get("query_string", "")
    path = scope["path"].encode("latin-1")
    return build_message(scope["method"], path, query, headers, body), defaults


# Both


def in_message(name: str) -> bool:
    """Whether a header may stand in a message."""
    proxy_header = (settings.SECURE_PROXY_SSL_HEADER or ("",))[0]
    return (
        name not in CONNECTION_HEADERS
        and not name.startswith(CONNECTION_PREFIXES)
        and "HTTP_" + name.upper().replace("-", "_") != proxy_header
    )


def build_message(
    method: str, path: bytes, query: str, headers: dict[str, str], body: bytes
) -> dict[str, Any]:
    """Build the message. A body goes as base64, so that nothing encodes it again."""
    url = quote(path, safe="/:@!$&'()*+,;=~") or "/"
    if url.startswith("//"):  # a path, not the start of a domain
        url = "/%2F" + url[2:]
    message: dict[str, Any] = {"method": method, "url": f"{url}?{query}" if query else url}
    if headers:
        message["headers"] = headers
    if body:
        message.update(as_data(headers.get("content-type", ""), body))
    return message


def as_data(content_type: str, body: bytes) -> dict[str, Any]:
    """Send the body's bytes; with ``--json``, a JSON body as what it says."""
    if os.environ.get(JSON_VARIABLE) and content_type == "application/json":
        try:
            return {"data": json.loads(body)}
        except ValueError:
            pass
    return {"data": base64.b64encode(body).decode(), "encoding": "base64"}


@contextmanager
def connections_kept_open() -> Iterator[None]:
    """Keep the test's database connections, as the test client's own handler does."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    try:
        yield
    finally:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)


def close_with_the_stream(response: Any) -> None:
    """Close a streaming response when its reader is done, as a server would."""
    if not response.streaming:
        return
    wrapper = (
        test_client.aclosing_iterator_wrapper
        if response.is_async
        else test_client.closing_iterator_wrapper
    )
    response.streaming_content = wrapper(response.streaming_content, response.close)
