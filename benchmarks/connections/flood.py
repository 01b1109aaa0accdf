"""One connection that sends requests as fast as they are taken: ``flood PORT PATH``.

It reads its answers (a client that doesn't is stopped by MAX_OUTBOX_BYTES), and comes back at once
when it is closed. It ends when it is told a line, and prints what it came to.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys

import msgspec

from benchmarks.clients import SUBPROTOCOL, TEXT, frame

#: Requests with ids of their own; as the server holds 160 at most, an id is free when it comes again.
IDS = 1000
READ = 2**18


def main() -> None:
    port, path = int(sys.argv[1]), sys.argv[2]
    # A neighbour like any other: it must not keep the generator from its core.
    os.nice(10)
    requests = b"".join(
        frame(TEXT, msgspec.json.encode({"id": number, "url": path})) for number in range(IDS)
    )
    answered = refused = closed = 0
    connection, unsent = opened(port), memoryview(requests)
    print("flooding", flush=True)
    while True:
        readable, writable, _ = select.select([sys.stdin, connection], [connection], [])
        if sys.stdin in readable:
            break
        if connection in readable:
            data = received(connection)
            answered += data.count(b'"status":200')
            refused += data.count(b'"status":429')
            if not data:
                closed += 1
                connection.close()
                connection, unsent = opened(port), memoryview(requests)
                continue
        if writable:
            try:
                unsent = unsent[connection.send(unsent) :] or memoryview(requests)
            except BlockingIOError:
                pass
            except OSError:
                unsent = memoryview(requests)  # closed: reading tells
    print(json.dumps({"answered": answered, "refused": refused, "closed": closed}))


def opened(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n"
        % (port, SUBPROTOCOL.encode())
    )
    head = b""
    while b'"hello"' not in head:
        head += connection.recv(READ) or sys.exit(f"No upgrade: {head!r}".encode())
    connection.setblocking(False)
    return connection


def received(connection: socket.socket) -> bytes:
    """Return what there is; nothing once the connection is closed."""
    try:
        return connection.recv(READ)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    main()
