"""PROTOCOL.md is run: every block that a client sends is sent, and the server's block is what must come back.

How the blocks are written stands in PROTOCOL.md itself ("How to read the examples"); this module is that paragraph as
code. The connections are ASGI ones, in memory, to the application that `get_asgi_application()` returns, for the
project in the document's last section.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from django.core.cache import caches
from django.test import override_settings

import wsrequest
from wsrequest import conf, errors
from wsrequest.asgi import get_asgi_application
from wsrequest.lifecycle.trust import CONNECTION_HEADERS
from wsrequest.protocol.messages import DENIED_HEADERS, DENIED_PREFIXES
from wsrequest.push.brokers import broker_of
from wsrequest.push.sending import DISCONNECTED
from wsrequest.session.registry import registry

DOCUMENT = Path(__file__).resolve().parent.parent / "PROTOCOL.md"
SUBPROTOCOL = "wsrequest.v1.json"
MSGPACK = "wsrequest.v1.msgpack"
PATIENCE = 10  # seconds for what must come; a test that passes waits for nothing
BARRIER = (
    2**53 - 1
)  # the ping that is sent after an exchange, to see that nothing else was answered


# --- reading the document ------------------------------------------------------------------------


@dataclass
class Block:
    """A fenced block: ```language role words..."""

    line: int
    language: str
    words: list[str]
    text: str

    @property
    def role(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def settings(self) -> dict[str, Any]:
        pairs = (word.split("=", 1) for word in self.words if re.match(r"[A-Z_]+=", word))
        return {name: json.loads(value) for name, value in pairs}


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def conversation(self) -> list[Block]:
        return [block for block in self.blocks if block.role in ("client", "operator", "server")]

    @property
    def settings(self) -> dict[str, Any]:
        return {key: value for block in self.blocks for key, value in block.settings.items()}


def read_sections(text: str) -> list[Section]:
    sections = [Section("")]
    fence: Block | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.startswith("```"):
                sections[-1].blocks.append(fence)
                fence = None
            else:
                fence.text += f"{line}\n"
        elif line.startswith("```"):
            language, *words = line[3:].split()
            fence = Block(number, language, words, "")
        elif line.startswith("#"):
            sections.append(Section(line.lstrip("# ")))
    return sections


SECTIONS = read_sections(DOCUMENT.read_text(encoding="utf-8"))
CONVERSATIONS = [section for section in SECTIONS if section.conversation]


def the_block(language: str, role: str) -> Block:
    (block,) = (
        block
        for section in SECTIONS
        for block in section.blocks
        if (block.language, block.role) == (language, role)
    )
    return block


# --- the project of the examples -----------------------------------------------------------------


@pytest.fixture
def project() -> Iterator[None]:
    module = ModuleType("protocol_md_urls")
    exec(compile(the_block("python", "urls").text, str(DOCUMENT), "exec"), module.__dict__)
    sys.modules[module.__name__] = module
    with override_settings(ROOT_URLCONF=module.__name__, ALLOWED_HOSTS=["example.org"]):
        yield
    del sys.modules[module.__name__]


# --- a client in memory --------------------------------------------------------------------------


class Peer:
    """The client's side of one ASGI WebSocket connection."""

    def __init__(self, application: Any, block: Block | None, words: list[str]) -> None:
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages: list[Any] = []
        self.offered: list[str] = []
        self.packs = False
        self._scope = self._make_scope(block, words)
        self._task = asyncio.create_task(
            application(self._scope, self._to_server.get, self._from_server.put)
        )
        self._to_server.put_nowait({"type": "websocket.connect"})

    def _make_scope(self, block: Block | None, words: list[str]) -> dict[str, Any]:
        path = "/ws/"
        headers = {"host": "example.org", "origin": "https://example.org"}
        if "seed" not in words:
            headers["sec-websocket-protocol"] = SUBPROTOCOL
        if block is not None:
            first, *lines = block.text.splitlines()
            path = first.split()[1]
            headers = {
                name.lower(): value.strip()
                for name, value in (line.split(":", 1) for line in lines)
            }
        options = dict(word.split("=", 1) for word in words if word.startswith("root_path="))
        root_path = options.get("root_path", "")
        self.offered = [
            p.strip() for p in headers.get("sec-websocket-protocol", "").split(",") if p
        ]
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": root_path + path if root_path else path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": root_path,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
            "server": ("example.org", 443),
            "subprotocols": self.offered,
            "extensions": {} if "no-denial" in words else {"websocket.http.response": {}},
        }

    async def event(self) -> dict[str, Any]:
        """The next thing that the server does."""
        async with asyncio.timeout(PATIENCE):
            return await self._from_server.get()

    def send(self, frame: str | bytes) -> None:
        kind = "bytes" if isinstance(frame, bytes) else "text"
        self._to_server.put_nowait({"type": "websocket.receive", kind: frame})

    def write(self, message: Any) -> str | bytes:
        if not self.packs:
            return json.dumps(message)
        return msgspec.msgpack.encode(with_bytes(message))

    def read(self, event: dict[str, Any]) -> Any:
        if not self.packs:
            return json.loads(event["text"])
        return without_bytes(msgspec.msgpack.decode(event["bytes"]))

    async def message(self) -> Any:
        """The next message, however the server put messages into frames."""
        while not self._messages:
            event = await self.event()
            assert event["type"] == "websocket.send", event
            frame = self.read(event)
            if isinstance(frame, list):
                assert self.offered, "an array went to a connection without a subprotocol"
            self._messages = frame if isinstance(frame, list) else [frame]
        return self._messages.pop(0)

    async def nothing_more(self) -> None:
        self.send(self.write({"ping": BARRIER}))
        assert await self.message() == {"pong": BARRIER}

    async def leave(self) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(PATIENCE):
            await self._task


