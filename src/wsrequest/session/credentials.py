"""The token that a connection's requests bear, until it expires; and what their answers say of whose it is."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from msgspec import UNSET

from wsrequest.lifecycle.identity import Identity, Who
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.tokens import expiry

NOBODY = Who(None, by_session=False)

#: Seconds after which the clock is looked at again, however far away the expiry is: clocks are set.
LOOK_AGAIN = 600.0


class Owner(Protocol):
    """Whose credentials they are."""

    def token_expires(self, left: float) -> None:
        """The token holds for so many seconds more; 0 for one that has expired already."""

    def user_forgotten(self) -> None:
        """The user has gone with the token."""

    def token_replaced(self) -> None:
        """There is another token, or none."""


class Credentials:
    """A slot for the connection's Authorization: the handshake's at first, then what ``auth`` says.

    A message may bear a token of its own. ``factory`` makes requests with what holds now; a request keeps the one that
    held when its message arrived.
    """

    __slots__ = ("_notice", "_owner", "_timer", "era", "factory", "who")

    def __init__(self, factory: RequestFactory, notice: float, owner: Owner) -> None:
        """The ``owner`` is told ``notice`` seconds before the token expires, or at once where less is left. To be made
        on the running loop."""
        self.factory = factory
        #: Whose connection it is, as far as requests have shown.
        self.who = NOBODY
        #: Counts how often that, or the token, has changed.
        self.era = 0
        self._notice = notice
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    def replace(self, token: str | None) -> None:
        """Use this token from now on, or with None no one."""
        self._fill(token)
        self._watch()

    def era_of(self, factory: RequestFactory) -> int:
        """The present era; or none, where the token of this factory holds no more."""
        return self.era if factory is self.factory else -1

    def judge(self, era: int, identity: Identity, status: int) -> Who | None:
        """What an answer shows of whose connection it is; None for nothing. Its request was started in this ``era``,
        and bore no credentials of its own."""
        who, by_token = self.who, self.factory.authorization is not None
        if era != self.era:
            return None  # what it shows may hold no more
        if status == 401 and by_token and not who.by_session:
            refused = identity is UNSET or identity.user is None
            return NOBODY if refused and who.user is not None else None
        if identity is UNSET or identity == who:
            return None
        if identity.user is None and by_token and not who.by_session:
            return None  # that a session has no user says nothing of who bears a token
        return identity

    def know(self, who: Who) -> None:
        """This is whose connection it is."""
        self.who = who
        self.era += 1

    def stop(self) -> None:
        """Watch the clock no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fill(self, token: str | None) -> None:
        self.factory = self.factory.authorized(token)
        self.era += 1
        if self.who.user is not None and not self.who.by_session:
            self.know(NOBODY)
            self._owner.user_forgotten()
        self._owner.token_replaced()

    def _watch(self) -> None:
        self.stop()
        authorization = self.factory.authorization
        expires = expiry(authorization.rpartition(" ")[2]) if authorization else None
        if expires is not None:
            self._look(expires, told=False)

    def _look(self, expires: float, *, told: bool) -> None:
        left = expires - time.time()
        if left <= 0:
            self._timer = None
            if not told:
                self._owner.token_expires(0)
            self._fill(None)
            return
        if left <= self._notice and not told:
            told = True
            self._owner.token_expires(left)
        pause = min(left if told else left - self._notice, LOOK_AGAIN)
        self._timer = asyncio.get_running_loop().call_later(
            pause, lambda: self._look(expires, told=told)
        )
