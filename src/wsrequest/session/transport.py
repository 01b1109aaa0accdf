"""The seam between a session and whatever carries its frames."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol


class Transport(Protocol):
    """The seam between a session and whatever carries its frames."""

    #: The code with which the peer has closed; None where it has not, or none is known.
    peer_code: int | None

    def receive(self) -> Awaitable[Any]:
        """What comes next, as the transport has it. (That :meth:`frame_in` stands apart spares each connection that
        waits here a coroutine, a good part of its memory.)"""

    def frame_in(self, heard: Any) -> str | bytes | None:
        """The frame in it; None where the peer is gone."""

    def send(self, frame: str | bytes) -> Awaitable[None]:
        """Send a frame; returns when the transport has room for more. Raises OSError when it is gone."""

    async def close(self, code: int) -> None:
        """Close with this code."""
