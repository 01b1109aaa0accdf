"""What goes wrong when Django's lifecycle is run outside Django's own handlers; each pitfall has its test."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import TestCase, override_settings

from tests.lifecycle import support, views
from tests.lifecycle.fixtures import MakeRunner
from tests.lifecycle.middleware import Seen
from tests.lifecycle.support import HOST, ORIGIN, connected
from tests.lifecycle.views import Stage
from wsrequest import WebSocketRequest
from wsrequest.lifecycle.handler import AsyncHandler, SyncHandler, async_handler, sync_handler
from wsrequest.lifecycle.runner import PoolRunner

pytestmark = pytest.mark.usefixtures("urls")

database = pytest.mark.django_db(transaction=True)


async def test_handler_refuses_websockets() -> None:
    async def never(*args: Any) -> Any:
        raise AssertionError

    with pytest.raises(ValueError, match="only handle ASGI/HTTP"):
        await ASGIHandler()({"type": "websocket"}, never, never)
    for handler in (SyncHandler, AsyncHandler):
        assert issubclass(handler, BaseHandler)
        assert not issubclass(handler, ASGIHandler)
    async with connected() as socket:
        assert (await socket.request("/hello/"))["data"] == "hello"


async def test_thread_sensitivity(make_runner: MakeRunner, stage: Stage, settings: Any) -> None:
    """Two messages' synchronous parts run at the same time, each on one thread, and that is one of the pool."""
    settings.MIDDLEWARE = [
        "tests.lifecycle.middleware.Meeting",
        "tests.lifecycle.middleware.ThreadNote",
    ]
    runner = make_runner(2)
    recorders = [support.start(runner, "/threads/") for _ in range(2)]
    told = [json.loads((await recorder.wait()).text) for recorder in recorders]
    threads = [{*one["hops"], one["hook"]} for one in told]
    assert [len(one) for one in threads] == [1, 1]
    assert threads[0] | threads[1] == {worker._thread.ident for worker in runner.pool.workers}
    assert len(threads[0] | threads[1]) == 2


@database
@pytest.mark.parametrize("url", ["/users/", "/ausers/"])
async def test_thread_local_db_connections(make_runner: MakeRunner, url: str) -> None:
    """Both signals are sent in the thread that has the connection, so that it is closed when it is due."""
    runner = make_runner(1)
    with support.signal_log() as log:
        assert (await support.run(runner, url)).text == "[]"
    (worker,) = runner.pool.workers
    assert log.threads == {worker._thread.ident}
    states: list[object] = []
    looked = threading.Event()

    def look(worker: object) -> None:
        states.append(connection.connection)
        looked.set()

    worker.run_here(look)
    assert await asyncio.to_thread(looked.wait, support.PATIENCE)
    assert states == [None]


async def test_request_started_and_finished(runner: PoolRunner, stage: Stage) -> None:
    """Once each; also after an exception, for a stream, and on cancel."""
    senders: list[type] = []

    def finished(sender: type, **kwargs: Any) -> None:
        senders.append(sender)

    with support.listening(request_finished, finished):
        for url in ("/hello/", "/ahello/", "/fail/", "/afail/", "/stream/", "/astream/"):
            with support.signal_log() as log:
                await support.run(runner, url)
            assert log.names == ["started", "finished"], url
        assert set(senders) == {SyncHandler, AsyncHandler}
    for url in ("/await/", "/aendless/"):
        with support.signal_log() as log:
            recorder = support.start(runner, url)
            entered = stage.async_entered if url == "/await/" else recorder.got_chunk
            assert entered is not None
            await asyncio.wait_for(entered.wait(), support.PATIENCE)
            assert recorder.task is not None
            recorder.task.cancel()
            await recorder.wait()
        assert log.names == ["started", "finished"], url


