"""The seam between a session and whatever carries its frames."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """The seam between a session and whatever carries its frames."""

    #: The code with which the peer has closed; None where it has not, or none is known.
    peer_code: int | None

    async def receive(self) -> str | bytes | None:
        """The next frame; None once the peer is gone."""

    async def send(self, frame: str | bytes) -> None:
        """Send a frame; returns when the transport has room for more. Raises OSError when it is gone."""

    async def close(self, code: int) -> None:
        """Close with this code."""
