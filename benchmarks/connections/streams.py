"""A client that reads one long answer, as it comes or slowly."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from benchmarks.clients import BadAnswerError, SocketConnection, Tally
from benchmarks.load import open_socket

PATIENCE = 120.0


class Piece(msgspec.Struct):
    """The parts of a stream's messages that are checked."""

    id: int
    status: int = 0
    more: bool = False
    chunk: str = ""
    encoding: Literal["base64"] | None = None
    end: bool = False


decode = msgspec.json.Decoder(Piece).decode
decode_array = msgspec.json.Decoder(list[Piece]).decode


class StreamConnection(SocketConnection):
    """Asks once, counts what comes, and reads ``pace`` bytes a second where it has a pace."""

    def __init__(self, path: str, pace: float | None, stall: float) -> None:
        super().__init__(Tally(budget=1), path, 1, arrays=False)
        self.size = 0
        self._pace = pace
        self._stall = stall
        self._began = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._pace is not None and not self.transport.is_closing():
            pause = len(data) / self._pace
            if self._stall and self.size > 2**24:
                pause, self._stall = self._stall, 0.0  # once, it does not read at all
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(pause, self._go_on)

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def text(self, payload: bytes) -> list[int]:
        if not self.opened.done():
            return super().text(payload)
        for piece in decode_array(payload) if payload[0] == ord("[") else [decode(payload)]:
            self._take_piece(piece)
        return []

    def _take_piece(self, piece: Piece) -> None:
        if not self._began:
            if piece.status != 200 or not piece.more:
                raise BadAnswerError(f"No stream: {piece}")
            self._began = True
        elif piece.end:
            self.tally.answer(piece.status or 200, b"", 0.0)
        else:
            self.size += _decoded_size(piece)


def _decoded_size(piece: Piece) -> int:
    if piece.encoding is None:
        return len(piece.chunk.encode())
    return len(piece.chunk) * 3 // 4 - piece.chunk[-2:].count("=")


async def read_stream(
    port: int, path: str, *, pace: float | None = None, stall: float = 0.0
) -> int:
    """Read a stream to its end, and return its size. ``stall``: seconds without reading, in its midst."""
    connection = await open_socket(lambda: StreamConnection(path, pace, stall), port)
    connection.begin()
    try:
        await asyncio.wait_for(connection.tally.drained, PATIENCE)
    finally:
        connection.transport.abort()
    return connection.size
