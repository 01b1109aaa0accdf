"""System checks: what is wrong with the settings is said by ``manage.py check``, not by the first message.

``wsrequest.E001``  a key of WSREQUEST is not known
``wsrequest.E002``  a value of WSREQUEST can't be used
``wsrequest.W001``  ATOMIC_REQUESTS with an asynchronous view: Django answers 500
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning

from wsrequest.conf import NAMES, problems, unknown_keys
from wsrequest.lifecycle.views import each_view


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001 and E002."""
    found: list[CheckMessage] = [Error(problem, id="wsrequest.E002") for problem in problems()]
    for key in unknown_keys():
        nearest = difflib.get_close_matches(str(key).upper(), NAMES, n=1, cutoff=0.0)[0]
        found.append(
            Error(
                f"WSREQUEST has no key {key!r}.",
                hint=f"Did you mean {nearest!r}?",
                id="wsrequest.E001",
            )
        )
    return found


@register(Tags.urls)
def check_atomic_requests(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    atomic = [
        alias
        for alias, database in django_settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS")
    ]
    return [
        CheckWarning(
            f"{_name(view)} is asynchronous, and ATOMIC_REQUESTS of database {alias!r} is on: Django answers 500.",
            hint="Decorate the view with transaction.non_atomic_requests, or switch ATOMIC_REQUESTS off.",
            id="wsrequest.W001",
        )
        for alias in atomic
        for view in each_view()
        if iscoroutinefunction(view) and alias not in getattr(view, "_non_atomic_requests", ())
    ]


def _name(view: Callable[..., Any]) -> str:
    """The dotted name of a function; a partial or a callable object has none."""
    name = getattr(view, "__qualname__", None)
    return f"{view.__module__}.{name}" if name else repr(view)
