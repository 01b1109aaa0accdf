"""The open connections of this process, by network address and by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsrequest.errors import TooManyConnections

if TYPE_CHECKING:
    from wsrequest.conf import Settings
    from wsrequest.session import Session


class Registry:
    """Who is connected to this process, whatever transport it came by."""

    def __init__(self) -> None:
        self.sessions: set[Session] = set()
        self._by_address: dict[str, set[Session]] = {}
        self._by_user: dict[str, set[Session]] = {}

    def admit(self, session: Session, settings: Settings) -> None:
        """Take up a connection, from the handshake on. Raises :class:`~wsrequest.errors.TooManyConnections`."""
        neighbours = self._by_address.get(session.address or "", ())
        if _at_limit(len(self.sessions), settings.max_connections) or (
            session.address and _at_limit(len(neighbours), settings.max_connections_per_address)
        ):
            raise TooManyConnections
        self.sessions.add(session)
        if session.address:
            self._by_address.setdefault(session.address, set()).add(session)

    def identify(self, session: Session, user: str | None, settings: Settings) -> bool:
        """The connection is this user's from now on, or nobody's. False where it is one too many of the user's."""
        if session.identity is not None:
            _remove(self._by_user, session.identity, session)
        session.identity = user
        if user is None:
            return True
        others = self._by_user.setdefault(user, set())
        fits = not _at_limit(len(others), settings.max_connections_per_user)
        others.add(session)
        return fits

    def leave(self, session: Session) -> None:
        """The connection is gone."""
        self.sessions.discard(session)
        if session.address:
            _remove(self._by_address, session.address, session)
        if session.identity is not None:
            _remove(self._by_user, session.identity, session)


#: The process's own.
registry = Registry()


def _at_limit(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


def _remove(groups: dict[str, set[Session]], key: str, session: Session) -> None:
    group = groups.get(key)
    if group is not None:
        group.discard(session)
        if not group:
            del groups[key]
