"""One peer's state: which exchanges are open, and when the other side was last heard.

The server's side of ``PROTOCOL.md``. It does no I/O: :meth:`Connection.receive` turns a frame into events,
the ``send_*`` methods turn answers into encoded messages, and time comes in as a number
(as in https://sans-io.readthedocs.io and websockets' ``protocol.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import UNSET, Raw, UnsetType

from wsrequest.errors import DuplicateId, MessageError, WSRequestError
from wsrequest.protocol.codec import JSONCodec, Limits
from wsrequest.protocol.messages import Cancel, Chunk, Control, End, Ping, Pong, Request, Response

ExchangeId = int | str | None

#: What a frame asks for: start a request, cancel one, or send these bytes (an encoded message) back.
Event = Request | Cancel | bytes


class Connection:
    """The state of one connection, from the server's side.

    An exchange is open from the :class:`Request` that :meth:`receive` returned until its answer, or the end of its
    stream, was encoded here; its id can't be used for another one in between. Requests without an id are not
    tracked: they are answered in order.
    """

    def __init__(
        self,
        codec: JSONCodec,
        limits: Limits,
        *,
        negotiated: bool,
        now: float,
        ping_interval: float | None,
    ) -> None:
        """``negotiated``: the client asked for a subprotocol, so it takes arrays and control messages.
        ``now`` and ``ping_interval`` are seconds on the caller's clock."""
        self.codec = codec
        self.limits = limits
        self.negotiated = negotiated
        self.open: set[int | str] = set()
        self._last_heard = now
        self._ping_interval = ping_interval if negotiated else None

    def receive(self, frame: str | bytes, now: float) -> Iterator[Event]:
        """What the frame asks for, in its order and made one by one. Raises nothing, whatever the frame holds."""
        self.heard(now)
        for message in self.codec.decode(frame, self.limits):
            event = self._event(message)
            if event is not None:
                yield event

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
        return self.codec.encode(Control(control="hello", data=data))

    def send_response(
        self,
        id: ExchangeId,
        status: int,
        headers: dict[str, str],
        data: Raw | str | UnsetType = UNSET,
        encoding: Literal["base64"] | UnsetType = UNSET,
        cookies: dict[str, dict[str, str | int]] | UnsetType = UNSET,
        *,
        more: bool = False,
    ) -> bytes:
        """The answer, or with ``more`` the head of a stream. Closes the exchange unless a stream follows."""
        message = self.codec.encode(
            Response(
                id=UNSET if id is None else id,
                status=status,
                headers=headers,
                data=data,
                encoding=encoding,
                cookies=cookies,
                more=more,
            )
        )
        if not more:
            self._close(id)  # only now: what can't be encoded must still be answered
        return message

    def send_chunk(
        self, id: ExchangeId, chunk: str, encoding: Literal["base64"] | UnsetType = UNSET
    ) -> bytes:
        """A piece of a stream."""
        return self.codec.encode(
            Chunk(id=UNSET if id is None else id, chunk=chunk, encoding=encoding)
        )

    def send_end(self, id: ExchangeId, error: WSRequestError | None = None) -> bytes:
        """The end of a stream, with the error that cut it short. Closes the exchange."""
        self._close(id)
        end = End(id=UNSET if id is None else id, end=True)
        if error is not None:
            end.status, end.data = error.status, error.as_data()
        return self.codec.encode(end)

    def send_error(self, id: ExchangeId, error: WSRequestError) -> bytes:
        """The answer to a request that got none from its view. Closes the exchange."""
        self._close(id)
        return self._error(UNSET if id is None else id, error)

    def _event(self, message: Request | Cancel | Ping | Pong | MessageError) -> Event | None:
        if isinstance(message, Request):
            if message.id is None:
                return message
            if message.id in self.open:
                return self._error(None, DuplicateId(message.id))
            self.open.add(message.id)
            return message
        if isinstance(message, Cancel):
            return message
        if isinstance(message, Ping):
            return self.codec.encode(Pong(pong=message.ping))
        if isinstance(message, MessageError):
            return self._refuse(message)
        return None

    def _refuse(self, error: MessageError) -> bytes:
        if error.id is None:
            return self._error(UNSET, error)
        if error.id in self.open:
            return self._error(None, DuplicateId(error.id))
        return self._error(error.id, error)

    def _error(self, id: ExchangeId | UnsetType, error: WSRequestError) -> bytes:
        return self.codec.encode(
            Response(id=id, status=error.status, headers=_ERROR_HEADERS, data=error.as_data())
        )

    def _close(self, id: ExchangeId) -> None:
        if id is not None:
            self.open.remove(id)


_ERROR_HEADERS = {"content-type": "application/json"}
