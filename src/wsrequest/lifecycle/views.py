"""Which views a project has, and of what kind: known before a request runs, as a hint where to run it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.signals import setting_changed
from django.urls import get_resolver

#: A peer chooses the paths: what is kept of them must not grow with their length.
LONGEST_KEPT = 256


def view_is_async(path_info: str) -> bool:
    """Whether the view at this path is asynchronous: a hint for the choice of a handler. Wrong is slower, never wrong:
    a middleware may set ``request.urlconf``, and either handler runs either kind of view."""
    if len(path_info) > LONGEST_KEPT:
        return _view_is_async.__wrapped__(path_info)
    return _view_is_async(path_info)


@functools.lru_cache(maxsize=4096)
def _view_is_async(path_info: str) -> bool:
    try:
        return bool(iscoroutinefunction(get_resolver().resolve(path_info).func))
    except Exception:  # noqa: BLE001 (a 404, or a converter's error: the lifecycle will meet it again, and answer)
        return False


@functools.cache
def any_view_is_async() -> bool:
    """Whether the project has an asynchronous view at all. Most have none, and then no path needs a look."""
    return any(iscoroutinefunction(view) for view in each_view())


def each_view() -> Iterator[Callable[..., Any]]:
    """Every view of ROOT_URLCONF."""
    pending = list(get_resolver().url_patterns)
    while pending:
        pattern = pending.pop()
        if hasattr(pattern, "url_patterns"):
            pending.extend(pattern.url_patterns)
        else:
            yield pattern.callback


def _forget(**kwargs: Any) -> None:
    _view_is_async.cache_clear()
    any_view_is_async.cache_clear()


setting_changed.connect(_forget, dispatch_uid="wsrequest.lifecycle.views")