def test_test_client_in_production() -> None:
    """Running messages loads nothing of django.test, and leaves Django's own signal receivers alone."""
    script = """
import asyncio, sys
import django
from django.conf import settings
django.setup()
from django.core.signals import request_started
receivers = list(request_started.receivers)
from wsrequest import WebSocketRequest
message = '{"url": "/hello/"}'
assert WebSocketRequest(message).get_response().content == b"hello"
assert asyncio.run(WebSocketRequest(message).aget_response()).content == b"hello"

from wsrequest.asgi import get_asgi_application
async def talk():
    to_server, from_server = asyncio.Queue(), asyncio.Queue()
    scope = {"type": "websocket", "path": "/ws/", "headers": [(b"host", b"testserver")]}
    task = asyncio.create_task(get_asgi_application()(scope, to_server.get, from_server.put))
    to_server.put_nowait({"type": "websocket.connect"})
    to_server.put_nowait({"type": "websocket.receive", "text": message})
    assert (await from_server.get())["type"] == "websocket.accept"
    assert '"status":200' in (await from_server.get())["text"]
    to_server.put_nowait({"type": "websocket.disconnect"})
    await task
asyncio.run(talk())
assert request_started.receivers == receivers
print(sorted(name for name in sys.modules if name.startswith("django.test")))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"DJANGO_SETTINGS_MODULE": "tests.pitfalls.plain_settings", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


async def test_contextvars(make_runner: MakeRunner) -> None:
    runner = make_runner(1)
    for url in ("/state/", "/astate/"):
        for _ in range(2):
            recorder = await support.run(runner, f"{url}?language=fr&timezone=Europe/Paris")
            told = json.loads(recorder.text)
            assert (told["before"]["language"], told["before"]["timezone"]) == ("en-us", "UTC")
            assert (told["after"]["language"], told["after"]["timezone"]) == ("fr", "Europe/Paris")


async def test_urlconf(make_runner: MakeRunner, settings: Any) -> None:
    """``request.urlconf`` of a middleware is honoured, and is not the next message's."""
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.OtherURLs"]
    runner = make_runner(1)
    for url in ("/other/", "/aother/"):
        chosen = await support.run(runner, url, headers={"x-other": "1"})
        assert json.loads(chosen.text)["before"]["urlconf"] == "tests.lifecycle.other_urls"
        assert (await support.run(runner, url)).status == 404
        told = json.loads((await support.run(runner, "/state/")).text)
        assert told["before"]["urlconf"] == "tests.lifecycle.urls"


async def test_resolver_caches(runner: PoolRunner) -> None:
    """No resolver, hint or middleware chain outlives a change of settings."""
    assert (await support.run(runner, "/hello/")).text == "hello"
    chains = sync_handler(), async_handler()
    with override_settings(
        ROOT_URLCONF="tests.lifecycle.other_urls", MIDDLEWARE=["tests.lifecycle.middleware.mode"]
    ):
        other = await support.run(runner, "/hello/")
        assert json.loads(other.text)["before"]["urlconf"] == "tests.lifecycle.other_urls"
        assert other.reply.headers["x-mode"] == "sync"
        assert (await support.run(runner, "/aother/")).reply.headers["x-mode"] == "async"
    again = await support.run(runner, "/hello/")
    assert again.text == "hello"
    assert "x-mode" not in again.reply.headers
    assert chains[0] is not sync_handler()
    assert chains[1] is not async_handler()


@pytest.mark.parametrize("kind", ["root_path", "FORCE_SCRIPT_NAME"])
async def test_script_prefix(kind: str, settings: Any) -> None:
    """A url is what ``reverse()`` gives, with the prefix; one without is taken as it is."""
    facts: dict[str, Any] = {}
    if kind == "root_path":
        facts = {"root_path": "/app", "path": "/app/ws/"}
    else:
        settings.FORCE_SCRIPT_NAME = "/app"
    async with connected(**facts) as socket:
        for url in ("/app/request/", "/request/", "/app/arequest/", "/arequest/"):
            told = (await socket.request(url))["data"]
            view = url.removeprefix("/app")
            assert told["path"] == f"/app{view}"
            assert told["path_info"] == view
            assert told["META"]["SCRIPT_NAME"] == "/app"
            assert told["reversed"] == "/app/hello/"
            assert told["absolute"] == f"http://testserver/app{view}"
    settings.FORCE_SCRIPT_NAME = None
    async with connected() as socket:
        assert (await socket.request("/request/"))["data"]["reversed"] == "/hello/"


