"""What holds on a connection from its opening to its end, and is the same for all that open alike: made once."""

from __future__ import annotations

import functools
from typing import Any

from wsrequest.conf import Settings
from wsrequest.lifecycle.trust import connection_only_headers
from wsrequest.protocol.codec import Codec, Limits
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import HeaderRules
from wsrequest.protocol.msgpack import MsgpackCodec

#: How messages are written, by the subprotocol that a client asks for.
CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (JSONCodec(), MsgpackCodec())}


def codec_of(subprotocol: str | None) -> Codec:
    """Without a subprotocol, messages are JSON."""
    return CODECS[subprotocol or JSONCodec.subprotocol]


def limits(settings: Settings) -> Limits:
    """What a message may be."""
    return _limits(settings, connection_only_headers(settings.handshake_headers))


@functools.lru_cache(maxsize=2)  # one with, one without heartbeats
def _limits(settings: Settings, denied: frozenset[str]) -> Limits:
    rules = HeaderRules(denied)
    return Limits(settings.max_message_bytes, settings.max_depth, settings.max_keys, rules)


@functools.lru_cache(maxsize=2)  # one with, one without heartbeats
def omitted(settings: Settings) -> frozenset[str]:
    """The response headers that don't go on the wire."""
    return frozenset(settings.omit_response_headers)


def hello(connection: str, settings: Settings) -> dict[str, Any]:
    """What a client that negotiated a subprotocol is told first."""
    return {
        "connection": connection,
        "heartbeat": settings.ping_interval,
        "limits": {
            "message_bytes": settings.max_message_bytes,
            "in_flight": settings.max_in_flight,
        },
    }