def with_bytes(value: Any) -> Any:
    """What an example means under MessagePack: {"bytes": base64} are bytes."""
    if isinstance(value, dict):
        if value.keys() == {"bytes"}:
            return base64.b64decode(value["bytes"], validate=True)
        return {key: with_bytes(inner) for key, inner in value.items()}
    return [with_bytes(inner) for inner in value] if isinstance(value, list) else value


def without_bytes(value: Any) -> Any:
    """The same, the other way round."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: without_bytes(inner) for key, inner in value.items()}
    return [without_bytes(inner) for inner in value] if isinstance(value, list) else value


# --- comparing -----------------------------------------------------------------------------------


def is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"<[^<>]+>", value) is not None


def matches(expected: Any, received: Any, said: dict[str, str] | None = None) -> bool:
    """Equality, but a string that is written as <...> in the document stands for any other that is not empty, each time
    for the same, and <number> for a number. What they stand for is kept in `said`."""
    said = {} if said is None else said
    if expected == "<number>":
        return isinstance(received, int | float) and not isinstance(received, bool)
    if is_placeholder(expected):
        is_text = isinstance(received, str) and received != ""
        return is_text and said.setdefault(expected, received) == received
    if isinstance(expected, dict) and isinstance(received, dict):
        return expected.keys() == received.keys() and all(
            matches(value, received[key], said) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(received, list):
        return len(expected) == len(received) and all(
            matches(*pair, said) for pair in zip(expected, received, strict=True)
        )
    return type(expected) is type(received) and expected == received


def filled_in(text: str, said: dict[str, str]) -> str:
    """A client's block, with what the server has said in place of <...>."""
    for placeholder, value in said.items():
        text = text.replace(json.dumps(placeholder), json.dumps(value))
    return text


def by_id(messages: list[Any]) -> dict[str, list[Any]]:
    """Messages of one id keep their order; those of different ids may overtake each other."""
    groups = defaultdict(list)
    for message in messages:
        groups[json.dumps(message.get("id"))].append(message)
    return groups


def read_http(text: str) -> tuple[int, dict[str, str], str]:
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    headers = {
        name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)
    }
    return int(first.split()[1]), headers, body


# --- what happens to the server ------------------------------------------------------------------


def the_broker_does_not_answer() -> None:
    for listener in broker_of()._listeners:
        listener.receiver.interrupted()


def the_broker_answers_again() -> None:
    for listener in broker_of()._listeners:
        listener.receiver.resumed()


def the_broker_has_forgotten_everything() -> None:
    broker = broker_of()
    broker._topics.clear()
    for listener in broker._listeners:
        listener.receiver.interrupted()
        listener.receiver.resumed()


OPERATIONS = {
    "SIGTERM": lambda: signal.raise_signal(signal.SIGTERM),
    "the broker does not answer": the_broker_does_not_answer,
    "the broker answers again": the_broker_answers_again,
    "the broker has forgotten everything": the_broker_has_forgotten_everything,
}


# --- playing a section ---------------------------------------------------------------------------