@pytest.mark.parametrize(("scheme", "http"), [("ws", "http"), ("wss", "https")])
async def test_scope_scheme_ws_wss(scheme: str, http: str, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    async with connected(scheme=scheme) as socket:
        answer = await socket.request("/request/")
        if scheme == "ws":
            assert answer["status"] == 301
            settings.SECURE_SSL_REDIRECT = False
            answer = await socket.request("/request/")
        assert answer["status"] == 200
        told = answer["data"]
        assert told["secure"] is (scheme == "wss")
        assert told["absolute"] == f"{http}://testserver/request/"
        assert told["scope"] == "http"


async def test_handshake_headers(settings: Any) -> None:
    """What speaks of the client goes into every request; what speaks of the upgrade does not."""
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]
    upgrade = {
        b"accept-encoding": b"gzip",
        b"range": b"bytes=0-1",
        b"if-none-match": b'"x"',
        b"if-modified-since": b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"content-type": b"text/plain",
        b"content-length": b"5",
        b"sec-websocket-key": b"key",
        b"sec-websocket-version": b"13",
        b"referer": b"http://testserver/page/",
    }
    kept = {
        b"user-agent": b"a browser",
        b"accept-language": b"de",
        b"x-forwarded-for": b"198.51.100.1",
        b"authorization": b"JWT token",
        b"traceparent": b"00-1-2-00",
    }
    async with connected(*upgrade.items(), *kept.items()) as socket:
        meta = (await socket.request("/request/"))["data"]["META"]
        names = {key.removeprefix("HTTP_").lower().replace("_", "-").encode() for key in meta}
        assert names.isdisjoint(upgrade)
        for name, value in {**kept, HOST[0]: HOST[1]}.items():
            assert meta[f"HTTP_{name.decode().upper().replace('-', '_')}"] == value.decode()
        assert meta["REMOTE_ADDR"] == "203.0.113.7"
        large = await socket.request("/respond/?body=" + "x" * 1000)
        assert large["data"] == "x" * 1000
        assert "content-encoding" not in large["headers"]


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "cookie",
        "Origin",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "forwarded",
        "x-real-ip",
        "remote-user",
        "content-length",
        "connection",
        "transfer-encoding",
        "under_score",
        "x-scheme",
        "sec-websocket-key",
        "proxy-authorization",
    ],
)
async def test_message_supplied_headers(name: str, settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_SCHEME", "https")
    async with connected() as socket:
        refused = await socket.request("/request/", headers={name: "https"})
        assert refused["status"] == 400
        assert name in refused["data"]["error"]
        told = (await socket.request("/request/", headers={"X-Tag": "1", "x-tag": "2"}))["data"]
        assert told["META"]["HTTP_X_TAG"] == "1, 2"
        assert told["secure"] is False


async def test_path_and_query() -> None:
    async with connected() as socket:
        told = (await socket.request("/request/a%20b/%C3%BC%2525/?x=1&x=2&y=&z&q=a%2Bb+c"))["data"]
        assert told["path"] == "/request/a b/ü%25/"
        assert told["query"] == "x=1&x=2&y=&z&q=a%2Bb+c"
        assert told["GET"] == {"x": ["1", "2"], "y": [""], "z": [""], "q": ["a+b c"]}
        for url in ("//other.example/", "http://testserver/request/", "/request/\x00"):
            assert (await socket.request(url))["status"] == 400
        assert (await socket.request("/%2Fother.example/"))["data"] == "/other.example/"
        assert (await socket.request("/text/%00/"))["data"] == "\x00"
        assert (await socket.request("request/"))["status"] == 404


async def test_constructor_errors(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A request that Django can't make is answered, and the connection goes on."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    async with connected(ORIGIN) as socket:
        too_big = await socket.request("/request/", "POST", data={"text": "x" * 50})
        assert too_big["status"] == 400  # as over HTTP: RequestDataTooBig in the view
        for content_type in (
            "text/plain; charset=nothing",
            "text/plain; x*=nothing''%FF",
            "text/plain; x*=utf-8''%FF; charset*=utf-8''%00",
            "multipart/form-data; boundary=" + "b" * 300,
            ";;;=",
            "\xff",
        ):
            answer = await socket.request(
                "/request/",
                "POST",
                data="x",
                headers={"content-type": content_type},
                encoding="text",
            )
            assert answer["status"] in (200, 400, 413), (content_type, answer)
        assert (await socket.request("/hello/"))["data"] == "hello"


async def test_body(settings: Any) -> None:
    async with connected(ORIGIN) as socket:
        told = (await socket.request("/request/", "PUT", data={"ü": 1}))["data"]
        body = '{"\\u00fc": 1}'  # as it was sent
        assert told["body"] == body
        assert told["META"]["CONTENT_LENGTH"] == str(len(body))
        assert told["META"]["CONTENT_TYPE"] == told["content_type"] == "application/json"
        answer = await socket.request("/data/", "POST", data={"a": [1, 2]})
        assert answer["data"] == {"data": {"a": [1, 2]}}
        empty = (await socket.request("/request/", "POST"))["data"]
        assert empty["content_type"] == ""
        assert "CONTENT_LENGTH" not in empty["META"]
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
        small, large = "x" * 18, "x" * 19  # and two quotes
        assert (await socket.request("/request/", "POST", data=small))["status"] == 200
        assert (await socket.request("/request/", "POST", data=large))["status"] == 400


async def test_read_started(settings: Any) -> None:
    """Nothing of ours reads a request before the view, and no request is used twice."""
    Seen.requests = []
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.Seen"]
    async with connected(ORIGIN) as socket:
        for _ in range(2):
            answer = await socket.request("/read-twice/", "POST", data="abcdef", encoding="text")
            assert answer["data"] == {"read": "abc", "error": "RawPostDataException"}
    first, second = Seen.requests
    assert first is not second
    assert not support.build("/hello/", "POST", data={})._read_started


async def test_files(settings: Any) -> None:
    views.Uploads.seen = []
    upload = {
        "filename": "ü.txt",
        "content_type": "text/x-test",
        "content": base64.b64encode(b"contents").decode(),
    }
    form = {"content-type": "multipart/form-data"}
    fields = {"data": {"file": upload, "field": "ä"}, "headers": form}
    settings.MIDDLEWARE = []
    async with connected(ORIGIN) as socket:
        told = (await socket.request("/upload/", "POST", **fields))["data"]
        assert told == {
            "kind": "InMemoryUploadedFile",
            "name": "ü.txt",
            "type": "text/x-test",
            "size": 8,
            "fields": {"field": "ä"},
        }
        chosen = (await socket.request("/upload/?handler=file", "POST", **fields))["data"]
        assert chosen["kind"] == "TemporaryUploadedFile"
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 7
        large = (await socket.request("/upload/", "POST", **fields))["data"]
        assert large["kind"] == "TemporaryUploadedFile"
    assert [upload.closed for upload in views.Uploads.seen] == [True] * 3


@pytest.mark.parametrize("url", ["/request/", "/arequest/"])
async def test_asgirequest_vs_wsgirequest(settings: Any, url: str) -> None:
    Seen.requests = []
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.Seen"]
    async with connected(ORIGIN) as socket:
        await socket.request(f"{url}?a=1")
    (request,) = Seen.requests
    assert isinstance(request, ASGIRequest)
    assert request.scope["type"] == "http"
    assert request.scope["method"] == "GET"
    assert request.scope["path"] == url
    assert request.scope["query_string"] == b"a=1"
    assert request.scope["websocket"].path == "/ws/"
    assert HOST in request.scope["headers"]
    assert request.environ is request.META  # type: ignore[attr-defined]


async def test_middleware_modes(runner: PoolRunner, settings: Any) -> None:
    """The chain's mode is the view's."""
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.mode"]
    assert (await support.run(runner, "/hello/")).reply.headers["x-mode"] == "sync"
    assert (await support.run(runner, "/ahello/")).reply.headers["x-mode"] == "async"


@database
async def test_atomic_requests(runner: PoolRunner) -> None:
    """A synchronous view runs in its transaction; an asynchronous one is refused, which ``check`` tells beforehand."""
    from django.core.checks import run_checks
    from django.db import connections

    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert (await support.run(runner, "/make-user/")).text == "True"
        assert (await support.run(runner, "/make-user/?fail=1")).status == 500
        assert json.loads((await support.run(runner, "/users/")).text) == ["made"]
        assert (await support.run(runner, "/ahello/")).status == 500
        found = await asyncio.to_thread(run_checks)
        messages = [message.msg for message in found if message.id.startswith("wsrequest")]
        assert [message for message in messages if "ATOMIC_REQUESTS" in message]
    finally:
        connections.settings["default"]["ATOMIC_REQUESTS"] = False


@pytest.mark.parametrize("url", ["/fail/", "/afail/"])
async def test_exceptions(settings: Any, url: str) -> None:
    """Each becomes Django's own answer, or one of ours; the socket goes on in any case."""
    async with connected() as socket:
        for how, status in (("404", 404), ("403", 403), ("400", 400), ("x", 500)):
            answer = await socket.request(f"{url}?how={how}")
            assert answer["status"] == status
            assert "secret" not in answer["data"]
        assert (await socket.request("/fail/?how=404"))["data"] == "nothing at /fail/"
        for how in ("exit", "interrupt"):
            answer = await socket.request(f"{url}?how={how}")
            assert answer["status"] == 500
            assert answer["data"]["code"] == "internal_error"
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        answer = await socket.request(url)
        assert answer["status"] == 500
        assert "secret" not in json.dumps(answer)
        settings.DEBUG_PROPAGATE_EXCEPTIONS = False
        settings.DEBUG = True
        assert "a secret of the server" in (await socket.request(url))["data"]
        assert (await socket.request("/hello/"))["data"] == "hello"


async def test_streaming(runner: PoolRunner, stage: Stage) -> None:
    """Chunk by chunk, a synchronous iterator in its thread, a file in blocks; always closed."""
    with support.signal_log() as log:
        recorder = await support.run(runner, "/async-stream/")
        assert len(recorder.chunks) == 2
        assert {line.split()[3] for line in recorder.text.splitlines()} <= {
            str(worker._thread.ident) for worker in runner.pool.workers
        }
        recorder = await support.run(runner, "/file/")
        assert recorder.text.startswith('"""Views that tell')
        recorder = support.start(runner, "/endless/")
        await asyncio.wait_for(recorder.got_chunk.wait(), support.PATIENCE)
        assert recorder.task is not None
        recorder.task.cancel()
        await recorder.wait()
        assert stage.cleaned_up.is_set()
    assert log.names.count("finished") == log.names.count("started") == 3


async def test_cancellation(stage: Stage, settings: Any) -> None:
    """An async view is cancelled; a sync one runs to its end and holds its place, though its answer is 499 at once."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with connected() as socket:
        await socket.send({"id": "a", "url": "/await/"})
        assert stage.async_entered is not None
        await asyncio.wait_for(stage.async_entered.wait(), support.PATIENCE)
        await socket.send({"cancel": "a"})
        assert (await socket.next())["status"] == 499
        assert (await socket.request("/hello/"))["status"] == 200
        assert stage.cancelled

        await socket.send({"id": "b", "url": "/wait/"})
        assert await asyncio.to_thread(stage.entered.wait, support.PATIENCE)
        await socket.send({"cancel": "b"})
        answer = await socket.next()
        assert (answer["id"], answer["status"]) == ("b", 499)
        await socket.send({"id": "c", "url": "/hello/"})
        await socket.send({"ping": 1})
        assert await socket.next() == {"pong": 1}  # read after "c", which waits for its place
        assert not stage.left.is_set()
        stage.may_leave.set()
        assert (await socket.next())["id"] == "c"
        assert stage.left.is_set()


async def test_response_cookies() -> None:
    """In the connection's jar for later messages, and told by name; never a value that is HttpOnly."""
    async with connected(ORIGIN, (b"cookie", b"first=0")) as socket:
        answer = await socket.request("/set-cookies/")
        assert "set-cookie" not in answer["headers"]
        cookies = answer["cookies"]
        assert cookies["plain"]["value"] == "1"
        assert cookies["hidden"]["httponly"] is True
        assert "value" not in cookies["hidden"]
        seen = (await socket.request("/see-cookies/"))["data"]
        assert seen == {"first": "0", "plain": "1", "hidden": "2"}
        seen = (await socket.request("/elsewhere/see-cookies/"))["data"]
        assert seen["elsewhere"] == "3"
        await socket.request("/set-cookies/?delete=1")
        assert "plain" not in (await socket.request("/see-cookies/"))["data"]
    async with connected() as socket:
        assert (await socket.request("/see-cookies/"))["data"] == {}


@database
async def test_session_writes(settings: Any) -> None:
    """The real middleware saves; a login changes the key, and the next message has it."""
    await asyncio.to_thread(_make_user)
    async with connected(ORIGIN) as socket:
        for expected in ("1", "2", "3"):
            assert (await socket.request("/count/"))["data"] == expected
        assert (await socket.request("/count/?fail=1"))["status"] == 500
        assert (await socket.request("/count/"))["data"] == "4"  # the failing one did not save
        (before,) = await asyncio.to_thread(_session_keys)
        answer = await socket.request(
            "/log-in/",
            "POST",
            data={"username": "ann", "password": "secret"},
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer["status"] == 200
        (after,) = await asyncio.to_thread(_session_keys)
        assert answer["data"] == after != before
        assert (await socket.request("/who/"))["data"] == "ann"
        assert (await socket.request("/awho/"))["data"] == "ann"
        assert (await socket.request("/count/"))["data"] == "5"
        await socket.request("/log-out/")
        assert (await socket.request("/who/"))["data"] == ""


def _make_user() -> None:
    User.objects.create_user("ann", password="secret")
    connection.close()


def _session_keys() -> list[str]:
    keys = [session.session_key for session in Session.objects.all()]
    connection.close()
    return keys


async def test_csrf() -> None:
    """Without an Origin, CSRF is checked as over HTTP; with one that was verified at the handshake, it need not be."""
    async with connected() as socket:
        assert (await socket.request("/protected/", "POST"))["status"] == 403
        assert (await socket.request("/exempt/", "POST"))["status"] == 200
        assert (await socket.request("/protected/"))["status"] == 200
    for scheme in ("ws", "wss"):
        own = (b"origin", b"https://testserver" if scheme == "wss" else b"http://testserver")
        async with connected(own, scheme=scheme) as socket:
            assert (await socket.request("/protected/", "POST"))["status"] == 200
    for foreign in (b"http://other.example", b"null", b"https://testserver"):
        async with connected((b"origin", foreign)) as socket:
            assert socket.accepted["type"] == "websocket.http.response.start"
            assert socket.accepted["status"] == 403


async def test_csrf_with_a_token() -> None:
    """The token's way works as over HTTP, for clients that send no Origin."""
    secret = "a" * 32
    async with connected((b"cookie", f"csrftoken={secret}".encode())) as socket:
        good = await socket.request("/protected/", "POST", headers={"x-csrftoken": secret})
        assert good["status"] == 200
        bad = await socket.request("/protected/", "POST", headers={"x-csrftoken": "b" * 32})
        assert bad["status"] == 403


async def test_conditional_and_redirect_answers(settings: Any) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
    async with connected() as socket:
        slash = await socket.request("/hello?a=1")
        assert (slash["status"], slash["headers"]["location"]) == (301, "/hello/?a=1")
        locale = await socket.request("/translated/", headers={"accept-language": "de"})
        assert (locale["status"], locale["headers"]["location"]) == (302, "/de/translated/")
        first = await socket.request("/hello/")
        again = await socket.request("/hello/", headers={"if-none-match": first["headers"]["etag"]})
        assert again["status"] == 304
        assert again["headers"]["etag"] == first["headers"]["etag"]
        assert "data" not in again


async def test_head_204_304_bodies() -> None:
    async with connected() as socket:
        for method, url in (
            ("HEAD", "/hello/"),
            ("HEAD", "/ahello/"),
            ("HEAD", "/stream/"),
            ("HEAD", "/astream/"),
            ("HEAD", "/file/"),
            ("GET", "/respond/?status=204"),
            ("GET", "/respond/?status=304"),
            ("GET", "/not-modified/"),
        ):
            answer = await socket.request(url, method)
            assert "data" not in answer, url
            assert "more" not in answer, url
        assert (await socket.request("/respond/?type=application/json&body=null"))["data"] is None


async def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Answers from 400 on are logged once, as Django does; the record's request tells the connection."""
    async with connected(ORIGIN, subprotocols=["wsrequest.v1.json"]) as socket:
        hello = await socket.next()
        with caplog.at_level(logging.WARNING, logger="django.request"):
            await socket.request("/nowhere/")
            await socket.request("/fail/")
            await socket.request("/afail/?how=403")
            await socket.request("/hello/")
    records = [record for record in caplog.records if record.name == "django.request"]
    assert [(record.levelno, record.status_code) for record in records] == [  # type: ignore[attr-defined]
        (logging.WARNING, 404),
        (logging.ERROR, 500),
        (logging.WARNING, 403),
    ]
    for record in records:
        request: HttpRequest = record.request  # type: ignore[attr-defined]
        assert request.META["wsrequest.connection"] == hello["data"]["connection"]


@override_settings(ROOT_URLCONF="tests.lifecycle.urls")
class TestTests(TestCase):
    """A message in a TestCase runs on the test's own thread, and sees its rows."""

    def setUp(self) -> None:
        User.objects.create(username="in the transaction")

    def test_tests(self) -> None:
        for url in ("/users/", "/ausers/"):
            response: Any = WebSocketRequest(json.dumps({"url": url})).get_response()
            assert json.loads(response.content) == ["in the transaction"]
        WebSocketRequest('{"url": "/make-user/"}').get_response()
        assert User.objects.filter(username="made").exists()
        assert transaction.get_connection().in_atomic_block

    async def test_tests_on_a_loop(self) -> None:
        for url in ("/users/", "/ausers/"):
            response: Any = await WebSocketRequest(json.dumps({"url": url})).aget_response()
            assert json.loads(response.content) == ["in the transaction"]
        await WebSocketRequest('{"url": "/make-user/"}').aget_response()
        assert await User.objects.filter(username="made").aexists()
