"""The open connections of this process, by id, by network address and by user."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from wsrequest.conf import Settings
from wsrequest.errors import ServerLeaving, TooManyConnections


class Member(Protocol):
    """A connection. Its methods are for its own event loop only."""

    #: What tells it from every other one, in any process.
    id: str
    #: The one that it lives on.
    loop: asyncio.AbstractEventLoop
    #: The peer's network address; None where the transport knows none.
    address: str | None
    #: The primary key of its user as a string; None for nobody.
    identity: str | None

    @property
    def switchboard(self) -> object:
        """By whom it is told what is said to connections; there may be several on one loop."""

    def go_away(self, delay: float) -> None:
        """Close (4200) as soon as what is under way has ended; the client is to come back after ``delay`` seconds."""

    def cut_short(self) -> None:
        """Wait for that no longer."""

    def close(self, code: int) -> None:
        """Close with this code, whatever is under way."""

    def tell(self, event: str, data: bytes) -> None:
        """Send a notice, where the client takes any. The data is JSON text."""


class Registry:
    """Who is connected to this process, whatever transport it came by."""

    def __init__(self) -> None:
        self.members: set[Member] = set()
        #: The process is about to end: no new members.
        self.closed = False
        self._by_id: dict[str, Member] = {}
        self._by_address: dict[str, set[Member]] = {}
        self._by_user: dict[str, set[Member]] = {}

    def admit(self, member: Member, settings: Settings) -> None:
        """Take up a connection, from the handshake on. Raises :class:`~wsrequest.errors.TooManyConnections` or
        :class:`~wsrequest.errors.ServerLeaving`."""
        if self.closed:
            raise ServerLeaving
        neighbours = self._by_address.get(member.address or "", ())
        if _at_limit(len(self.members), settings.max_connections) or (
            member.address and _at_limit(len(neighbours), settings.max_connections_per_address)
        ):
            raise TooManyConnections
        self.members.add(member)
        self._by_id[member.id] = member
        if member.address:
            self._by_address.setdefault(member.address, set()).add(member)

    def member(self, id: str) -> Member | None:
        """The connection that has this id, if it is here."""
        return self._by_id.get(id)

    def of_user(self, user: str) -> Collection[Member]:
        """The connections that are this user's, by the primary key as a string."""
        return self._by_user.get(user, ())

    def identify(self, member: Member, user: str | None, settings: Settings) -> bool:
        """The connection is this user's from now on, or nobody's. False where it is one too many of the user's."""
        if member.identity is not None:
            _remove(self._by_user, member.identity, member)
        member.identity = user
        if user is None:
            return True
        others = self._by_user.setdefault(user, set())
        fits = not _at_limit(len(others), settings.max_connections_per_user)
        others.add(member)
        return fits

    def leave(self, member: Member) -> None:
        """The connection is gone."""
        self.members.discard(member)
        self._by_id.pop(member.id, None)
        if member.address:
            _remove(self._by_address, member.address, member)
        if member.identity is not None:
            _remove(self._by_user, member.identity, member)


#: The process's own.
registry = Registry()


def _at_limit(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


def _remove(groups: dict[str, set[Member]], key: str, member: Member) -> None:
    group = groups.get(key)
    if group is not None:
        group.discard(member)
        if not group:
            del groups[key]
