"""What topics are called by those who publish, and by views that name the topic which their subscribers hear.

A topic is a path, as ``reverse()`` gives it, or a name of the project's own that begins with ``@``. No URL is spelled
so: nobody can subscribe to an ``@`` name but by a view that names it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.utils.functional import Promise

from wsrequest.push.topics import own_topic, topic_of

#: Of the ``HttpRequest`` of a SUBSCRIBE; every other request lacks it.
ATTRIBUTE = "_wsrequest_subscription"

#: Of a view that names its topic.
_MARK = "_wsrequest_topic"

View = TypeVar("View", bound=Callable[..., Any])


class Subscription(Protocol):
    """What a SUBSCRIBE's request knows of the subscription that is being made.

    Both return when everything that is published to the topic from then on is kept for it. Called again, the later
    topic holds. They raise :class:`~wsrequest.errors.BrokerUnavailable`.
    """

    def hear(self, topic: str) -> None:
        """From a worker thread, which waits."""

    async def ahear(self, topic: str) -> None:
        """The same, on the event loop."""


def topics_in(url_or_urls: Any) -> list[str]:
    """The topics of a URL or several, each once."""
    if isinstance(url_or_urls, str | Promise) or not isinstance(url_or_urls, Iterable):
        return [topic_at(url_or_urls, "url_or_urls")]
    return list(dict.fromkeys(topic_at(url, "url_or_urls") for url in url_or_urls))


def topic_at(url: Any, argument: str) -> str:
    """The topic that is meant by a URL (its query and fragment don't count), or by an ``@`` name."""
    if not isinstance(url, str | Promise):
        raise TypeError(
            f"{argument}: it takes a url as reverse() gives it, a str, not {type(url).__name__}."
        )
    text = str(url)
    if text[:1] == "/" and text[:2] != "//":
        return _written(topic_of, text, argument)
    if text[:1] == "@" and text != "@":
        return _written(own_topic, text, argument)
    raise ValueError(
        f"{argument}: {text!r} is no path. Use reverse(), whose urls begin with one slash; a name of your own for a"
        " topic begins with @."
    )


def topic_named(name: Any) -> str:
    """The topic that a view names. It is never cut, as a URL is: two names that differ must not become one topic."""
    topic = topic_at(name, "topic")
    text = str(name)
    if text[0] == "/" and ("?" in text or "#" in text):
        raise ValueError(
            f"topic: {text!r} has a query or a fragment, which topics don't have. Begin the name with @ instead."
        )
    return topic


class Topic:
    """What :func:`topic` gives: a decorator for views, and an attribute for classes of views."""

    def __init__(self, name: Callable[[Any], Any]) -> None:
        if not callable(name):
            raise TypeError(
                f"topic() takes a callable that is given the request, not {type(name).__name__}."
            )
        self._name = name

    def __call__(self, view: View) -> View:
        """The same view, which names its topic before it begins."""
        if isinstance(view, type):
            raise TypeError("@topic is for views. In a class, write it as an attribute.")
        make = self._around_async if iscoroutinefunction(view) else self._around_sync
        wrapper = functools.wraps(view)(make(view))
        setattr(wrapper, _MARK, self)
        return cast("View", wrapper)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        """As an attribute: the class's ``dispatch`` puts this around the handler, which is what runs after REST
        framework's authentication and permissions, and after what mixins do in their ``dispatch``."""
        own = owner.__dict__.get("dispatch")

        def dispatch(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            _name_topic_of(view, request, name)
            following = own.__get__(view) if own else super(owner, view).dispatch  # type: ignore[misc]
            return following(request, *args, **kwargs)

        inherited = getattr(owner, "dispatch", None)
        if inherited is not None:  # as_view() looks at its attributes: csrf_exempt is one
            functools.update_wrapper(dispatch, inherited)
        owner.dispatch = dispatch

    def _around_sync(self, view: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            request, subscription = _found_in(args, kwargs)
            if subscription is not None:
                name = self._name
                if iscoroutinefunction(name):
                    name = async_to_sync(name)
                subscription.hear(topic_named(name(request)))
            return view(*args, **kwargs)

        return wrapper

    def _around_async(self, view: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            request, subscription = _found_in(args, kwargs)
            if subscription is not None:
                name = self._name
                if not iscoroutinefunction(name):
                    name = sync_to_async(name)  # ``request.user`` may ask the database
                await subscription.ahear(topic_named(await name(request)))
            return await view(*args, **kwargs)

        return wrapper


def topic(name: Callable[[Any], Any]) -> Topic:
    """Name the topic that the subscribers of a view hear, in place of the URL's path.

    ``name`` is called with the view's request (REST framework's, where the view has that) when somebody subscribes,
    before the view's body, and returns the name: a path as ``reverse()`` gives it, or better, one that begins with
    ``@``, which no URL does. It may be asynchronous. Over HTTP, and for a GET, it is not called.

    A list that shows each user only his own rows has one path for all of them: without a name of its own, whatever is
    published to that path would reach everyone who may GET it::

        @login_required
        @topic(lambda request: f"@orders/{request.user.pk}")
        def orders(request): ...

        publish(f"@orders/{order.user_id}", {"id": order.pk}, event="created")

    Nearest to the function, below other decorators: so it sees what they have done. The same on a method, with
    ``method_decorator``, or for all of a class-based view or viewset as an attribute, where a method that is
    decorated itself comes first, and a subclass may have its own, or None::

        class OrderViewSet(ModelViewSet):
            hears = topic(lambda request: f"@orders/{request.user.pk}")

    What ``name`` raises, the view raises. So does a name that is neither a path without a query nor begins with ``@``
    (ValueError, or TypeError for what is no ``str``).
    """
    return Topic(name)


def _name_topic_of(view: Any, request: Any, attribute: str) -> None:
    """Put the topic that the view has as this attribute around the method that will handle the request."""
    http = _http_request(request)
    if http is None or getattr(http, ATTRIBUTE, None) is None:
        return
    named = getattr(view, attribute, None)  # a subclass, or as_view(), may have another one
    method = (http.method or "").lower()
    handler = getattr(view, method, None)
    if isinstance(named, Topic) and handler is not None and not hasattr(handler, _MARK):
        setattr(view, method, named(handler))


def _found_in(args: Any, kwargs: Any) -> tuple[Any, Subscription | None]:
    """The request among a view's arguments, as the view sees it, and its subscription."""
    for candidate in (*args[1::-1], kwargs.get("request")):
        http = _http_request(candidate)
        if http is not None:
            return candidate, getattr(http, ATTRIBUTE, None)
    raise TypeError(
        "@topic is for views: there is no request among the arguments. (In a class with an attribute `topic`, @topic"
        " below it means that one: call the attribute `hears`.)"
    )


def _http_request(request: Any) -> HttpRequest | None:
    """Django's request, where it is one or (as REST framework's is) around one."""
    inner = request if isinstance(request, HttpRequest) else getattr(request, "_request", None)
    return inner if isinstance(inner, HttpRequest) else None


def _written(normal: Callable[[str], str], text: str, argument: str) -> str:
    try:
        return normal(text)
    except UnicodeEncodeError as error:
        raise ValueError(f"{argument}: {text!r} can't be written as UTF-8.") from error
