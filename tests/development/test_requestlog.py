"""The lines of `runserver`, and the sockets of its servers."""

from __future__ import annotations

import errno
import logging
import socket

import pytest

from wsrequest.log import request_log
from wsrequest.management.requestlog import MessageLog, RequestLog, log_messages
from wsrequest.management.servers import Granian, Uvicorn, _says_more


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="django.server")
    logger = logging.getLogger("django.server")
    logger.addHandler(caplog.handler)
    yield lambda: [(record.levelname, record.getMessage()) for record in caplog.records]
    logger.removeHandler(caplog.handler)


async def run(scope, *messages):
    """Which messages come through, of an application that sends these."""
    sent = []

    async def application(scope, receive, send):
        for message in messages:
            await send(message)

    async def send(message):
        sent.append(message)

    await RequestLog(application)(scope, None, send)
    assert sent == list(messages)


HTTP = {"type": "http", "method": "GET", "path": "/é/", "raw_path": b"/%C3%A9/?a=1"}


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "INFO"), (302, "INFO"), (404, "WARNING"), (500, "ERROR")],
)
async def test_an_http_request(lines, status, level):
    await run(
        {**HTTP, "query_string": b"a=1", "http_version": "2"},
        {"type": "http.response.start", "status": status},
        {"type": "http.response.body", "body": b"1234", "more_body": True},
        {"type": "http.response.body", "body": b"5"},
    )
    assert set(lines()) == {(level, f'"GET /%C3%A9/?a=1 HTTP/2" {status} 5')}


async def test_handshakes(lines):
    scope = {"type": "websocket", "path": "/ws/"}
    await run(scope, {"type": "websocket.accept", "subprotocol": "x"}, {"type": "websocket.send"})
    await run(scope, {"type": "websocket.accept"}, {"type": "websocket.close"})
    refusal = {"type": "websocket.http.response.start", "status": 403}
    await run(scope, refusal, {"type": "websocket.http.response.body"})
    assert list(dict.fromkeys(lines())) == [
        ("INFO", '"WebSocket /ws/" 101 x'),
        ("INFO", '"WebSocket /ws/" 101 -'),
        ("WARNING", '"WebSocket /ws/" 403 -'),
    ]


async def test_what_is_no_request(lines):
    await run({"type": "lifespan"}, {"type": "lifespan.startup.complete"})
    assert lines() == []


def record(status, *args):
    made = logging.LogRecord("wsrequest.request", logging.DEBUG, "", 1, "%s %s", args, None)
    made.status_code = status
    return made


def test_messages(lines):
    MessageLog().emit(record(200, "GET", "'/x/'"))
    MessageLog().emit(record(None, "GET", "'/x/'"))  # it was given up
    assert set(lines()) == {("INFO", '"GET /x/ WebSocket" 200 -')}


def test_a_project_with_lines_of_its_own_keeps_them():
    level, handlers = request_log.level, list(request_log.handlers)
    try:
        request_log.setLevel(logging.DEBUG)
        log_messages()
        assert request_log.handlers == handlers
        request_log.setLevel(logging.INFO)
        log_messages()
        log_messages()
        assert len(request_log.handlers) == len(handlers) + 1
        assert request_log.level == logging.DEBUG
    finally:
        request_log.setLevel(level)
        request_log.handlers[:] = handlers


@pytest.mark.parametrize("kind", [Uvicorn, Granian])
def test_a_port_in_use(kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError) as refused:  # noqa: PT011 (by its number)
            kind(taken.getsockname())
    assert refused.value.errno == errno.EADDRINUSE


def test_a_free_port():
    server = Uvicorn(("127.0.0.1", 0))
    assert server.server_port == server.socket.getsockname()[1] > 0
    server.socket.close()


def test_what_uvicorn_says_of_each_refusal_is_left_out():
    def says(text):
        return _says_more(logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, text, (), None))

    assert not says("ASGI callable returned without completing handshake.")
    assert says("Exception in ASGI application")
