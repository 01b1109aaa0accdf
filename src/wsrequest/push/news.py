"""An event on its way to the subscriptions of one process: read once, and written once in each codec."""

from __future__ import annotations

from msgspec import Raw

from wsrequest import log
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Happening
from wsrequest.push.brokers.base import Position
from wsrequest.push.publication import Publication, publication_in

#: For nobody: an event that can't be read has its offset all the same.
UNREADABLE = Publication("", Raw(b"null"), frozenset())


class News:
    """What subscribers are handed."""

    __slots__ = ("_head", "_message", "_publication", "_tails", "offset", "size", "to")

    def __init__(self, topic: str, position: Position, payload: bytes) -> None:
        try:
            self._publication = publication_in(payload)
        except ValueError:
            log.event_unreadable(topic, position)
            self._publication = UNREADABLE
        self.offset = position.offset
        #: For whom it is, primary keys as strings; None for everybody.
        self.to = self._publication.to
        #: About as many bytes as one subscriber is sent.
        self.size = len(payload)
        self._tails: dict[str, bytes] = {}
        self._head = self._message = b""

    def message(self, head: bytes, codec: Codec) -> bytes:
        """The whole message for a subscription with this head of its own. Clients of one kind number their
        subscriptions alike: those that come one after the other share it."""
        if head != self._head:
            self._head = head
            self._message = head + self.tail(codec)
        return self._message

    def tail(self, codec: Codec) -> bytes:
        """What goes on the wire after the subscription's own head; three fields."""
        tail = self._tails.get(codec.name)
        if tail is None:
            said = self._publication
            happening = Happening(said.event, spliced(said.data, codec), self.offset)
            tail = self._tails[codec.name] = codec.tail(happening)
        return tail


def spliced(text: Raw, codec: Codec) -> Raw | str | bytes:
    """JSON text as ``data`` in this codec; where that can't say the same, the text itself as bytes."""
    data = codec.splice(bytes(text))
    return codec.binary(bytes(text))[0] if data is None else data
