"""What a subscription is to its reader: a state, a position, and events of which none comes twice. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jsonpatch
from msgspec import UNSET

from wsrequest.errors import InvalidMessage
from wsrequest.protocol.client import data_of, state_of
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import Begun, Said, Since


class Position(NamedTuple):
    """A place in a topic: what a later ``subscribe(url, since=...)`` goes on from."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Event:
    """What a subscription hears.

    ``name`` is the project's word, or one of ``replace`` (``data`` is the new state), ``patch``, ``lost``, ``join`` and
    ``leave``. ``position`` is where the subscription stands after it.
    """

    name: str
    data: Any
    position: Position


class Gap(Exception):
    """An update that does not follow the last one: the state has to be got anew."""


class Following:
    """Turns what the server says of one subscription into events, through any number of connections."""

    def __init__(self, codec: Codec, since: Position | None) -> None:
        self._codec = codec
        self._content_type = ""
        self._rev = 0
        #: The server has said ``lost``, and not yet what holds now.
        self._is_lost = False
        #: Up to where everything was heard.
        self.position = since
        #: What the url answers, as of the last answer, ``replace`` or ``patch``.
        self.state: Any = None
        #: Who is there, by connection.
        self.members: dict[str, Any] = {}

    @property
    def since(self) -> Since | None:
        """What to ask for when subscribing again; after a loss, the present."""
        return None if self.position is None or self._is_lost else Since(*self.position)

    def begin(self, said: Said, begun: Begun) -> list[Event]:
        """The answer to a SUBSCRIBE: what it has to tell one who was subscribed before."""
        self._content_type = said.headers.get("content-type", "")
        self._rev = begun.rev
        self.state = state_of(self._codec, said, self._content_type)
        before, self.position = self.position, Position(begun.epoch, begun.offset)
        events: list[Event] = []
        if before is not None and not begun.recovered:
            if not self._is_lost:
                why = "history" if before.epoch == begun.epoch else "epoch"
                lost = {"from": before.offset + 1, "to": None, "why": why}
                events.append(Event("lost", lost, before))
            events.append(Event("replace", self.state, self.position))
        self._is_lost = False
        return events + self._attendance(begun.presence)

    def hear(self, said: Said) -> list[Event]:
        """The events of a message, none or one. Raises Gap."""
        name = said.event
        if self.position is None or name is UNSET:
            raise InvalidMessage
        if name in ("replace", "patch"):
            return [self._update(name, said)]
        data = data_of(self._codec, said)
        if name in ("join", "leave"):
            if not isinstance(data, dict) or "connection" not in data:
                raise InvalidMessage
            self.members.pop(data["connection"], None)
            if name == "join":
                self.members[data["connection"]] = data
        elif name == "lost":
            self._is_lost = True
        else:
            if said.offset is UNSET:
                raise InvalidMessage
            if said.offset <= self.position.offset:
                return []  # heard on the connection before this one
            self.position = Position(self.position.epoch, said.offset)
        return [Event(name, data, self.position)]

    def _update(self, name: str, said: Said) -> Event:
        assert self.position is not None
        if said.rev != self._rev + 1:
            raise Gap
        self._rev += 1
        if name == "patch":
            data = data_of(self._codec, said)
            try:
                self.state = jsonpatch.apply_patch(self.state, data)
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError):
                raise Gap from None
            return Event(name, data, self.position)
        if said.epoch is not UNSET and said.offset is not UNSET:
            self.position = Position(said.epoch, said.offset)
        self._is_lost = False
        self.state = state_of(self._codec, said, self._content_type)
        return Event(name, self.state, self.position)

    def _attendance(self, present: list[Any] | None) -> list[Event]:
        """Who came and went while nobody listened; the first list is no news."""
        assert self.position is not None
        if present is None:
            return []
        old, is_news = self.members, bool(self.members)
        self.members = {member["connection"]: member for member in present}
        if not is_news:
            return []
        gone = [member for each, member in old.items() if self.members.get(each) != member]
        come = [member for each, member in self.members.items() if old.get(each) != member]
        left = [Event("leave", member, self.position) for member in gone]
        return left + [Event("join", member, self.position) for member in come]
