"""What topics are called by those who publish, and by views that name the topic which their subscribers hear.

A topic is a path, as ``reverse()`` gives it, or a name of the project's own that begins with ``@``. No URL is spelled
so: nobody can subscribe to an ``@`` name but by a view that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.utils.functional import Promise

from wsrequest.push.marks import Mark, Subscription
from wsrequest.push.topics import own_topic, topic_of


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


class Topic(Mark):
    """What :func:`topic` gives: a decorator for views, and an attribute for classes of views."""

    word = "topic"
    attribute = "hears"

    def __init__(self, name: Callable[[Any], Any]) -> None:
        if not callable(name):
            raise TypeError(
                f"topic() takes a callable that is given the request, not {type(name).__name__}."
            )
        self._name = name

    def before(self, request: Any, subscription: Subscription) -> None:
        name = self._name
        if iscoroutinefunction(name):
            name = async_to_sync(name)
        subscription.hear(topic_named(name(request)))

    async def abefore(self, request: Any, subscription: Subscription) -> None:
        name = self._name
        if not iscoroutinefunction(name):
            name = sync_to_async(name)  # ``request.user`` may ask the database
        await subscription.ahear(topic_named(await name(request)))


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


def _written(normal: Callable[[str], str], text: str, argument: str) -> str:
    try:
        return normal(text)
    except UnicodeEncodeError as error:
        raise ValueError(f"{argument}: {text!r} can't be written as UTF-8.") from error
