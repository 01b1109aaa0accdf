"""Opening a WebSocket, and what it means where that fails."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection as Socket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from wsrequest.client.options import Target, seconds_in
from wsrequest.errors import InvalidMessage
from wsrequest.protocol.client import ClientConnection, after_close, subprotocols
from wsrequest.protocol.messages import Said

OPEN_TIMEOUT = 20.0
CLOSE_TIMEOUT = 5.0

#: HTTP statuses by which a server, or a proxy in front of it, says "not now".
NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})


class Failure(NamedTuple):
    """An error before it is raised: each who waits raises one of its own."""

    kind: type[httpx.TransportError]
    text: str

    def error(self) -> httpx.TransportError:
        return self.kind(self.text)


BYE = Failure(httpx.ReadError, "This connection was closed by aclose()")


class Refused(Exception):
    """No connection. ``is_final``: the same attempt would fail again. ``retry_after``: seconds, the server's word."""

    def __init__(self, failure: Failure, *, is_final: bool, retry_after: float = 0) -> None:
        super().__init__(failure.text)
        self.failure = failure
        self.is_final = is_final
        self.retry_after = retry_after


class _Connect(connect):
    """A redirect is not followed: cookies and token are for this server, and requests are for this host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(target: Target, cookie: str) -> tuple[Socket, ClientConnection, list[Said]]:
    """An open connection, after its hello; and what the server has said already. Raises Refused."""
    try:
        token = await target.current_token()
    except Exception as error:
        failure = Failure(httpx.ConnectError, f"The token could not be got: {error!r}")
        raise Refused(failure, is_final=True) from error
    headers = dict(target.headers) | ({"Cookie": cookie} if cookie else {})
    offered = [Subprotocol(each) for each in subprotocols(target.codec, token)]
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            socket = await _Connect(
                target.url,
                additional_headers=headers,
                origin=target.origin,  # type: ignore[arg-type]  # a NewType of str
                subprotocols=offered,
                compression=None,
                max_size=None,
                ping_interval=None,
                close_timeout=CLOSE_TIMEOUT,
                open_timeout=None,
                ssl=target.ssl,
                proxy=target.proxy,
                user_agent_header=None if "user-agent" in map(str.lower, headers) else USER_AGENT,
            )
            try:
                return socket, *await _hello(target, socket)
            except BaseException:
                socket.transport.abort()
                raise
    except InvalidStatus as error:
        raise _refused(target, error) from error
    except (
        OSError,
        EOFError,
        ValueError,
        WebSocketException,
    ) as error:  # a TimeoutError is an OSError
        text = f"No connection to {target.url}: {_words(error)}"
        raise Refused(Failure(httpx.ConnectError, text), is_final=False) from error


USER_AGENT = f"django-websocket-request python-httpx/{httpx.__version__}"


async def _hello(target: Target, socket: Socket) -> tuple[ClientConnection, list[Said]]:
    clock = asyncio.get_running_loop().time
    state = ClientConnection(target.codec, clock())
    try:
        first = state.receive(await socket.recv(), clock())
    except ConnectionClosed:
        raise closed_by(socket) from None
    except InvalidMessage:
        first = []
    if state.hello is None:
        text = f"{target.url} opens a WebSocket, but does not speak {target.codec.subprotocol}"
        raise Refused(Failure(httpx.RemoteProtocolError, text), is_final=True)
    return state, first


async def close(socket: Socket) -> None:
    """What waits to be read is in the way of the server's own close."""

    async def drain() -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()

    await asyncio.gather(socket.close(), drain())


def closed_by(socket: Socket) -> Refused:
    """What it means that the server has closed the connection."""
    code, reason = socket.close_code or 1006, socket.close_reason
    text = f"The server closed the connection with {code}" + (f": {reason}" if reason else "")
    failure = Failure(httpx.RemoteProtocolError, text)
    return Refused(failure, is_final=after_close(code) == "never")


def _refused(target: Target, error: InvalidStatus) -> Refused:
    response = error.response
    body = bytes(response.body or b"").decode("utf-8", "replace").strip()
    said = f": {body[:200]}" if body and "<" not in body[:1] else ""
    if location := response.headers.get("Location"):
        said = f", to {location}: write that address"
    text = f"{target.url} answers {response.status_code}{said}"
    retry_after = seconds_in(response.headers.get("Retry-After"))
    is_final = response.status_code not in NOT_NOW
    return Refused(Failure(httpx.ConnectError, text), is_final=is_final, retry_after=retry_after)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
