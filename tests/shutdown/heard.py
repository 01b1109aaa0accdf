"""What clients of a server that goes away were told."""

from __future__ import annotations

import json
from typing import Any

from tests.support.client import Peer


def said(peer: Peer) -> list[Any]:
    """Everything that the server said on this connection."""
    messages: list[Any] = []
    for frame in peer.frames:
        value = json.loads(frame)
        messages += value if isinstance(value, list) else [value]
    return messages


def texts(messages: list[Any]) -> list[Any]:
    """Without what no test here asks for."""
    return [{k: v for k, v in message.items() if k != "headers"} for message in messages]


def is_goaway(message: Any) -> bool:
    return message.get("control") == "goaway"
