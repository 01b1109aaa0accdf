"""Frames that no WebSocket client sends: each ends its connection with a code that says why, and no other."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.support.client import PATIENCE, SUBPROTOCOL, connect
from tests.support.server import ServerThread

MASK = b"\0\0\0\0"
WRONG, NO_TEXT, TOO_LARGE = 1002, 1007, 1009

TEXT, BINARY, PING = 0x81, 0x82, 0x89
COMPRESSED = 0x40
MIB = 2**20


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    """One that inflates what it is sent, as uvicorn does where nobody says otherwise."""
    running = ServerThread(ws_per_message_deflate=True).start()
    yield running
    running.stop()


def frame(first: int, payload: bytes = b"") -> bytes:
    """Masked, by zeros."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = b"\xfe" + size.to_bytes(2)
    else:
        length = b"\xff" + size.to_bytes(8)
    return bytes([first]) + length + MASK + payload


def deflated(number: int) -> bytes:
    """A message of so many bytes, in a thousandth of them."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(b'"' + b" " * (number - 2) + b'"') + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(b"\0\0\xff\xff")


@asynccontextmanager
async def wire(
    server: ServerThread,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has been upgraded, and heard its hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /ws/ HTTP/1.1\r\nHost: {server.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"permessage-deflate" in head
        await received(reader)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def received(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first byte of the server's next frame, and what it carries."""
    first, size = await reader.readexactly(2)
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    return first, await reader.readexactly(size)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"\x81\x02{}", WRONG, id="not-masked"),
        pytest.param(frame(TEXT | 0x20, b"{}"), WRONG, id="reserved-bit"),
        pytest.param(frame(0x83), WRONG, id="unknown-kind"),
        pytest.param(frame(0x8B), WRONG, id="unknown-kind-of-control"),
        pytest.param(frame(0x80), WRONG, id="goes-on-with-nothing"),
        pytest.param(frame(0x01, b"{") + frame(TEXT, b"{}"), WRONG, id="begun-within-another"),
        pytest.param(frame(0x09), WRONG, id="part-of-a-ping"),
        pytest.param(frame(PING, b"x" * 126), WRONG, id="long-ping"),
        pytest.param(frame(0x88, b"\x03"), WRONG, id="half-a-close-code"),
        pytest.param(frame(0x88, (1005).to_bytes(2)), WRONG, id="a-code-that-nobody-may-send"),
        pytest.param(frame(TEXT, b"\xff\xfe"), NO_TEXT, id="no-utf-8"),
        pytest.param(b"\x82\xff" + b"\x7f" * 8 + MASK, TOO_LARGE, id="claims-to-be-huge"),
        pytest.param(frame(TEXT | COMPRESSED, deflated(20 * MIB)), TOO_LARGE, id="a-bomb"),
        pytest.param(frame(TEXT | COMPRESSED, b"\xff" * 9), None, id="not-deflated"),
    ],
)
async def test_it_is_closed_and_says_why(
    server: ServerThread, sent: bytes, code: int | None
) -> None:
    async with connect(server.ws) as neighbour, wire(server) as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            first, payload = await received(reader)
            while first & 0x0F != 0x08:
                first, payload = await received(reader)
        found = int.from_bytes(payload[:2])
        assert found == code if code else found in (WRONG, NO_TEXT)
        assert (await neighbour.request("/hello/"))["data"] == "hello"
    # uvicorn may say so with a traceback.
    assert all(each.startswith("Invalid UTF-8") for each in server.complaints())


async def test_what_is_small_only_until_it_is_inflated(server: ServerThread) -> None:
    """What uvicorn takes, and MAX_MESSAGE_BYTES does not."""
    async with wire(server) as (reader, writer):
        writer.write(frame(TEXT | COMPRESSED, deflated(4 * MIB)))
        async with asyncio.timeout(PATIENCE):
            first, payload = await received(reader)
        assert first & 0x0F == 0x01
        if first & COMPRESSED:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
        assert b"message_too_large" in payload
