"""The ways for a token to come to a message."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.client import SUBPROTOCOL, Peer, connect
from tests.support.server import ServerProcess, ServerThread
from wsrequest.session.registry import registry
from wsrequest.session.session import Session

WAYS = ("handshake", "subprotocol", "auth", "token", "header")


def token_entry(token: str) -> str:
    """As a browser offers it among the subprotocols."""
    return "wsrequest.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@asynccontextmanager
async def opened(
    server: ServerProcess | ServerThread,
    scheme: str = "JWT",
    *,
    handshake: str | None = None,
    subprotocol: str | None = None,
    **options: Any,
) -> AsyncIterator[Peer]:
    """A connection whose handshake bears these tokens, as our own page would open it."""
    if handshake is not None:
        options["headers"] = {"Authorization": f"{scheme} {handshake}"}
    if subprotocol is not None:
        options["subprotocols"] = [SUBPROTOCOL, token_entry(subprotocol)]
    async with connect(server.ws, **{"origin": server.http} | options) as peer:
        yield peer


async def replace_token(peer: Peer, token: str | None) -> None:
    await peer.send({"id": "auth", "auth": token})
    assert await peer.answer("auth") == {"id": "auth", "status": 204, "headers": {}}


async def ask(
    server: ServerProcess | ServerThread, way: str, scheme: str, token: str, url: str
) -> dict[str, Any]:
    """The answer to a GET on a connection of its own, with the token brought this way."""
    at_opening = {way: token} if way in ("handshake", "subprotocol") else {}
    message: dict[str, Any] = {}
    if way == "token":
        message["token"] = token
    if way == "header":
        message["headers"] = {"Authorization": f"{scheme} {token}"}
    async with opened(server, scheme, **at_opening) as peer:
        if way == "auth":
            await replace_token(peer, token)
        return await peer.request(url, **message)


def session_of(peer: Peer) -> Session:
    """The server's side of a connection, where the server is in this process."""
    assert peer.hello is not None
    (session,) = (
        member
        for member in registry.members
        if isinstance(member, Session) and member.id == peer.hello["data"]["connection"]
    )
    return session


def cookie_of(peer: Peer) -> dict[str, str]:
    """The cookies of a connection, as no client could read them; to be sent with another handshake."""
    return {"Cookie": session_of(peer).jar.header_for("/", secure=False)}
