"""What the tests of the wire share."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from wsrequest.errors import MessageError
from wsrequest.protocol.codec import JSONCodec, Limits
from wsrequest.protocol.messages import Request

CODEC = JSONCodec()
LIMITS = Limits()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def decoded(frame, limits=LIMITS):
    return list(CODEC.decode(frame, limits))


def one(frame, limits=LIMITS):
    [message] = decoded(frame, limits)
    return message


def request(limits=LIMITS, **fields) -> Request:
    """The checked request of a message with these fields, url "/" unless they say so."""
    message = one(json.dumps({"url": "/", **fields}), limits)
    assert isinstance(message, Request), message
    return message


def refusal(frame, limits=LIMITS) -> MessageError:
    message = one(frame, limits)
    assert isinstance(message, MessageError), message
    return message
