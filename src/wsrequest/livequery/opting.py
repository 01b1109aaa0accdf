"""Whether a view's answer may be kept up to date, and how often at most."""

from __future__ import annotations

import math
from typing import Any

from wsrequest.push.marks import Mark, Subscription


class Live(Mark):
    """What :func:`live` gives: a decorator for views, and an attribute for classes of views."""

    word = "live"
    attribute = "kept"

    def __init__(self, allowed: bool, min_interval: float | None) -> None:
        if not isinstance(allowed, bool):
            raise TypeError("live() takes True or False. As a decorator, write @live().")
        if min_interval is not None:
            problem = (
                f"min_interval: it is a number of seconds greater than 0, not {min_interval!r}."
            )
            if isinstance(min_interval, bool) or not isinstance(min_interval, int | float):
                raise TypeError(problem)
            if not 0 < min_interval < math.inf:
                raise ValueError(problem)
        self.allowed = allowed
        self._min_interval = min_interval

    def before(self, request: Any, subscription: Subscription) -> None:
        subscription.keep_live(self.allowed, self._min_interval)

    async def abefore(self, request: Any, subscription: Subscription) -> None:
        subscription.keep_live(self.allowed, self._min_interval)


def live(allowed: bool = True, *, min_interval: float | None = None) -> Live:
    """Let the answer of a view be kept up to date for those who ask for that, or (False) not, whatever
    ``WSREQUEST["LIVE"]`` says of all others; ``min_interval`` are the seconds between two runs of it at least, in place
    of LIVE_MIN_INTERVAL.

    A view whose answer takes a second to make, say, and changes all the time::

        @live(min_interval=10)
        def dashboard(request): ...

    On a function, below other decorators; on a method, with ``method_decorator``; or for all of a class-based view or
    viewset as an attribute, where a method that is decorated itself comes first::

        class ReportViewSet(ModelViewSet):
            kept = live(False)

    Who asks for more than the view allows is answered 501. Raises TypeError and ValueError for what is no such value.
    """
    return Live(allowed, min_interval)
