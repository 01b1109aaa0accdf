"""What the tests of the wire share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from wsrequest.errors import MessageError
from wsrequest.protocol.codec import Codec, Limits
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Request
from wsrequest.protocol.msgpack import MsgpackCodec

CODEC = JSONCodec()
LIMITS = Limits()


def values(integers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """What JSON can say, with these integers."""
    return st.recursive(
        st.none()
        | st.booleans()
        | integers
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )


json_values = values(st.integers())
#: What both codecs can say.
common_values = values(st.integers(-(2**63), 2**64 - 1))


@dataclass(frozen=True)
class Wire:
    """A codec, with a client's own way to write and read its frames."""

    codec: Codec
    pack: Callable[[Any], str | bytes]
    unpack: Callable[[Any], Any]

    def decoded(self, value: Any, limits: Limits = LIMITS) -> list[Any]:
        return list(self.codec.decode(self.pack(value), limits))

    def one(self, value: Any, limits: Limits = LIMITS) -> Any:
        [message] = self.decoded(value, limits)
        return message

    def request(self, limits: Limits = LIMITS, **fields: Any) -> Request:
        """The checked request of a message with these fields, url "/" unless they say so."""
        message = self.one({"url": "/", **fields}, limits)
        assert isinstance(message, Request), message
        return message

    def refusal(self, value: Any, limits: Limits = LIMITS) -> MessageError:
        message = self.one(value, limits)
        assert isinstance(message, MessageError), message
        return message


JSON = Wire(CODEC, json.dumps, json.loads)
MSGPACK = Wire(MsgpackCodec(), msgspec.msgpack.encode, msgspec.msgpack.decode)
on_both_wires = pytest.mark.parametrize("wire", [JSON, MSGPACK], ids=["json", "msgpack"])


def decoded(frame, limits=LIMITS):
    return list(CODEC.decode(frame, limits))


def one(frame, limits=LIMITS):
    [message] = decoded(frame, limits)
    return message


def refusal(frame, limits=LIMITS) -> MessageError:
    message = one(frame, limits)
    assert isinstance(message, MessageError), message
    return message


request = JSON.request
