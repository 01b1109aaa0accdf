"""Who a request was: read off what its middleware and its view left behind, without asking for more."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty
from msgspec import UNSET, UnsetType

#: Where Django's session keeps the user; as ``django.contrib.auth`` has it, which need not be installed.
SESSION_KEY = "_auth_user_id"

#: The user's primary key as a string, None for nobody, UNSET where the request did not care.
Identity = str | None | UnsetType


def identity_of(request: HttpRequest) -> Identity:
    """Who it was.

    A user that REST framework or a middleware put on the request counts when it is authenticated. That there is none
    counts only when Django's own session says so: a view that asks for other credentials, or for none, shows nothing.
    """
    attributes = request.__dict__
    user = attributes.get("user")
    if isinstance(user, LazyObject):
        user = user.__dict__["_wrapped"]
        if user is empty:
            return UNSET
    if user is not None and getattr(user, "is_authenticated", False):
        return _name(user)
    session_user = attributes.get("_cached_user", attributes.get("_acached_user"))
    if session_user is None:
        return UNSET
    # Who logs out in the view has been asked for before, and is in the session no more.
    stays = session_user.is_authenticated and SESSION_KEY in attributes["session"]
    return _name(session_user) if stays else None


def _name(user: Any) -> Identity:
    key = getattr(user, "pk", None)
    return UNSET if key is None else str(key)
