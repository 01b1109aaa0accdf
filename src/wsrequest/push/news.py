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

    __slots__ = ("_publication", "_tails", "offset", "size", "to")

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
