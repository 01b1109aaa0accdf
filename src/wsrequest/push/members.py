"""Who is subscribed to a topic: what a member is, and the question from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from asgiref.sync import sync_to_async
from msgspec import Raw, Struct

from wsrequest.errors import ConfigurationError
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Happening
from wsrequest.push.brokers import broker_of
from wsrequest.push.naming import topic_at
from wsrequest.push.news import spliced
from wsrequest.push.topics import options_of

if TYPE_CHECKING:
    from wsrequest.push.sending import Url

#: The ``info`` of a member of whom the project says nothing.
NOTHING = Raw(b"null")


class Member(Struct, gc=False):
    """A connection that is subscribed to a topic, as it is told to others: its id, the primary key of its user as a
    string (None for nobody), and what the project says of it, as JSON text."""

    connection: str
    user: str | None
    info: Raw


class _Named(Struct, gc=False):
    connection: str


_encoder = msgspec.json.Encoder()
_connections = msgspec.json.Decoder(_Named)
_members = msgspec.json.Decoder(dict[str, Any])


def encoded_member(member: Member) -> bytes:
    """As brokers keep it, and JSON subscribers get it."""
    return _encoder.encode(member)


def connection_in(member: bytes | Raw) -> str:
    """The id of the connection. Raises ValueError for what is no member."""
    return _connections.decode(member).connection


class Change:
    """Somebody came or went: read once, and written once in each codec."""

    __slots__ = ("_tails", "came", "connection", "member")

    #: How many fields its tail has.
    FIELDS = 2

    def __init__(self, connection: str, member: bytes, *, came: bool) -> None:
        """``member`` is JSON text."""
        self.connection = connection
        self.member = member
        self.came = came
        self._tails: dict[str, bytes] = {}

    def tail(self, codec: Codec) -> bytes:
        """What goes on the wire after the subscription's own head."""
        tail = self._tails.get(codec.name)
        if tail is None:
            name = "join" if self.came else "leave"
            happening = Happening(name, spliced(Raw(self.member), codec))
            tail = self._tails[codec.name] = codec.tail(happening)
        return tail


def presence(url: Url) -> list[dict[str, Any]]:
    """Who is subscribed to this URL now, in whatever process: a list of ``{"connection", "user", "info"}``, in no
    order.

    ``connection`` is the id of a connection, which :func:`~wsrequest.notify` and :func:`~wsrequest.disconnect` take,
    ``user`` the primary key as a ``str`` (None for nobody), ``info`` what the topic's PRESENCE_INFO said of it. The URL
    is as for :func:`~wsrequest.publish`; a name that :func:`~wsrequest.topic` gave to a topic is taken, too.

    Raises ``ConfigurationError`` where the topic's pattern in TOPICS does not say PRESENCE, and ``BrokerUnavailable``
    where the broker does not answer.
    """
    topic = topic_at(url, "url")
    options = options_of(topic)
    if not options.presence:
        raise ConfigurationError(f"WSREQUEST['TOPICS'] does not say PRESENCE for {topic!r}.")
    members = broker_of(options.broker).members(topic)
    return [_members.decode(member) for member in members.values()]


async def apresence(url: Url) -> list[dict[str, Any]]:
    """:func:`presence` for asynchronous code."""
    return await sync_to_async(presence)(url)
