"""Send a step over HTTP and as a message, and bring both answers into one form.

A message's answer is read as PROTOCOL.md tells a client to: `data` under a JSON type is the body as it
stands in the frame, any other string is text in the charset of its type, `encoding` says base64. Under
MessagePack bytes are bytes, and JSON is its value.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass, field, replace
from email.message import Message as HeaderParser
from http.cookies import SimpleCookie
from typing import Any, Self

import httpx
import msgspec
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websockets_connect

USER_AGENT = "tests"
CSRF = "c" * 32

#: What PROTOCOL.md says is not on the wire, and what the HTTP server itself adds.
NOT_ON_THE_WIRE = frozenset(
    "alt-svc connection content-length content-security-policy content-security-policy-report-only"
    " cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy date"
    " keep-alive permissions-policy referrer-policy server strict-transport-security"
    " transfer-encoding x-content-type-options x-frame-options x-xss-protection".split()
)


@dataclass(frozen=True)
class Step:
    """One request, as it is sent over HTTP and as a message."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    #: Over HTTP.
    body: bytes | None = None
    http_url: str | None = None
    http_headers: dict[str, str] = field(default_factory=dict)
    #: Further fields of the message.
    message: dict[str, Any] = field(default_factory=dict)
    #: Cookies whose values are random.
    random: frozenset[str] = frozenset({"sessionid", "csrftoken"})
    #: What must be in the body, so that two equal error pages are not taken for success.
    contains: str = ""
    #: None where it differs between versions of Django.
    status: int | None = 200


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: dict[str, dict[str, Any]]
    streamed: bool = field(default=False, compare=False)


