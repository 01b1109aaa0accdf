"""How the tests send requests with a key."""

from __future__ import annotations

from typing import Any

from tests.support.client import Message, Peer, connect
from tests.support.server import ServerThread

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
REPLAYED = "idempotency-replayed"

#: Of a connection in memory, from this site.
HEADERS = ((b"host", b"testserver"), (b"origin", b"http://testserver"))

#: Prefixes of a url: a synchronous view, and its asynchronous twin.
BOTH = ["/", "/a"]


def opened(server: ServerThread, **options: Any) -> Any:
    """A connection from this site: no message needs a CSRF token."""
    return connect(server.ws, origin=server.http, **options)


def post(url: str, *, key: str | None = KEY, id: int = 1, **fields: Any) -> Message:
    return {"id": id, "method": "POST", "url": url, "key": key, **fields}


async def ask(peer: Peer, url: str, **fields: Any) -> Message:
    message = post(url, **fields)
    await peer.send(message)
    return await peer.answer(message["id"])


def is_replay(answer: Message) -> bool:
    assert answer["headers"].get(REPLAYED) in (None, "true")
    return REPLAYED in answer["headers"]


def without_mark(answer: Message) -> Message:
    """The same answer, but for what says that it is not new."""
    headers = {name: value for name, value in answer["headers"].items() if name != REPLAYED}
    return {**answer, "headers": headers}