class Play:
    """One section: its blocks, from top to bottom."""

    def __init__(self, section: Section, stack: AsyncExitStack) -> None:
        self.section = section
        self.application = get_asgi_application()
        self.peer: Peer | None = None
        self._peers: list[Peer] = []
        self._stack = stack
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        blocks = self.section.conversation
        for place, block in enumerate(blocks):
            following = blocks[place + 1].role if place + 1 < len(blocks) else ""
            try:
                await self._step(block, following)
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"PROTOCOL.md, line {block.line}: {error!r}") from error

    async def _step(self, block: Block, following: str) -> None:
        if self._peers:
            self.peer = self._peers[0 if "first" in block.words else -1]
        if block.role == "operator":
            OPERATIONS[block.text.strip()]()
        elif block.language == "http":
            await (self._open(block) if block.role == "client" else self._opened(block))
        elif block.role == "server" and block.language == "text":
            await self._closed(block)
        elif block.role == "server":
            await self._expect(json.loads(block.text))
            if following != "server":
                await self.peer.nothing_more()
        else:
            await self._send(block, answered=following == "server")

    async def _open(self, block: Block | None, words: list[str] | None = None) -> None:
        self.peer = Peer(self.application, block, words if block is None else block.words)
        self._peers.append(self.peer)
        self._stack.push_async_callback(self.peer.leave)

    async def _opened(self, block: Block) -> None:
        status, headers, body = read_http(block.text)
        event = await self.peer.event()
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            assert event["type"] == "websocket.accept", event
            assert event.get("subprotocol") == headers.get("sec-websocket-protocol")
            self.peer.packs = event.get("subprotocol") == MSGPACK
            return
        assert (event["type"], event["status"]) == ("websocket.http.response.start", status), event
        sent = {name.decode(): value.decode() for name, value in event["headers"]}
        assert sent == headers
        assert (await self.peer.event())["body"].decode() == body

    async def _closed(self, block: Block) -> None:
        event = await self.peer.event()
        assert event["type"] == "websocket.close", event
        said = f"close {event['code']} {event.get('reason') or ''}".strip()
        assert said == block.text.strip()

    async def _send(self, block: Block, *, answered: bool) -> None:
        if self.peer is None:
            await self._open(None, block.words)
            assert (await self.peer.event())["type"] == "websocket.accept"
            if self.peer.offered:
                hello = await self.peer.message()
                if not self.section.settings:
                    assert matches(json.loads(the_block("json", "hello").text), hello), hello
        known = set(caches["default"]._cache)
        self.peer.send(self._frame(block))
        if not answered:
            await self.peer.nothing_more()
            if '"key"' in block.text:  # taken by this request, before the next one asks for it
                async with asyncio.timeout(PATIENCE):
                    while set(caches["default"]._cache) <= known:  # noqa: ASYNC110 (a thread takes it)
                        await asyncio.sleep(0)

    def _frame(self, block: Block) -> str | bytes:
        frame = filled_in(block.text.strip(), self._said)
        if block.language == "hex":
            return bytes.fromhex(frame)
        if block.language == "json":
            message = json.loads(frame)
            if self.peer.packs:
                return self.peer.write(message)
        return frame.encode() if "binary" in block.words else frame

    async def _expect(self, expected: Any) -> None:
        expected = expected if isinstance(expected, list) else [expected]
        received = [await self.peer.message() for _ in expected]
        wanted, got = by_id(expected), by_id(received)
        assert wanted.keys() == got.keys(), received
        for key, messages in wanted.items():
            assert matches(messages, got[key], self._said), json.dumps(got[key], indent=1)


@asynccontextmanager
async def play(section: Section) -> AsyncIterator[Play]:
    with override_settings(WSREQUEST=section.settings), as_a_server():
        async with AsyncExitStack() as stack:
            yield Play(section, stack)


