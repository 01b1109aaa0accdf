"""System checks: what is wrong with the settings is said by ``manage.py check``, not by the first message.

``wsrequest.E001``  a key of WSREQUEST is not known
``wsrequest.E002``  a value of WSREQUEST can't be used
``wsrequest.W001``  ATOMIC_REQUESTS with an asynchronous view: Django answers 500
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from wsrequest.conf import NAMES, problems
from wsrequest.lifecycle.handler import each_view


@register
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001 and E002."""
    configured = getattr(django_settings, "WSREQUEST", {})
    found: list[CheckMessage] = [
        Error(problem, id="wsrequest.E002") for problem in problems(configured)
    ]
    for key in configured if isinstance(configured, Mapping) else ():
        if key not in NAMES:
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
    atomic = [
        alias
        for alias, database in django_settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS")
    ]
    return [
        Warning(
            f"{view.__module__}.{view.__qualname__} is asynchronous, and ATOMIC_REQUESTS of database {alias!r} is on: "
            "Django answers 500.",
            hint="Decorate the view with transaction.non_atomic_requests, or switch ATOMIC_REQUESTS off.",
            id="wsrequest.W001",
        )
        for alias in atomic
        for view in each_view()
        if iscoroutinefunction(view) and alias not in getattr(view, "_non_atomic_requests", ())
    ]
