"""What a view says of those who subscribe to it: decorators for views, and attributes for classes of views."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

#: Of the ``HttpRequest`` of a SUBSCRIBE; every other request lacks it.
ATTRIBUTE = "_wsrequest_subscription"

#: Of a view that is marked: its marks by their kinds.
_MARKS = "_wsrequest_marks"

View = TypeVar("View", bound=Callable[..., Any])


class Subscription(Protocol):
    """What a SUBSCRIBE's request knows of the subscription that is being made.

    The first two return when everything that is published to the topic from then on is kept for it. Called again, the
    later topic holds. They raise :class:`~wsrequest.errors.BrokerUnavailable`.
    """

    def hear(self, topic: str) -> None:
        """From a worker thread, which waits."""

    async def ahear(self, topic: str) -> None:
        """The same, on the event loop."""

    def keep_live(self, allowed: bool, min_interval: float | None) -> None:
        """Whether its answer may be kept up to date, and the seconds between two runs at least (None: as the setting
        has it). From any thread."""


class Mark(ABC):
    """Something that is to happen before the view's body, when somebody subscribes; over HTTP, and for a GET, it does
    not."""

    #: How it is called as a decorator, and how it is best called as an attribute.
    word: ClassVar[str]
    attribute: ClassVar[str]

    @abstractmethod
    def before(self, request: Any, subscription: Subscription) -> None:
        """The view of this request, as the view sees it, is about to begin."""

    @abstractmethod
    async def abefore(self, request: Any, subscription: Subscription) -> None:
        """The same for an asynchronous view."""

    def __call__(self, view: View) -> View:
        """The same view, marked."""
        if isinstance(view, type):
            raise TypeError(f"@{self.word} is for views. In a class, write it as an attribute.")
        make = self._around_async if iscoroutinefunction(view) else self._around_sync
        wrapper = functools.wraps(view)(make(view))
        setattr(wrapper, _MARKS, {**getattr(view, _MARKS, {}), type(self): self})
        return cast("View", wrapper)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        """As an attribute: the class's ``dispatch`` puts this around the handler, which is what runs after REST
        framework's authentication and permissions, and after what mixins do in their ``dispatch``."""
        own = owner.__dict__.get("dispatch")

        def dispatch(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            _mark(view, request, name)
            following = own.__get__(view) if own else super(owner, view).dispatch  # type: ignore[misc]
            return following(request, *args, **kwargs)

        inherited = getattr(owner, "dispatch", None)
        if inherited is not None:  # as_view() looks at its attributes: csrf_exempt is one
            functools.update_wrapper(dispatch, inherited)
        owner.dispatch = dispatch

    def _around_sync(self, view: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            request, subscription = self._found_in(args, kwargs)
            if subscription is not None:
                self.before(request, subscription)
            return view(*args, **kwargs)

        return wrapper

    def _around_async(self, view: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            request, subscription = self._found_in(args, kwargs)
            if subscription is not None:
                await self.abefore(request, subscription)
            return await view(*args, **kwargs)

        return wrapper

    def _found_in(self, args: Any, kwargs: Any) -> tuple[Any, Subscription | None]:
        """The request among a view's arguments, as the view sees it, and its subscription."""
        for candidate in (*args[1::-1], kwargs.get("request")):
            http = _http_request(candidate)
            if http is not None:
                return candidate, getattr(http, ATTRIBUTE, None)
        raise TypeError(
            f"@{self.word} is for views: there is no request among the arguments. (In a class with an attribute"
            f" `{self.word}`, @{self.word} below it means that one: call the attribute `{self.attribute}`.)"
        )


def mark_of(view: Any, kind: type[Mark], attributes_of: Any = None) -> Mark | None:
    """The mark of this kind that a function or method has; else the one among the attributes of its class."""
    mark: Mark | None = getattr(view, _MARKS, {}).get(kind)
    if mark is None and attributes_of is not None:
        values = (getattr(attributes_of, name, None) for name in dir(attributes_of))
        mark = next((value for value in values if isinstance(value, kind)), None)
    return mark


def _mark(view: Any, request: Any, attribute: str) -> None:
    """Put the mark that the view has as this attribute around the method that will handle the request."""
    http = _http_request(request)
    if http is None or getattr(http, ATTRIBUTE, None) is None:
        return
    mark = getattr(view, attribute, None)  # a subclass, or as_view(), may have another one
    method = (http.method or "").lower()
    handler = getattr(view, method, None)
    if (
        isinstance(mark, Mark)
        and handler is not None
        and type(mark) not in getattr(handler, _MARKS, ())
    ):
        setattr(view, method, mark(handler))


def _http_request(request: Any) -> HttpRequest | None:
    """Django's request, where it is one or (as REST framework's is) around one."""
    inner = request if isinstance(request, HttpRequest) else getattr(request, "_request", None)
    return inner if isinstance(inner, HttpRequest) else None
