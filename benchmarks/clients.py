"""Two clients that are faster than any server: one WebSocket, and HTTP that is kept alive.

Both are raw ``asyncio`` protocols that send bytes prepared beforehand and check every answer: its
status and its whole body. They parse no more than that.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Sequence
from typing import cast

import msgspec

SUBPROTOCOL = "wsrequest.v1.json"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class BadAnswerError(Exception):
    """A server answered something else than it should."""


class Tally:
    """What has been answered so far, by all connections of one load."""

    def __init__(self, *, budget: int | None = None, lenient: bool = False) -> None:
        self.sent = 0
        self.answered = 0
        self.failed = 0
        self.body: bytes | None = None
        self.latencies: list[float] = []
        self.drained = asyncio.get_running_loop().create_future()
        self._budget = budget
        self._lenient = lenient
        self._stopping = False

    def may_send(self) -> bool:
        """Say whether there is another request to make, and count it as made."""
        if self._stopping or self.sent == self._budget:
            return False
        self.sent += 1
        return True

    def answer(self, status: int, body: bytes, sent_at: float) -> None:
        """Take an answer down: 200, and the same body every time."""
        self.latencies.append(time.perf_counter() - sent_at)
        self.answered += 1
        if status != 200:
            if not self._lenient:
                raise BadAnswerError(f"status {status}: {body[:500]!r}")
            self.failed += 1
        elif self.body is None:
            self.body = body
        elif body != self.body:
            raise BadAnswerError(f"{body[:500]!r} is not {self.body[:500]!r}")

    def settle(self) -> None:
        """Notice that nothing more will be asked and that everything has been answered."""
        over = self._stopping or self.sent == self._budget
        if over and self.answered == self.sent and not self.drained.done():
            self.drained.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.drained.done():
            self.drained.set_exception(error)

    def stop(self) -> None:
        """Ask nothing more; ``drained`` is done when the last answer is there."""
        self._stopping = True
        self.settle()


class Connection(asyncio.Protocol):
    """What the two clients share: a transport, and errors that end the whole load."""

    transport: asyncio.Transport
    tally: Tally
    error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.consume(data)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it ends the load
            self.error = error
            self.transport.abort()
        else:
            self.tally.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = self.error or exc or ConnectionError("The server closed the connection.")
        self.tally.fail(self.error)

    def consume(self, data: bytes) -> None:
        raise NotImplementedError


# --- WebSocket


class Answer(msgspec.Struct):
    """The part of a response message that is checked."""

    id: int
    status: int
    data: msgspec.Raw


decode_answers = msgspec.json.Decoder(list[Answer]).decode
decode_answer = msgspec.json.Decoder(Answer).decode


class SocketConnection(Connection):
    """Requests as messages, ``in_flight`` of them at a time.

    With ``arrays``, requests that are due at the same moment go out as one frame with an array of
    messages; otherwise each has a frame of its own. Frames that are due together are written
    together, as a kernel would join them.
    """

    #: Where the server answers WebSockets.
    target = b"/ws/"
    #: The handshake's Cookie header, where it has one.
    cookie = ""

    def __init__(self, tally: Tally, path: str, in_flight: int, *, arrays: bool) -> None:
        self.tally = tally
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrays = arrays
        self._messages = [b""] + [
            msgspec.json.encode({"id": slot, "method": "GET", "url": path})
            for slot in range(1, in_flight + 1)
        ]
        self._frames = [frame(TEXT, message) for message in self._messages]
        self._sent_at = [0.0] * (in_flight + 1)
        self._buffer = bytearray()
        self._accept = b""

    def open(self, port: int) -> None:
        """Ask for the upgrade; ``opened`` is done when the server has said hello."""
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        cookie = b"Cookie: %s\r\n" % self.cookie.encode() if self.cookie else b""
        self.transport.write(
            b"GET %s HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"%s"
            b"User-Agent: wsrequest-bench\r\n"
            b"Accept: */*\r\n"
            b"Origin: http://127.0.0.1:%d\r\n"
            b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: %s\r\n"
            b"Sec-WebSocket-Protocol: %s\r\n\r\n"
            % (self.target, port, cookie, port, key, SUBPROTOCOL.encode())
        )

    def begin(self) -> None:
        """Put all requests in flight."""
        self.ask([slot for slot in range(1, len(self._messages)) if self.tally.may_send()])

    def consume(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._upgraded():
            return
        free: list[int] = []
        for opcode, payload in self._frames_received():
            if opcode == TEXT:
                free += self.text(payload)
            elif opcode == PING:
                self.transport.write(frame(PONG, payload))
            elif opcode == CLOSE:
                self.closed(payload)
        self.ask(free)

    def closed(self, payload: bytes) -> None:
        raise BadAnswerError(f"The server closed the socket: {payload!r}")

    def _upgraded(self) -> bool:
        """Take the answer to the handshake off the buffer, once it is there."""
        end = self._buffer.find(b"\r\n\r\n")
        if self._accept and end >= 0:
            head = bytes(self._buffer[: end + 4])
            if not head.startswith(b"HTTP/1.1 101 ") or self._accept not in head:
                raise BadAnswerError(f"No upgrade: {bytes(self._buffer[:500])!r}")
            del self._buffer[: end + 4]
            self._accept = b""
        return not self._accept

    def _frames_received(self) -> list[tuple[int, bytes]]:
        """Take the complete frames off the buffer."""
        buffer, start, frames = self._buffer, 0, []
        while len(buffer) >= start + 2:
            length, payload = buffer[start + 1], start + 2
            if length == 126:
                payload += 2
                length = int.from_bytes(buffer[start + 2 : payload])
            elif length == 127:
                payload += 8
                length = int.from_bytes(buffer[start + 2 : payload])
            if len(buffer) < payload + length:
                break
            frames.append((buffer[start] & 0xF, bytes(buffer[payload : payload + length])))
            start = payload + length
        del buffer[:start]
        return frames

    def text(self, payload: bytes) -> list[int]:
        """Check the answers of a frame, and return the slots that are free for another request."""
        if not self.opened.done():
            if b'"hello"' not in payload:
                raise BadAnswerError(f"No hello: {payload!r}")
            self.opened.set_result(None)
            return []
        answers = decode_answers(payload) if payload[0] == ord("[") else [decode_answer(payload)]
        return [answer.id for answer in answers if self.take(answer)]

    def take(self, answer: Answer) -> bool:
        """Check an answer, and say whether its slot is to be used again."""
        self.tally.answer(answer.status, bytes(answer.data), self._sent_at[answer.id])
        return self.tally.may_send()

    def ask(self, slots: Sequence[int]) -> None:
        """Send these slots' requests."""
        if not slots:
            return
        now = time.perf_counter()
        for slot in slots:
            self._sent_at[slot] = now
        if self._arrays and len(slots) > 1:
            messages = b",".join([self._messages[slot] for slot in slots])
            self.transport.write(frame(TEXT, b"[" + messages + b"]"))
        else:
            self.transport.write(b"".join([self._frames[slot] for slot in slots]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.opened.done():
            super().connection_lost(exc)
        else:
            self.opened.set_exception(self.error or exc or ConnectionError("No handshake."))


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame, masked as it must be.

    The key is zero, which leaves the payload as it is: it spares the generator the work, and
    not the server, which can't know.
    """
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, 0x80 | length])
    elif length < 65536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + length.to_bytes(2)
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + length.to_bytes(8)
    return head + b"\0\0\0\0" + payload


# --- HTTP


class HTTPConnection(Connection):
    """One request at a time over a connection that is kept alive."""

    def __init__(self, tally: Tally, path: str, port: int) -> None:
        self.tally = tally
        self._request = (
            b"GET %s HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: wsrequest-bench\r\n"
            b"Accept: */*\r\n"
            b"Origin: http://127.0.0.1:%d\r\n\r\n" % (path.encode(), port, port)
        )
        self._sent_at = 0.0
        self._buffer = b""

    def ask(self) -> None:
        if self.tally.may_send():
            self._sent_at = time.perf_counter()
            self.transport.write(self._request)

    def consume(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        _, found, after = head.lower().partition(b"\r\ncontent-length:")
        if not found:
            raise BadAnswerError(f"No Content-Length: {head!r}")
        if len(body) < int(after.split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        self.tally.answer(int(head[9:12]), body, self._sent_at)
        self.ask()
