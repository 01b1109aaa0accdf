"""What a url answers, as the state that clients hold; and what turns one state into another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import UNSET

from wsrequest.lifecycle.response import Reply
from wsrequest.livequery.delta import SAME, delta
from wsrequest.protocol.codec import Codec, Encoding


class Update(NamedTuple):
    """What a client is sent for its next state: event, ``data`` and ``encoding``."""

    event: str
    data: Any
    encoding: Encoding


class Answer:
    """The body of an answer. It never changes, so an audience shares one."""

    __slots__ = ("_updates", "codec", "data", "encoding")

    def __init__(self, reply: Reply, codec: Codec) -> None:
        """``codec`` is the one that the reply was made for."""
        self.data = reply.data
        self.encoding = reply.encoding
        self.codec = codec
        # By the id of the state that it starts from, which is kept with it: ids are used again.
        self._updates: dict[int, tuple[Answer, Update | None]] = {}

    def same_as(self, other: Answer) -> Answer:
        """This one where both say the same, byte for byte; else the other."""
        return self if (self.data, self.encoding) == (other.data, other.encoding) else other

    def compare(self, states: Iterable[Answer]) -> None:
        """Find the shortest way from each of these states to this one. It takes its time: not for the event loop."""
        for state in states:
            self._updates[id(state)] = (state, self._found(state))

    def update_from(self, state: Answer) -> Update | None:
        """What brings a client from this state to the present one; None where it is there."""
        if state is self:
            return None
        known = self._updates.get(id(state))
        return self._whole() if known is None else known[1]

    def forget(self) -> None:
        """No client will be brought to this state any more: let go of the former ones."""
        self._updates.clear()

    def _found(self, state: Answer) -> Update | None:
        patch = delta(state, self)
        if patch is SAME:
            return None
        return self._whole() if patch is None else Update("patch", patch.ops, UNSET)

    def _whole(self) -> Update:
        return Update("replace", self.data, self.encoding)
