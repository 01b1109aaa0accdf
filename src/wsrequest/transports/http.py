"""What is said by HTTP around a connection: a refusal before it is one, and the answers of endpoints beside WebSockets.

Over ASGI, but for :func:`refusal_headers`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from wsrequest.errors import HandshakeRefused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

TEXT = (b"content-type", b"text/plain; charset=utf-8")
NO_STORE = (b"cache-control", b"no-store")


def refusal_headers(refusal: HandshakeRefused) -> Headers:
    """Of the answer whose body is :func:`text_of` the refusal."""
    again = refusal.retry_after
    return (TEXT,) if again is None else (TEXT, (b"retry-after", str(again).encode()))


def text_of(said: object) -> bytes:
    """A body that a terminal shows on a line of its own."""
    return f"{said}\n".encode()


async def refuse(send: Send, refusal: HandshakeRefused, *, extension: str = "") -> None:
    """Say why there is no connection. ``extension``: ``"websocket."`` where the server can do so before an upgrade."""
    # What is no upgrade is an answer like others, which somebody between might keep.
    headers = refusal_headers(refusal) if extension else (NO_STORE, *refusal_headers(refusal))
    await _say(send, extension, refusal.status, headers, text_of(refusal))


async def answer(send: Send, status: int, said: str, headers: Headers = ()) -> None:
    """Answer with a text, for nobody to keep."""
    await _say(send, "", status, (TEXT, NO_STORE, *headers), text_of(said) if said else b"")


def head(status: int, headers: Headers, *, extension: str = "") -> dict[str, Any]:
    """The message that begins an answer."""
    return {"type": f"{extension}http.response.start", "status": status, "headers": [*headers]}


async def body(receive: Receive, most: int | None) -> bytes:
    """The body of a request, or of a longer one so many bytes. Raises OSError where the client goes meanwhile."""
    found = bytearray()
    while True:
        heard = await receive()
        if heard["type"] != "http.request":
            raise ConnectionResetError
        found += heard.get("body", b"")
        if most is not None and len(found) > most:
            return bytes(found[:most])
        if not heard.get("more_body", False):
            return bytes(found)


async def _say(send: Send, extension: str, status: int, headers: Headers, said: bytes) -> None:
    await send(head(status, headers, extension=extension))
    await send({"type": f"{extension}http.response.body", "body": said})
