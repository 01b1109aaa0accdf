"""Whom something is for: users by their primary keys, a connection by its id, or everyone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model


class Everyone(Enum):
    """The target of what every connection is to hear, whoever is at its other end: ``notify(EVERYONE, ...)``."""

    EVERYONE = "everyone"

    def __repr__(self) -> str:
        return "wsrequest.EVERYONE"


EVERYONE: Final = Everyone.EVERYONE


class Target(NamedTuple):
    """The connections of a user, one connection, or with neither all of them."""

    user: str | None = None
    connection: str | None = None


def keys_of(to: Any) -> frozenset[str] | None:
    """The users in ``to``: one or an iterable of them, each a model instance or a primary key; None for everybody."""
    if to is None:
        return None
    if isinstance(to, str | int | UUID) or hasattr(to, "pk"):
        return frozenset((_key_of(to, "to"),))
    if isinstance(to, Iterable) and not isinstance(to, Mapping | bytes | bytearray | memoryview):
        return frozenset(_key_of(user, "to") for user in to)
    raise TypeError(f"to: {_WANTED}, or an iterable of these, not {type(to).__name__}.")


def target_of(target: Any, argument: str, *, everyone: bool) -> Target:
    """Who is meant by the ``target`` of a notice. A ``str`` is the id of a connection; a user whose primary key is a
    ``str`` is meant by an instance."""
    if target is EVERYONE and everyone:
        return Target()
    if isinstance(target, str):
        if not target:
            raise ValueError(f"{argument}: the id of a connection is not empty.")
        return Target(connection=target)
    if isinstance(target, int | UUID) or hasattr(target, "pk"):
        return Target(user=_key_of(target, argument))
    raise TypeError(
        f"{argument}: {_WANTED}, or the id of a connection{', or EVERYONE' if everyone else ''},"
        f" and one at a time, not {type(target).__name__}."
    )


_WANTED = "it takes a user (an instance or a primary key)"


def _key_of(user: Any, argument: str) -> str:
    if isinstance(user, str | int | UUID) and not isinstance(user, bool):
        key: Any = user
    elif isinstance(user, type) or not hasattr(user, "pk"):
        raise TypeError(f"{argument}: {_WANTED}, not {user!r}.")
    elif isinstance(user, Model) and not _is_user(user):
        # An order has a primary key, too, and it may be that of another user.
        raise TypeError(
            f"{argument}: {type(user).__name__} is not AUTH_USER_MODEL. Where it is what request.user is, pass its"
            " primary key."
        )
    else:
        key = user.pk
    if key is None or key == "":
        raise ValueError(f"{argument}: {user!r} has no primary key.")
    return str(key)


def _is_user(instance: Model) -> bool:
    try:
        return isinstance(instance, get_user_model())
    except ImproperlyConfigured:  # the project has no such model: its users are of its own making
        return True