@contextmanager
def as_a_server() -> Iterator[None]:
    """A server survives the signals that it handles."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    yield
    signal.signal(signal.SIGTERM, before)
    registry.closed = False


@pytest.mark.parametrize("section", CONVERSATIONS, ids=lambda section: section.title)
async def test_the_server_answers_as_the_document_says(section, project):
    async with play(section) as conversation:
        await conversation.run()


# --- the tables ----------------------------------------------------------------------------------


def rows(title: str) -> list[list[str]]:
    """The cells of the table that stands under a heading, without its head; `code` marks taken off."""
    text = DOCUMENT.read_text(encoding="utf-8")
    part = re.split(rf"^#+ {re.escape(title)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    part = re.split(r"^#", part, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    ]


def descendants(cls: type) -> list[type]:
    return [each for child in cls.__subclasses__() for each in (child, *descendants(child))]


def answered_errors() -> set[tuple[str, str]]:
    kinds = [
        *descendants(errors.MessageError),
        *descendants(errors.ExchangeError),
    ]
    return {(kind.code, str(kind.status)) for kind in kinds if not kind.__name__.startswith("_")}


def test_the_table_of_errors_is_whole():
    assert {(code, status) for code, status, *_ in rows("Errors")} == answered_errors()


def test_each_error_has_an_example():
    """An error that is in the table only may be described wrongly."""
    shown = {
        message["data"]["code"]
        for section in CONVERSATIONS
        for block in section.conversation
        if (block.language, block.role) == ("json", "server")
        for message in [json.loads(block.text)]
        for message in (message if isinstance(message, list) else [message])
        if isinstance(message.get("data"), dict) and "code" in message["data"]
    }
    assert shown == {code for code, _ in answered_errors()}


def test_the_table_of_refusals_is_whole():
    refusals = {
        (kind.code, str(kind.status), str(kind.close_code))
        for kind in descendants(errors.HandshakeRefused)
    }
    assert {(code, status, close) for _, status, close, code in rows("Refusals")} == refusals


def test_the_close_codes_that_are_sent_are_in_the_table():
    sent = {str(kind.close_code) for kind in descendants(errors.HandshakeRefused)}
    sent.add(str(DISCONNECTED))
    for path in Path(wsrequest.__file__).parent.rglob("*.py"):
        sent |= set(re.findall(r"[cC]lose(?:\(|, )(4\d{3})\b", path.read_text(encoding="utf-8")))
    assert {"4011", "4029", "4105", "4200", "4201"} <= sent
    assert {code for code, built, *_ in rows("Close codes") if built == "yes"} == sent


def test_the_table_of_limits_names_the_defaults():
    defaults = conf.Settings()
    for name, value, _ in rows("Limits"):
        assert str(getattr(defaults, name.lower())) == value.replace(",", ""), name
    bounds = {name for name in conf.NAMES if name.startswith(("MAX_", "MESSAGE"))}
    bounds |= {name for name in conf.NAMES if name.endswith(("_TIMEOUT", "_WAIT"))}
    bounds.add("PING_INTERVAL")
    assert {name for name, *_ in rows("Limits")} == bounds


def test_the_response_headers_that_are_left_out_are_listed():
    (listed,) = (
        block for section in SECTIONS for block in section.blocks if block.role == "omitted"
    )
    assert tuple(listed.text.split()) == conf.OMIT_RESPONSE_HEADERS


def header_names(beginning: str) -> set[str]:
    """The `names` in the paragraph that begins so, up to its first semicolon."""
    paragraph = DOCUMENT.read_text(encoding="utf-8").split(f"**{beginning}**")[1]
    return set(re.findall(r"`([^`]+)`", paragraph.split(";")[0]))


def test_the_headers_that_a_message_may_not_bear_are_listed():
    prefixes = {f"{prefix}*" for prefix in DENIED_PREFIXES}
    assert header_names("Refused in a message") == DENIED_HEADERS | prefixes


def test_the_headers_that_the_handshake_gives_are_listed():
    assert header_names("From the handshake") == CONNECTION_HEADERS | {"x-forwarded-*"}


# --- the convention itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "received", "same"),
    [
        ({"a": [1, "x"]}, {"a": [1, "x"]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ([1, 2], [1], False),
        ("<anything>", "something", True),
        ("<anything>", "", False),
        ("<anything>", 1, False),
        (["<one>", "<one>", "<another>"], ["a", "a", "b"], True),
        (["<one>", "<one>"], ["a", "b"], False),
        ("<number>", 0.5, True),
        ("<number>", "0.5", False),
        ("<number>", True, False),
    ],
)
def test_a_block_is_compared_whole(expected, received, same):
    assert matches(expected, received) is same


async def test_a_wrong_example_is_found(project):
    section = Section(
        "planted",
        [
            Block(1, "json", ["client"], '{"id": 1, "url": "/text/"}'),
            Block(
                2, "json", ["server"], '{"id": 1, "status": 200, "headers": {}, "data": "other"}'
            ),
        ],
    )
    async with play(section) as conversation:
        with pytest.raises(AssertionError, match="line 2"):
            await conversation.run()


async def test_an_answer_that_no_example_shows_is_found(project):
    section = Section("planted", [Block(7, "json", ["client"], '{"id": 1, "url": ""}')])
    async with play(section) as conversation:
        with pytest.raises(AssertionError, match="line 7"):
            await conversation.run()


def test_every_block_has_a_role():
    """A JSON block that is neither sent nor compared would be an example that nothing holds to the code."""
    for section in SECTIONS:
        for block in section.blocks:
            if block.language == "json":
                assert block.role in ("client", "server", "hello"), f"line {block.line}"
