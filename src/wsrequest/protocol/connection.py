"""One peer's state: which exchanges are open, and when the other side was last heard.

The server's side of ``PROTOCOL.md``. It does no I/O: :meth:`Connection.receive` turns a frame into events,
the ``send_*`` methods turn answers into encoded messages, and time comes in as a number
(as in https://sans-io.readthedocs.io and websockets' ``protocol.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any, NamedTuple

from msgspec import UNSET, Raw, UnsetType

from wsrequest.errors import (
    DuplicateId,
    GoingAway,
    InvalidField,
    MessageError,
    RateLimited,
    WSRequestError,
)
from wsrequest.protocol.codec import Codec, Encoding, Limits
from wsrequest.protocol.messages import (
    Auth,
    Cancel,
    Chunk,
    ClientMessage,
    Control,
    End,
    Event,
    Notice,
    Ping,
    Pong,
    Request,
    Response,
    Subscribed,
    check_token,
)
from wsrequest.protocol.rate import TokenBucket

ExchangeId = int | str | None

#: How many times its burst a peer may send before the connection is closed for it.
FLOOD = 10


class InOrder(bytes):
    """An answer without an id, encoded. It goes out when all messages without an id before its own were answered."""


class Close(NamedTuple):
    """The peer may not go on: close the connection with this code."""

    code: int


#: What a message asks for: start a request, cancel one, take over a token, close, send these bytes (an encoded
#: message) back; or nothing.
Received = Request | Cancel | Auth | Close | InOrder | bytes | None


class Connection:
    """The state of one connection, from the server's side.

    An exchange is open from the :class:`Request` that :meth:`receive` returned until its answer, or the end of its
    stream, was encoded here; its id can't be used for another one in between. Requests without an id are not
    tracked: they are answered in order.
    """

    __slots__ = (
        "_bucket",
        "_burst",
        "_flood",
        "_last_heard",
        "_ping_interval",
        "_rate",
        "codec",
        "leaving",
        "limits",
        "negotiated",
        "on_refusal",
        "open",
    )

    def __init__(
        self,
        codec: Codec,
        limits: Limits,
        *,
        negotiated: bool,
        now: float,
        ping_interval: float | None,
        rate: float | None = None,
        burst: int = 1,
    ) -> None:
        """``negotiated``: the client asked for a subprotocol, so it takes arrays and control messages.
        ``now`` and ``ping_interval`` are seconds on the caller's clock; ``rate`` is messages a second, with
        ``burst`` at once."""
        self.codec = codec
        self.limits = limits
        self.negotiated = negotiated
        #: Ids that are in use. Made anew when the first one comes: most connections are idle, and a set is large.
        self.open: set[int | str] = _NO_IDS
        self._last_heard = now
        self._ping_interval = ping_interval if negotiated else None
        self._rate = rate
        self._burst = burst
        # Made when the first message comes. The second one counts only what was one too many already.
        self._bucket: TokenBucket | None = None
        self._flood: TokenBucket | None = None
        #: Told of each message that was refused.
        self.on_refusal: Callable[[WSRequestError], None] | None = None
        #: Set when this side is about to close: the seconds after which a request refused now may be sent elsewhere.
        self.leaving: int | None = None

    def receive(self, frame: str | bytes, now: float) -> Iterator[Received]:
        """What each message of the frame asks for, in their order and made one by one. Raises nothing, whatever the
        frame holds."""
        self.heard(now)
        for message in self.codec.decode(frame, self.limits, self._most(now)):
            event = None if self._rate is None else self._limited(message, now)
            event = event or self._event(message)
            yield event
            if isinstance(event, Close):
                return

    def heard(self, now: float) -> None:
        """The peer is known to be there."""
        self._last_heard = now

    def deadline(self) -> float | None:
        """When a peer that stays silent is to be closed with 4201; None where nobody promised to speak."""
        if self._ping_interval is None:
            return None
        return self._last_heard + 2 * self._ping_interval

    def send_hello(self, data: dict[str, Any]) -> bytes:
        """The first message to a client that negotiated a subprotocol."""
        return self.send_control("hello", data)

    def send_control(self, name: str, data: dict[str, Any]) -> bytes:
        """About the connection itself; only for a client that negotiated a subprotocol."""
        return self.codec.encode(Control(control=name, data=data))

    def send_notice(self, event: str, data: Any) -> bytes:
        """What the application tells this connection; only for a client that negotiated a subprotocol."""
        return self.codec.encode(Notice(event=event, data=data))

    def send_accepted(self, id: ExchangeId) -> bytes:
        """The answer to ``auth``: 204."""
        return self.codec.encode(Response(id=UNSET if id is None else id, status=204, headers={}))

    def send_response(
        self,
        id: ExchangeId,
        status: int,
        headers: dict[str, str],
        data: Raw | str | bytes | UnsetType = UNSET,
        encoding: Encoding = UNSET,
        cookies: dict[str, dict[str, str | int]] | UnsetType = UNSET,
        *,
        more: bool = False,
        subscription: Subscribed | UnsetType = UNSET,
    ) -> bytes:
        """The answer, or with ``more`` the head of a stream. Closes the exchange unless a stream or a subscription
        follows."""
        message = self.codec.encode(
            Response(
                id=UNSET if id is None else id,
                status=status,
                headers=headers,
                data=data,
                encoding=encoding,
                cookies=cookies,
                more=more,
                subscription=subscription,
            )
        )
        if not more and subscription is UNSET:
            self._close(id)  # only now: what can't be encoded must still be answered
        return message

    def send_chunk(self, id: ExchangeId, chunk: str | bytes, encoding: Encoding = UNSET) -> bytes:
        """A piece of a stream."""
        return self.codec.encode(
            Chunk(id=UNSET if id is None else id, chunk=chunk, encoding=encoding)
        )

    def send_event(self, event: Event) -> bytes:
        """What one subscription alone is sent."""
        return self.codec.encode(event)

    def send_ended(
        self,
        id: int | str,
        status: int,
        data: Raw | str | bytes | UnsetType = UNSET,
        encoding: Encoding = UNSET,
    ) -> bytes:
        """The end of a subscription, with what its url answers now. Closes the exchange."""
        self._close(id)
        return self.codec.encode(End(id=id, end=True, status=status, data=data, encoding=encoding))

    def send_end(self, id: ExchangeId, error: WSRequestError | None = None) -> bytes:
        """The end of a stream or subscription, with the error that cut it short. Closes the exchange."""
        self._close(id)
        end = End(id=UNSET if id is None else id, end=True)
        if error is not None:
            end.status, end.data = error.status, error.as_data()
        return self.codec.encode(end)

    def send_error(self, id: ExchangeId, error: WSRequestError) -> bytes:
        """The answer to a request that got none from its view. Closes the exchange."""
        self._close(id)
        return self._encoded(UNSET if id is None else id, error)

    def _most(self, now: float) -> int | None:
        """How many messages of one frame are looked at: no more than it takes to close the connection for them."""
        if self._rate is None:
            return None
        if self._bucket is None or self._flood is None:
            self._bucket = TokenBucket(self._rate, self._burst, now)
            self._flood = TokenBucket(self._rate, (FLOOD - 1) * self._burst, now)
        return self._bucket.left(now) + self._flood.left(now) + 1

    def _limited(self, message: ClientMessage | MessageError, now: float) -> Received:
        """What becomes of a message that is one too many: requests are refused. What ends something, or asks for
        nothing, is counted, too, but served."""
        if self._bucket is None or self._flood is None or not (wait := self._bucket.take(now)):
            return None
        if self._flood.take(now):
            return Close(4029)
        if isinstance(message, Request | Auth | MessageError):
            return self._refuse(RateLimited(ceil(wait), message.id))
        return None

    def _event(self, message: ClientMessage | MessageError) -> Received:
        if isinstance(message, Request):
            if message.id is None or message.id not in self.open:
                if self.leaving is not None:
                    return self._refuse(GoingAway(self.leaving, message.id))
                if message.id is not None:
                    self.open = self.open or set()
                    self.open.add(message.id)
                return message
            return self._error(None, DuplicateId(message.id))
        if isinstance(message, Cancel):
            return message
        if isinstance(message, Auth):
            return self._checked(message)
        if isinstance(message, Ping):
            return self.codec.encode(Pong(pong=message.ping))
        if isinstance(message, MessageError):
            return self._refuse(message)
        return None

    def _checked(self, message: Auth) -> Received:
        """``auth`` is answered at once, before requests that were sent earlier: it needs an id to be told by."""
        if message.id is None:
            return self._refuse(InvalidField("id", "auth needs one", None))
        if message.id in self.open:
            return self._error(None, DuplicateId(message.id))
        try:
            if message.auth is not None:
                check_token("auth", message.auth, message.id)
        except MessageError as error:
            return self._refuse(error)
        return message

    def _refuse(self, error: MessageError) -> bytes:
        if error.id is None:
            return InOrder(self._error(UNSET, error))
        if error.id in self.open:
            return self._error(None, DuplicateId(error.id))
        return self._error(error.id, error)

    def _error(self, id: ExchangeId | UnsetType, error: MessageError) -> bytes:
        if self.on_refusal is not None:
            self.on_refusal(error)
        return self._encoded(id, error)

    def _encoded(self, id: ExchangeId | UnsetType, error: WSRequestError) -> bytes:
        headers = _ERROR_HEADERS
        if error.retry_after is not None:
            headers = headers | {"retry-after": str(error.retry_after)}
        return self.codec.encode(
            Response(id=id, status=error.status, headers=headers, data=error.as_data())
        )

    def _close(self, id: ExchangeId) -> None:
        if id is not None:
            ids = self.open or set()
            ids.remove(id)
            self.open = ids or _NO_IDS


_NO_IDS: Any = frozenset()
_ERROR_HEADERS = {"content-type": "application/json"}
