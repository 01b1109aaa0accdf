"""``request.websocket``: what a view may know of the connection by which its request came, and tell it."""

from __future__ import annotations

from http.cookies import Morsel
from typing import Any, Protocol

from wsrequest.events import checked_event, encoded_data
from wsrequest.lifecycle.cookies import CookieJar


class Owner(Protocol):
    """The connection itself."""

    def notify(self, event: str, data: bytes) -> None:
        """Send a notice, whose data is JSON text; any thread may call it. Raises TypeError for what the connection's
        codec can't say."""


class WebSocket:
    """A connection, as views, signal receivers and the HANDSHAKE hook see it. Any thread may use it."""

    __slots__ = ("__weakref__", "_jar", "_owner", "codec", "id", "state")

    def __init__(
        self, id: str, codec: str, owner: Owner | None, jar: CookieJar | None = None
    ) -> None:
        """``owner`` is None where the client did not negotiate a subprotocol: it hears only what it asked for."""
        #: What tells this connection from every other one, in any process.
        self.id = id
        #: "json" or "msgpack".
        self.codec = codec
        #: Whatever the application wants to keep for as long as the connection lives. Requests of one connection run
        #: at the same time: it is a plain dict, and has no lock.
        self.state: dict[str, Any] = {}
        self._owner = owner
        self._jar = jar

    def cookies_set(self) -> list[Morsel[str]]:
        """The cookies that responses on this connection have set since its handshake, and which a browser at the other
        end therefore does not have: for each the last word, deletions too, with all attributes. What the present
        request sets is not among them yet.

        HttpOnly values are: show them to nobody. :class:`wsrequest.contrib.cookies.CookieHandover` gives them to the
        browser.
        """
        return [] if self._jar is None else self._jar.set_since_handshake()

    def hang_up(self) -> None:
        """The connection is gone: its client hears nothing any more. For the session, not for applications."""
        self._owner = None

    def notify(self, event: str, data: Any = None) -> bool:
        """Send ``{"event", "data"}`` to this connection, and to no other.

        ``data`` is anything that ``DjangoJSONEncoder`` takes. Returns False where the client can't hear it: it
        negotiated no subprotocol, or is gone. (True does not say that it arrived.) A client that does not read is not
        waited for: once MAX_OUTBOX_BYTES are on their way to it, it is closed (4102) rather than left without a notice.

        Raises ValueError for a name that is empty or belongs to subscriptions, for text that can't be UTF-8, and for
        NaN and circles in the data; TypeError for a name that is no ``str``, and for data that can't be JSON.
        """
        name, encoded = checked_event(event), encoded_data(data)
        owner = self._owner
        if owner is None:
            return False
        owner.notify(name, encoded)
        return True

    def __repr__(self) -> str:
        return f"<WebSocket {self.id}>"
