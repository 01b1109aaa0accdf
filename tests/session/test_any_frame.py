"""Any frame gets an answer or a close code, and the next good message is answered. Against a real server process."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.server import ServerProcess

PATIENCE = 20
CLOSE_CODES = {*range(4000, 4300), 1002, 1007, 1009}
GOOD_ID = 2**53 - 1
GOOD = {"id": GOOD_ID, "url": "/hello/"}
#: Without an id: answered after all others that have none.
LAST = {"url": "/echo/?the-last-one"}
MSGPACK = "wsrequest.v1.msgpack"


class Client:
    """A connection that is opened again whenever the server has closed it."""

    def __init__(self, url: str, subprotocols: list[str] | None) -> None:
        self._url = url
        self._subprotocols = subprotocols
        self._packs = subprotocols == [MSGPACK]
        self._opening: Any = None
        self._socket: Any = None

    def open(self) -> None:
        if self._socket is None:
            self._opening = connect(
                self._url,
                subprotocols=self._subprotocols,  # type: ignore[arg-type]
                compression=None,
                max_size=None,
                proxy=None,
                ping_interval=None,
            )
            self._socket = self._opening.__enter__()
            if self._subprotocols:
                assert self._receive()["control"] == "hello"

    def close(self) -> None:
        if self._socket is not None:
            self._opening.__exit__(None, None, None)
            self._socket = None

    def exchange(self, frame: str | bytes) -> list[dict[str, Any]] | int:
        """What comes for this frame up to the answer of a good message, or the code with which it was closed."""
        self.open()
        try:
            self._socket.send(frame)
            for message in (GOOD, LAST):
                self._socket.send(
                    msgspec.msgpack.encode(message) if self._packs else json.dumps(message)
                )
            return self._until(self._messages(frame))
        except ConnectionClosed:
            code = self._socket.protocol.close_code
            self.close()
            return int(code)

    def _until(self, messages: list[Any]) -> list[dict[str, Any]]:
        """What comes up to the answers of all that was asked: of GOOD, of LAST (and of all before it that had no id),
        and of each id."""
        answers: list[dict[str, Any]] = []
        awaited = Counter(
            message["id"]
            for message in messages
            if isinstance(message, dict) and message.get("url") and is_id(message.get("id"))
        )
        pending = {"good", "last"}
        while pending or +awaited:
            value = self._receive()
            assert self._subprotocols or isinstance(value, dict)
            for message in value if isinstance(value, list) else [value]:
                if message.get("id") == GOOD_ID and message.get("data") == "hello":
                    pending.remove("good")
                elif "the-last-one" in str(message.get("data")):
                    pending.remove("last")
                else:
                    answers.append(message)
                    awaited[id_of(message)] -= 1
        return answers

    def _receive(self) -> Any:
        frame = self._socket.recv(PATIENCE)
        assert isinstance(frame, bytes) is self._packs
        return msgspec.msgpack.decode(frame) if self._packs else json.loads(frame)

    def expected_answers(self, frame: str | bytes) -> tuple[int, int]:
        """How many there are at least and at most: one for each message, but a good `cancel` or `pong` asks for
        none."""
        messages = self._messages(frame)
        return sum(not may_be_silent(message) for message in messages), len(messages)

    def _messages(self, frame: str | bytes) -> list[Any]:
        """A frame that can't be read at all is one message."""
        try:
            return _unpacked(frame) if self._packs else _parsed(frame)
        except (ValueError, RecursionError, msgspec.DecodeError):
            return [None]


def is_id(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 1 <= value < 2**53
    return isinstance(value, str) and len(value) <= 64


def id_of(answer: dict[str, Any]) -> object:
    """The id that an answer is about: of a duplicate, the one that was sent twice."""
    data = answer.get("data")
    if answer.get("id", True) is None and isinstance(data, dict):
        return data.get("id")
    return answer.get("id")


def _parsed(frame: str | bytes) -> list[Any]:
    text = frame.decode() if isinstance(frame, bytes) else frame
    value = json.loads(text, parse_constant=_refuse)
    return value if isinstance(value, list) else [value]


def _unpacked(frame: str | bytes) -> list[Any]:
    """What can't be decoded stands there as None."""
    if isinstance(frame, str):
        return [None]
    is_array = 0x90 <= frame[0] < 0xA0 or frame[0] in (0xDC, 0xDD) if frame else False
    parts = msgspec.msgpack.decode(frame, type=list[msgspec.Raw]) if is_array else [frame]
    return [_unpacked_part(bytes(part)) for part in parts]


def _unpacked_part(part: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(part)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(name)


def may_be_silent(message: object) -> bool:
    return (
        isinstance(message, dict)
        and message.get("url") is None
        and ("cancel" in message or "pong" in message)
    )


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("server")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=[["wsrequest.v1.json"], None], ids=["negotiated", "seed"])
def client(process: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Client]:
    opened = Client(process.ws, request.param)
    yield opened
    opened.close()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [0, 1, -1, 2**53 - 1, 2**53, 2**64, 1e308, "", "x" * 64, "x" * 65, "\0", "\u2028"]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
URLS = st.one_of(
    st.sampled_from(
        [
            "/hello/",
            "/echo/",
            "/ahello/",
            "/nowhere/",
            "/hello",
            "",
            "/",
            "//x/",
            "http://x/",
            "/echo/%FF%00?%",
        ]
    ),
    st.text(max_size=20),
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(SCALARS, st.integers(1, 3)),
        "url": st.one_of(URLS, SCALARS),
        "method": st.one_of(
            st.sampled_from(["GET", "post", "HEAD", "SUBSCRIBE", "a b", ""]), SCALARS
        ),
        "data": VALUES,
        "headers": st.one_of(
            VALUES,
            st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
            st.sampled_from(
                [
                    {"content-type": "multipart/form-data; boundary=x"},
                    {"content-type": "application/json; charset=rot13"},
                    {"content-type": "text/plain; charset=utf-16"},
                    {"content-type": "application/x-www-form-urlencoded"},
                    {"cookie": "a=b"},
                ]
            ),
        ),
        "encoding": st.one_of(st.sampled_from(["base64", "text"]), SCALARS),
        "token": SCALARS,
        "timeout": st.one_of(st.integers(1, 5000), SCALARS),
        "key": SCALARS,
        "cancel": SCALARS,
        "ping": SCALARS,
        "pong": SCALARS,
        "auth": SCALARS,
    },
)
JSON_FRAMES = st.one_of(MESSAGES, st.lists(st.one_of(MESSAGES, VALUES), max_size=5), VALUES).map(
    json.dumps
)
BROKEN_JSON_FRAMES = st.tuples(JSON_FRAMES, st.integers(0, 200), st.text(max_size=2)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)
FRAMES = st.one_of(
    JSON_FRAMES,
    BROKEN_JSON_FRAMES,
    JSON_FRAMES.map(str.encode),
    st.text(max_size=200),
    st.binary(max_size=200),
)


