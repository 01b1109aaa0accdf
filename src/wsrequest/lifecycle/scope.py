"""Whose idempotency key it is, and what it stands for: what tells two requests with a ``key`` apart."""

from __future__ import annotations

import json
import re
import sys
from hashlib import sha256
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest, parse_cookie
from msgspec import UNSET

from wsrequest.protocol.body import payload
from wsrequest.protocol.messages import BytesRequest, Request


def scope_of(
    request: HttpRequest,
    view: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    cookie: str,
) -> str:
    """The client whose keys these are. Another one may use the same key for something else, and must not be given
    this one's answer.

    It is the user, for a view of REST framework the one whom its own authenticators find; else who bears this
    Authorization; else the session with which the connection was opened (``cookie`` is the handshake's Cookie header);
    else the network address.
    """
    user = user_scope(_user_of_api(request, view, args, kwargs))
    user = user or user_scope(getattr(request, "user", None))
    if user:
        return user
    if authorization := request.META.get("HTTP_AUTHORIZATION"):
        return f"authorization {authorization}"
    if session := parse_cookie(cookie).get(django_settings.SESSION_COOKIE_NAME):
        return f"session {session}"
    return f"address {request.META.get('REMOTE_ADDR', '')}"


def credentials_of(message: Request) -> list[tuple[str, str]]:
    """The message's own headers by which a project may tell clients or tenants apart without a user: an API key, say.

    A header that a client changes from one try to the next must not be among them, or a repeat would be no repeat.
    """
    csrf = django_settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-").lower()
    return sorted(
        (name, value)
        for name, value in (message.headers or {}).items()
        if _TELLS_CLIENTS_APART(name) and name not in (csrf, "authorization", "idempotency-key")
    )


_TELLS_CLIENTS_APART = re.compile(r"key|token|secret|auth|tenant").search


def user_scope(user: Any) -> str | None:
    """The scope of a user who is logged in."""
    if not getattr(user, "is_authenticated", False) or getattr(user, "pk", None) is None:
        return None
    options = getattr(user, "_meta", None)
    kind = user.__class__  # the user's own, where type() says that it is a lazy object
    label = f"{kind.__module__}.{kind.__qualname__}" if options is None else options.label_lower
    return f"user {label} {user.pk}"


def _user_of_api(
    request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Whom the authenticators of a REST framework view find; None where it is no such view, or they refuse.

    They run once more in the view itself, and must then find the request as it was: what they put on it is taken away
    again.
    """
    framework = sys.modules.get("rest_framework.views")
    kind = getattr(view, "cls", None)
    if framework is None or not (isinstance(kind, type) and issubclass(kind, framework.APIView)):
        return None
    instance = kind(**getattr(view, "initkwargs", {}))
    instance.request, instance.args, instance.kwargs = request, args, kwargs
    if actions := getattr(view, "actions", None):
        instance.action_map = actions
    attributes = request.__dict__
    before = {name: attributes[name] for name in _SET_BY_API if name in attributes}
    try:
        return instance.initialize_request(request, *args, **kwargs).user
    except Exception:  # noqa: BLE001 (the view will meet it again, and answer)
        return None
    finally:
        for name in _SET_BY_API:
            attributes.pop(name, None)
        attributes.update(before)


_SET_BY_API = ("user", "auth")


def fingerprint_of(request: HttpRequest, message: Request) -> str:
    """Two messages with the same one ask for the same, in whichever codec, and with the token of today or tomorrow."""
    content_type = (message.headers or {}).get("content-type")
    kind, body = "json", b""
    if isinstance(message, BytesRequest) or message.encoding is not None:
        _, plain, content_type = payload(message)
        kind, body = "bytes", plain or b""
    elif message.data is UNSET:
        kind = "none"
    else:  # not the body that was made of it: a multipart one has a boundary of its own
        body = _canonical(bytes(message.data))
    parts = [request.method, request.path, request.META["QUERY_STRING"], content_type, kind]
    return sha256(json.dumps(parts).encode() + body).hexdigest()


def _canonical(text: bytes) -> bytes:
    """JSON as anybody would write it: codecs and clients differ in spaces, and in the order of keys."""
    try:
        return json.dumps(json.loads(text), sort_keys=True).encode()
    except (ValueError, RecursionError):  # a number of thousands of digits, say
        return text
