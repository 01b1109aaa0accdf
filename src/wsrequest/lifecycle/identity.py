"""Who a request was: read off what its middleware and its view left behind, without asking for more."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty
from msgspec import UNSET, UnsetType

#: Where Django's session keeps the user; as ``django.contrib.auth`` has it, which need not be installed.
SESSION_KEY = "_auth_user_id"


class Who(NamedTuple):
    """The user's primary key as a string, None for nobody; and whether Django's session says so."""

    user: str | None
    by_session: bool


#: UNSET where the request did not care.
Identity = Who | UnsetType


def identity_of(request: HttpRequest) -> Identity:
    """Who it was.

    A user that REST framework or a middleware put on the request counts when it is authenticated. That there is none
    counts only when Django's own session says so: a view that asks for other credentials, or for none, shows nothing.
    """
    attributes = request.__dict__
    user = attributes.get("user")
    if isinstance(user, LazyObject):
        # Not by the object's own look-up, which is several times slower.
        user = object.__getattribute__(user, "_wrapped")
        if user is empty:
            user = None
    session_user = attributes.get("_cached_user", attributes.get("_acached_user"))
    if user is None and session_user is None:
        return UNSET  # nobody asked: most requests end here
    in_session = _user_in(attributes.get("session"))
    if user is not None and getattr(user, "is_authenticated", False):
        key = getattr(user, "pk", None)
        return UNSET if key is None else Who(str(key), str(key) == in_session)
    if session_user is None:
        return UNSET
    # Who logs out in the view has been asked for before, and is in the session no more.
    stays = session_user.is_authenticated and in_session is not None
    return Who(str(session_user.pk) if stays else None, by_session=True)


def _user_in(session: Any) -> str | None:
    """The user in a session that has been read; it is not read for this purpose."""
    read: dict[str, Any] | None = getattr(session, "__dict__", {}).get("_session_cache")
    key = read.get(SESSION_KEY) if read else None
    return None if key is None else str(key)
