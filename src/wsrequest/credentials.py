"""The token that a connection's requests bear, until it expires."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.tokens import expiry

#: Seconds after which the clock is looked at again, however far away the expiry is: clocks are set.
LOOK_AGAIN = 600.0


class Credentials:
    """A slot for the connection's Authorization: the handshake's at first, then what ``auth`` says.

    A message may bear a token of its own. ``factory`` makes requests with what holds now; a request keeps the one that
    held when its message arrived.
    """

    __slots__ = ("_expired", "_expiring", "_notice", "_timer", "factory")

    def __init__(
        self,
        factory: RequestFactory,
        notice: float,
        expiring: Callable[[float], None],
        expired: Callable[[], None],
    ) -> None:
        """``expiring`` is called ``notice`` seconds before the token's expiry (or at once where less is left), with the
        seconds that are left; ``expired`` when the slot was emptied for it. To be made on the running loop."""
        self.factory = factory
        self._notice = notice
        self._expiring = expiring
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    def replace(self, token: str | None) -> None:
        """Use this token from now on, or with None no one."""
        self.factory = self.factory.authorized(token)
        self._watch()

    def stop(self) -> None:
        """Watch the clock no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        self.stop()
        authorization = self.factory.authorization
        expires = expiry(authorization.rpartition(" ")[2]) if authorization else None
        if expires is not None:
            self._look(expires, told=False)

    def _look(self, expires: float, *, told: bool) -> None:
        left = expires - time.time()
        if left <= 0:
            self.factory = self.factory.authorized(None)
            self._timer = None
            self._expired()
            return
        if left <= self._notice and not told:
            told = True
            self._expiring(left)
        pause = min(left if told else left - self._notice, LOOK_AGAIN)
        self._timer = asyncio.get_running_loop().call_later(
            pause, lambda: self._look(expires, told=told)
        )
