"""Ports for the servers that tests start."""

from __future__ import annotations

import errno
import random
import socket

#: Below those that systems give to whoever connects (on Linux from 32768): such a port, though it was free a moment
#: ago, may be the end of somebody's connection when the server comes to listen.
PORTS = range(10_000, 32_000)

#: Not the one that has the same seed in each test, and in those that run beside.
_random = random.SystemRandom()


def free_port() -> int:
    """One on 127.0.0.1 at which nobody listens."""
    while True:
        port = _random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
