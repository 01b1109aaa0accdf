"""How topics are called in the database, and what its notifications say.

A notification is text: ``part/parts kind key first second body``, with ``event key epoch offset`` or
``signal key nonce 0``, and a part of the payload in base64. ``wsrequest_tell()`` in the database writes them.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from binascii import a2b_base64
from typing import NamedTuple

#: The key of what is said to all processes.
EVERYWHERE = "*"

#: What may be a key as it is: it holds no space, and fits into an index and a notification.
_PLAIN = re.compile(r"[/@][!-~]{0,399}")


@functools.lru_cache(maxsize=4096)
def key_of(topic: str) -> str:
    """The topic's name in the database."""
    if _PLAIN.fullmatch(topic):
        return topic
    return "#" + hashlib.sha256(topic.encode("utf-8", "surrogatepass")).hexdigest()


def signal_head(topic: str | None) -> str:
    """What stands before the body. The nonce keeps two equal signals of a transaction from becoming one."""
    key = EVERYWHERE if topic is None else key_of(topic)
    return f"signal {key} {secrets.token_hex(4)} 0"


class Heard(NamedTuple):
    """What was said."""

    kind: str
    key: str
    epoch: str
    offset: int
    payload: bytes


class Assembly:
    """Puts the parts of what was said together. They arrive one after the other, with nothing in between."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, extra: bytes) -> Heard | None:
        """What this notification completes, if anything. None too where its beginning was not heard: listening began
        in the middle of it."""
        number, kind, key, epoch, offset, body = extra.decode().split(" ", 5)
        part, parts = map(int, number.split("/"))
        if part == 1:
            self._parts.clear()
        self._parts.append(a2b_base64(body))
        if part < parts or len(self._parts) < parts:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        return Heard(kind, key, epoch, int(offset), payload)
