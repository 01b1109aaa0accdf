"""The ASGI application by itself: scopes and events in memory, as servers without extensions send them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from pytest_django.fixtures import Settings

from wsrequest.asgi import get_asgi_application
from wsrequest.session.registry import registry
from wsrequest.transports.asgi import ASGIApplication

PATIENCE = 20

Event = dict[str, Any]


def scope(**facts: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": "/ws/",
        "headers": [(b"host", b"testserver")],
        "subprotocols": [],
        "scheme": "ws",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    } | facts


class Conversation:
    """One call of the application, and what it sends."""

    def __init__(self, application: ASGIApplication, facts: dict[str, Any]) -> None:
        self.to_application: asyncio.Queue[Event] = asyncio.Queue()
        self.sent: asyncio.Queue[Event] = asyncio.Queue()
        self.task = asyncio.create_task(
            application(facts, self.to_application.get, self.sent.put)  # type: ignore[arg-type]
        )

    def tell(self, **event: Any) -> None:
        self.to_application.put_nowait(event)

    async def hear(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            return await self.sent.get()

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.task


@pytest.fixture
def application() -> ASGIApplication:
    return get_asgi_application()


@pytest.fixture
async def talk(application: ASGIApplication) -> Callable[..., Conversation]:
    def start(**facts: Any) -> Conversation:
        conversation = Conversation(application, scope(**facts))
        conversation.tell(type="websocket.connect")
        return conversation

    return start


REFUSALS = [
    ({"path": "/elsewhere/"}, 404, 4003),
    ({"headers": [(b"host", b"evil.example")]}, 403, 4003),
    ({"headers": [(b"host", b"testserver"), (b"origin", b"http://evil.example")]}, 403, 4003),
    ({"headers": [(b"host", b"testserver"), (b"origin", b"null")]}, 403, 4003),
]


@pytest.mark.parametrize(("facts", "status", "code"), REFUSALS)
async def test_refused_before_the_upgrade_where_the_server_can(
    talk: Callable[..., Conversation], facts: dict[str, Any], status: int, code: int
) -> None:
    conversation = talk(extensions={"websocket.http.response": {}}, **facts)
    start, body = await conversation.hear(), await conversation.hear()
    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == status
    assert body["type"] == "websocket.http.response.body"
    assert body["body"]
    await conversation.end()
    assert conversation.sent.empty()


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}, {"extensions": {"tls": {}}}])
@pytest.mark.parametrize(("facts", "status", "code"), REFUSALS)
async def test_closed_after_it_where_the_server_can_not(
    talk: Callable[..., Conversation],
    facts: dict[str, Any],
    status: int,
    code: int,
    extensions: dict[str, Any],
) -> None:
    conversation = talk(**extensions, **facts)
    assert (await conversation.hear())["type"] == "websocket.accept"
    close = await conversation.hear()
    assert close["type"] == "websocket.close"
    assert close["code"] == code
    assert close["reason"]
    await conversation.end()
    assert conversation.sent.empty()


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_no_common_version_is_a_close_code_that_a_browser_can_read(
    talk: Callable[..., Conversation], extensions: dict[str, Any]
) -> None:
    conversation = talk(subprotocols=["graphql-ws", "other"], extensions=extensions)
    accept, close = await conversation.hear(), await conversation.hear()
    # Given none of those that it offered, a browser would fail the connection with 1006.
    assert accept == {"type": "websocket.accept", "subprotocol": "graphql-ws"}
    assert close["code"] == 4001
    await conversation.end()


async def test_too_many_connections(talk: Callable[..., Conversation], settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_CONNECTIONS": 1}
    first = talk()
    assert (await first.hear())["type"] == "websocket.accept"
    second = talk()
    await second.hear()
    assert (await second.hear())["code"] == 4101
    await second.end()
    first.tell(type="websocket.disconnect", code=1000)
    await first.end()
    assert (await talk().hear())["type"] == "websocket.accept"


async def test_a_subprotocol_is_chosen_and_hello_follows(talk: Callable[..., Conversation]) -> None:
    conversation = talk(subprotocols=["wsrequest.v9.json", "wsrequest.v1.json"])
    assert await conversation.hear() == {
        "type": "websocket.accept",
        "subprotocol": "wsrequest.v1.json",
    }
    assert '"hello"' in (await conversation.hear())["text"]
    conversation.tell(type="websocket.disconnect", code=1001)
    await conversation.end()


@pytest.mark.parametrize(
    "frame",
    [
        {"text": '{"ping": 1}'},
        {"bytes": b'{"ping": 1}'},
        {"text": None, "bytes": b'{"ping": 1}'},
        {"text": '{"ping": 1}', "bytes": None},
    ],
)
async def test_text_and_bytes(talk: Callable[..., Conversation], frame: dict[str, Any]) -> None:
    conversation = talk()
    await conversation.hear()
    conversation.tell(type="websocket.receive", **frame)
    assert await conversation.hear() == {"type": "websocket.send", "text": '{"pong":1}'}
    conversation.tell(type="websocket.disconnect", code=1001)
    await conversation.end()


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"path": "/elsewhere/"},
        {"path": "/elsewhere/", "extensions": {"websocket.http.response": {}}},
        {"subprotocols": ["other"]},
    ],
)
async def test_a_peer_that_is_gone_before_it_is_answered(
    application: ASGIApplication, facts: dict[str, Any]
) -> None:
    """A server says so by an OSError; it is no error of the application's."""
    sends = 0

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        nonlocal sends
        sends += 1
        raise ConnectionResetError

    async with asyncio.timeout(PATIENCE):
        await application(scope(**facts), receive, send)
    assert sends == 1
    assert not registry.members


async def test_lifespan(application: ASGIApplication) -> None:
    conversation = Conversation(application, {"type": "lifespan"})
    conversation.tell(type="lifespan.startup")
    assert await conversation.hear() == {"type": "lifespan.startup.complete"}
    conversation.tell(type="lifespan.shutdown")
    assert await conversation.hear() == {"type": "lifespan.shutdown.complete"}
    await conversation.end()


async def test_https_of_a_proxy_is_believed_where_the_settings_say_so(
    talk: Callable[..., Conversation], settings: Settings
) -> None:
    headers = [(b"host", b"testserver"), (b"origin", b"https://testserver")]
    refused = talk(headers=headers)
    await refused.hear()
    assert (await refused.hear())["code"] == 4003
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    accepted = talk(headers=[*headers, (b"x-forwarded-proto", b"https")])
    assert (await accepted.hear())["type"] == "websocket.accept"
    for conversation in (refused, accepted):
        conversation.tell(type="websocket.disconnect", code=1001)
        await conversation.end()


async def test_views_are_not_imported_on_the_loop() -> None:
    """The first message would wait for it, and all other connections with it."""
    with override_settings(ROOT_URLCONF="tests.project.late_urls"):
        conversation = Conversation(get_asgi_application(), scope())
        conversation.tell(type="websocket.connect")
        await conversation.hear()
        conversation.tell(type="websocket.receive", text='{"url": "/where-imported/"}')
        assert '"data":"not on a loop"' in (await conversation.hear())["text"]
        conversation.tell(type="websocket.disconnect", code=1001)
        await conversation.end()
