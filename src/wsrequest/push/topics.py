"""Which topic a URL is, how a view names another one, and what holds for topics of a pattern."""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from wsrequest.conf import get_settings, when_changed
from wsrequest.push.brokers.base import Retention

#: What ``reverse()`` leaves as it is (django.urls.resolvers; RFC 3986, 3.3), beside letters and digits.
_SAFE = "!$&'()*+,;=/~:@"

#: Topics whose options are remembered.
REMEMBERED = 4096


@functools.lru_cache(maxsize=REMEMBERED)
def topic_of(url: str) -> str:
    """The topic of this URL's subscribers: its path, spelled as ``reverse()`` spells it. Queries and fragments don't
    count. It begins with a slash, whatever the URL begins with: what does not is a name that only views give."""
    path = url.partition("#")[0].partition("?")[0]
    topic = quote(unquote_to_bytes(path), safe=_SAFE)
    return topic if topic[:1] == "/" else f"/{topic}"


def own_topic(name: str) -> str:
    """The topic of a name that is no URL: spelled in the same letters, and no two names alike."""
    return quote(name, safe=_SAFE)


class TopicOptions(Struct, frozen=True):
    """What ``WSREQUEST["TOPICS"]`` says of topics of one pattern."""

    #: Events that are kept for who comes back, ...
    history_size: int = 256
    #: ... and seconds for which they are.
    history_ttl: float = 300
    #: Whether its subscribers are told of to those who want to see who is there; ...
    presence: bool = False
    #: ... and the dotted path to a callable that is given the request of each, and returns what else is told of it.
    presence_info: str | None = None
    #: What happens to a subscriber that does not read: it is sent the present state in place of what it missed, only
    #: ever the latest event, or it is closed (4102).
    slow: Literal["resync", "latest", "close"] = "resync"
    #: Which of BROKERS carries them.
    broker: str = "default"

    @property
    def retention(self) -> Retention:
        return Retention(self.history_size, self.history_ttl)


@functools.lru_cache(maxsize=REMEMBERED)
def options_of(topic: str) -> TopicOptions:
    """What the first pattern says that the topic matches; the defaults where it matches none."""
    for pattern, configured in get_settings().topics.items():
        if fnmatchcase(topic, pattern):
            return TopicOptions(**{name.lower(): value for name, value in configured.items()})
    return TopicOptions()


when_changed(options_of.cache_clear)