class OverHTTP:
    def __init__(self, base: str) -> None:
        self._client = httpx.Client(base_url=base, timeout=30, trust_env=False, verify=False)
        self._client.cookies.set("csrftoken", CSRF, domain="127.0.0.1", path="/")

    def send(self, step: Step) -> Answer:
        target = step.http_url or step.url
        request = self._client.build_request(
            step.method, "/" if target == "*" else target.partition("?")[0], content=step.body
        )
        for name in ("accept", "accept-encoding", "user-agent"):
            del request.headers[name]
        request.headers["user-agent"] = USER_AGENT
        request.headers["origin"] = str(self._client.base_url).rstrip("/")
        request.headers["x-csrftoken"] = self._client.cookies["csrftoken"]
        raw = {**step.headers, **step.http_headers}
        request.headers = httpx.Headers(
            [
                *request.headers.raw,
                *((name.encode(), value.encode()) for name, value in raw.items()),
            ]
        )
        request.extensions["target"] = target.encode()
        response = self._client.send(request, stream=True)
        try:
            body = b"".join(response.iter_raw())
        finally:
            response.close()
        headers = {
            name.decode().lower(): value.decode("latin-1")
            for name, value in response.headers.raw
            if name.lower() != b"set-cookie"
        }
        cookies = _cookies(response.headers.get_list("set-cookie"), step)
        return Answer(response.status_code, _on_the_wire(headers), _plain(body, headers), cookies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._client.close()


class _Response(msgspec.Struct):
    id: Any = None
    status: int | None = None
    headers: dict[str, str] = {}
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    chunk: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    encoding: str | None = None
    cookies: dict[str, dict[str, Any]] = {}
    more: bool = False
    end: bool = False


class OverSocket:
    subprotocol = "wsrequest.v1.json"

    def __init__(self, url: str, origin: str) -> None:
        self._opening = websockets_connect(
            url,
            origin=origin,  # type: ignore[arg-type]
            subprotocols=[self.subprotocol],  # type: ignore[list-item]
            user_agent_header=USER_AGENT,
            additional_headers={"Cookie": f"csrftoken={CSRF}"},
            compression=None,
            max_size=None,
            proxy=None,
        )
        self._arrived: list[_Response] = []
        self._csrf = CSRF

    def __enter__(self) -> Self:
        self._socket: ClientConnection = self._opening.__enter__()
        assert self._read(self._socket.recv(30))["control"] == "hello"
        return self

    def __exit__(self, *details: object) -> None:
        self._opening.__exit__(*details)

    def send(self, step: Step) -> Answer:
        # The header is no matter to the socket, whose Origin was verified; it makes both requests the same.
        headers = {**step.headers, "x-csrftoken": self._csrf}
        message = {"id": 1, "url": step.url, "method": step.method, **step.message}
        message["headers"] = headers
        self._socket.send(self._frame(message))
        head = self._next()
        assert head.status is not None
        content_type = head.headers.get("content-type", "")
        if head.more:
            body = b""
            while not (part := self._next()).end:
                assert not isinstance(part.chunk, msgspec.UnsetType)
                body += self._text(part.chunk, part.encoding, content_type)
            assert part.status is None
        elif isinstance(head.data, msgspec.UnsetType):
            body = b""
        else:
            body = self._body(head.data, head.encoding, content_type)
        self._csrf = str(head.cookies.get("csrftoken", {}).get("value", self._csrf))
        told = {name: _told(name, facts, step) for name, facts in head.cookies.items()}
        headers = _on_the_wire(head.headers)
        return Answer(head.status, headers, _plain(body, headers), told, head.more)

    def _next(self) -> _Response:
        if not self._arrived:
            self._arrived = self._messages(self._socket.recv(30))
        return self._arrived.pop(0)

    def over_http(self, step: Step) -> Step:
        """The step as HTTP has to send it, for the view to see the same."""
        return step

    def comparable(self, answer: Answer) -> Answer:
        """The answer, without what this codec does not say."""
        return answer

    def _frame(self, message: dict[str, Any]) -> str | bytes:
        return json.dumps(message)

    def _messages(self, frame: str | bytes) -> list[_Response]:
        assert isinstance(frame, str)
        return msgspec.json.decode(
            frame if frame.startswith("[") else f"[{frame}]", type=list[_Response]
        )

    def _read(self, data: msgspec.Raw | str | bytes) -> Any:
        return json.loads(data if isinstance(data, str) else bytes(data))

    def _body(self, data: msgspec.Raw, encoding: str | None, content_type: str) -> bytes:
        if encoding is None and _is_json(content_type):
            return bytes(data)
        return self._text(data, encoding, content_type)

    def _text(self, data: msgspec.Raw, encoding: str | None, content_type: str) -> bytes:
        value = self._read(data)
        if encoding == "base64":
            return base64.b64decode(value, validate=True)
        return value.encode(_charset(content_type))


class OverMsgpack(OverSocket):
    subprotocol = "wsrequest.v1.msgpack"

    def over_http(self, step: Step) -> Step:
        """JSON comes to the view as the server writes it, except where MessagePack can't say it."""
        typed = step.headers | step.http_headers
        if not _is_json(typed.get("content-type", "")) or "encoding" in step.message:
            return step
        if "data" not in step.message or _packed(step.message) is None:
            return step
        return replace(step, body=msgspec.json.encode(step.message["data"]))

    def comparable(self, answer: Answer) -> Answer:
        return by_value(answer)

    def _frame(self, message: dict[str, Any]) -> bytes:
        if message.get("encoding") == "base64":
            message = message | {"data": base64.b64decode(message["data"])}
            del message["encoding"]
        elif isinstance(message.get("data"), dict):
            message = message | {"data": {k: _with_bytes(v) for k, v in message["data"].items()}}
        return _packed(message) or msgspec.msgpack.encode(_as_json_bytes(message))

    def _messages(self, frame: str | bytes) -> list[_Response]:
        assert isinstance(frame, bytes)
        many = isinstance(msgspec.msgpack.decode(frame), list)
        return msgspec.msgpack.decode(frame if many else b"\x91" + frame, type=list[_Response])

    def _read(self, data: msgspec.Raw | str | bytes) -> Any:
        assert not isinstance(data, str)
        return msgspec.msgpack.decode(data)

    def _body(self, data: msgspec.Raw, encoding: str | None, content_type: str) -> bytes:
        value = self._read(data)
        if _is_json(content_type) and not isinstance(value, bytes):
            return msgspec.json.encode(value)
        return self._text(data, encoding, content_type)

    def _text(self, data: msgspec.Raw, encoding: str | None, content_type: str) -> bytes:
        assert encoding is None
        value = self._read(data)
        return value if isinstance(value, bytes) else value.encode(_charset(content_type))


def by_value(answer: Answer) -> Answer:
    """JSON is the same where its value is."""
    if not _is_json(answer.headers.get("content-type", "")):
        return answer
    try:
        body = msgspec.json.encode(msgspec.json.decode(answer.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return answer
    return replace(answer, body=body)


def _packed(message: dict[str, Any]) -> bytes | None:
    """None where there is an integer of more than 64 bits in it, or half an emoji."""
    try:
        return msgspec.msgpack.encode(message)
    except (OverflowError, UnicodeEncodeError):
        return None


def _as_json_bytes(message: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json", **message["headers"]}
    return message | {"headers": headers, "data": json.dumps(message["data"]).encode()}


def _with_bytes(value: Any) -> Any:
    """A form's value, with the content of its files as bytes."""
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if isinstance(value, dict) and "content" in value:
        try:
            return value | {"content": base64.b64decode(value["content"], validate=True)}
        except ValueError:
            return value
    return value


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _plain(body: bytes, headers: dict[str, str]) -> bytes:
    """Without what can't be the same: a page's masked CSRF token and the padding of GZipMiddleware are random,
    and blanks around a JSON text are not part of its value."""
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    content_type = headers.get("content-type", "")
    if content_type.startswith("text/html"):
        return _TOKEN.sub(b"(token)", body)
    return body.strip(b" \t\r\n") if _is_json(content_type) else body


_TOKEN = re.compile(rb"\b[A-Za-z0-9]{64}\b")


def _charset(content_type: str) -> str:
    parser = HeaderParser()
    parser["content-type"] = content_type or "text/plain"
    return parser.get_content_charset() or "utf-8"


def _on_the_wire(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in NOT_ON_THE_WIRE}


def _cookies(lines: list[str], step: Step) -> dict[str, dict[str, Any]]:
    found = {}
    for line in lines:
        for name, morsel in SimpleCookie(line).items():
            facts: dict[str, Any] = {key: value for key, value in morsel.items() if value}
            if not morsel["httponly"]:
                facts["value"] = morsel.value
            found[name] = _told(name, facts, step)
    return found


def _told(name: str, facts: dict[str, Any], step: Step) -> dict[str, Any]:
    facts = dict(facts)
    if "expires" in facts and "1970" not in str(facts["expires"]):
        facts["expires"] = "some day"
    if name in step.random and facts.get("value"):
        facts["value"] = "random"
    if "max-age" in facts:
        facts["max-age"] = int(facts["max-age"])
    return facts
