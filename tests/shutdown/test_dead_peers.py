"""A silent client over real servers: it is found, and the server's own pings don't speak for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from tests.shutdown.servers import KINDS, PATIENCE, Server, server
from tests.support.client import SUBPROTOCOL, connect

HANDSHAKE = f"""\
GET /ws/ HTTP/1.1
Host: 127.0.0.1
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
Sec-WebSocket-Protocol: {SUBPROTOCOL}

""".replace("\n", "\r\n")

CLOSED_4201 = b"\x88\x02" + (4201).to_bytes(2)


class Pinged(ClientConnection):
    """Counts the server's pings. They are answered, as every WebSocket client does by itself."""

    pings = 0

    def process_event(self, event):
        self.pings += isinstance(event, Frame) and event.opcode is Opcode.PING
        super().process_event(event)


async def dead_peer(it: Server) -> None:
    """Says nothing after the handshake, and answers nothing, not even the close that it is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
    writer.write(HANDSHAKE.encode())
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(CLOSED_4201)
    writer.close()


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "daphne", "granian"])
async def test_a_silent_client_is_closed_whatever_it_answers_to_pings(name: str) -> None:
    kind = KINDS[name]
    settings = {"PING_INTERVAL": kind.heartbeat, "MAX_CONNECTIONS": 2}
    async with server(name, *kind.pings, **settings) as (it, _):
        async with connect(it.ws, create_connection=Pinged) as polite:
            dead = asyncio.create_task(dead_peer(it))
            assert await polite.close_code() == 4201
            await dead
            assert isinstance(polite.socket, Pinged)
            assert bool(polite.socket.pings) == bool(kind.pings)
        async with AsyncExitStack() as stack:  # both have left their places
            for _ in range(2):
                peer = await stack.enter_async_context(connect(it.ws))
                await peer.still_answers()
        it.terminate()  # nobody is here: nobody is waited for
        assert await it.ended() == kind.exit_code