#: `make fuzz` has it be more.
TIMES = int(os.environ.get("FUZZ", "1"))


@settings(max_examples=150 * TIMES)
@given(frame=FRAMES)
@example(frame="[]")
@example(frame="0")
@example(frame="[null, 0, [], {}]")
@example(frame='{"id": 9223372036854775808, "url": "/hello/"}')
@example(frame='{"id": 1, "url": "/nowhere/", "id": 2, "url": "/hello/"}')
@example(frame="[" * 100_000)
@example(frame='{"url": "/echo/", "data": ' + "[" * 100_000 + "]" * 100_000 + "}")
@example(frame='{"url":' * 100_000)
@example(frame=b"\xff\xfe")
@example(frame="null")
@example(frame='{"url": "/echo/", "data": NaN}')
@example(frame='{"url": "/echo/", "data": 1e999}')
@example(frame='{"url": "/echo/", "method": "POST", "data": "\\ud800"}')
@example(frame='{"url": "/\\udc00/", "url": 1}')
@example(frame='[{"id": 1, "url": "/hello/"}, {"id": 1, "url": "/hello/"}, {"cancel": 1}]')
@example(frame="[" + ",".join(['{"url": "/ahello/"}'] * 300) + "]")
@example(frame="x" * (1024 * 1024 + 1))
@example(frame='{"id": 1.0, "url": "/hello/"}')
@example(frame='{"id": true, "url": "/hello/"}')
def test_any_frame(client: Client, frame: str | bytes) -> None:
    assert_answered(client, frame)


def pack(value: Any) -> bytes | None:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:  # an integer of more than 64 bits
        return None


WITH_BYTES = st.tuples(MESSAGES, st.binary(max_size=50)).map(
    lambda parts: {**parts[0], "data": parts[1]}
)
PACKED_FRAMES = (
    st.one_of(MESSAGES, WITH_BYTES, st.lists(st.one_of(MESSAGES, WITH_BYTES, VALUES)), VALUES)
    .map(pack)
    .filter(lambda frame: frame is not None)
)
BROKEN_PACKED_FRAMES = st.tuples(PACKED_FRAMES, st.integers(0, 200), st.binary(max_size=2)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)
TO_ECHO = b"\x82\xa3url\xa6/echo/\xa4data"


@pytest.fixture(scope="module")
def packing_client(process: ServerProcess) -> Iterator[Client]:
    opened = Client(process.ws, [MSGPACK])
    yield opened
    opened.close()


@settings(max_examples=200 * TIMES)
@given(
    frame=st.one_of(
        PACKED_FRAMES, BROKEN_PACKED_FRAMES, st.binary(max_size=200), st.text(max_size=20)
    )
)
@example(frame=b"")
@example(frame="")
@example(frame=b"\x90")
@example(frame=b"\x00")
@example(frame=b"\x82\xa3url\xa7/hello/\xa2id\xcf\x80\x00\x00\x00\x00\x00\x00\x00")
@example(frame=b"\x82\xa3url\xa7/hello/\xa2i")
@example(frame=b"\x82\xa3url\xa7/hel")
@example(frame=b"\x91" * 100_000)
@example(frame=TO_ECHO + b"\x91" * 100_000 + b"\xc0")
@example(frame=b"\x81\xa3url" * 100_000)
@example(frame=TO_ECHO + b"\xdd\xff\xff\xff\xff" * 100)
@example(frame=TO_ECHO + b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00")
@example(frame=TO_ECHO + b"\xd4\x05a")
@example(frame=TO_ECHO + b"\xa1\xff")
@example(frame=TO_ECHO + b"\x81\x01\x02")
@example(frame=b"\xdc\x01\x2c" + b"\x81\xa3url\xa8/ahello/" * 300)
@example(frame=b"\xc0" * (1024 * 1024 + 1))
def test_any_msgpack_frame(packing_client: Client, frame: str | bytes) -> None:
    assert_answered(packing_client, frame)


def assert_answered(client: Client, frame: str | bytes) -> None:
    outcome = client.exchange(frame)
    if isinstance(outcome, int):
        assert outcome in CLOSE_CODES
        return
    for answer in outcome:
        assert "pong" in answer or 100 <= answer["status"] <= 599
        assert "Traceback" not in str(answer)
    least, most = client.expected_answers(frame)
    assert least <= len(outcome) <= most
