"""Where a message, a request and a response can be translated wrongly into one another; each trap has its test."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import got_request_exception
from django.test import Client, override_settings
from django.utils import timezone, translation

from tests.lifecycle import support, views
from tests.lifecycle.support import ORIGIN, connected
from tests.lifecycle.views import Stage
from wsrequest import WebSocketRequest
from wsrequest.lifecycle.runner import PoolRunner

pytestmark = pytest.mark.usefixtures("urls")

#: The same view in each mode.
REQUEST_VIEWS = ["/request/", "/arequest/"]


def told(url: str, method: str = "GET", **fields: Any) -> Any:
    """What the view saw, over the plain call."""
    message = json.dumps({"url": url, "method": method, **fields})
    response: Any = WebSocketRequest(message).get_response()
    return json.loads(response.content)


async def test_trap_01_unresolved_url_runs_the_lifecycle(settings: Any) -> None:
    settings.MIDDLEWARE = [
        "tests.lifecycle.middleware.OtherURLs",
        "django.middleware.common.CommonMiddleware",
        "tests.lifecycle.middleware.mode",
    ]
    async with connected() as socket:
        answer = await socket.request("/nowhere/")
        assert (answer["status"], answer["data"]) == (404, "nothing at /nowhere/")
        assert answer["headers"]["x-mode"] == "sync"
        slash = await socket.request("/number/7?a=1")
        assert (slash["status"], slash["headers"]["location"]) == (301, "/number/7/?a=1")
        other = await socket.request("/other/", headers={"x-other": "1"})
        assert other["data"]["before"]["urlconf"] == "tests.lifecycle.other_urls"
    request = WebSocketRequest('{"url": "/nowhere/"}', {"HTTP_HOST": "other.example"})
    assert request.error == {"error": "Resource not found.", "status_code": 404}
    assert (await request.aget_response()).status_code == 400  # DisallowedHost


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_02_query_is_split_off_before_the_path_is_resolved(url: str) -> None:
    async with connected() as socket:
        answer = await socket.request(f"{url}?a=/b/?c&d=1#fragment")
        assert answer["data"]["GET"] == {"a": ["/b/?c"], "d": ["1"]}
        assert answer["data"]["path"] == url


@pytest.mark.parametrize("url", REQUEST_VIEWS)
@pytest.mark.parametrize(
    "query", ["foo", "x=", "b=1&a=2&b=3", "q=a%2Bb+c%20d", "a=%26&b=%3D", "&&a=1&", "a=1;b=2"]
)
async def test_trap_03_query_goes_as_it_was_written(url: str, query: str) -> None:
    async with connected() as socket:
        seen = (await socket.request(f"{url}?{query}"))["data"]
        assert seen["query"] == query
        assert seen["full_path"] == f"{url}?{query}"
        both = (await socket.request(f"{url}?{query}", data={"z": "ü&"}))["data"]
        assert both["query"] == f"{query}&z=%C3%BC%26"


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_04_raw_non_ascii_query_is_latin1_of_utf8(url: str) -> None:
    async with connected() as socket:
        seen = (await socket.request(f"{url}?ä=ü€"))["data"]
        assert seen["query"] == "ä=ü€".encode().decode("latin-1")
        assert seen["GET"] == {"ä": ["ü€"]}


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("/text/a%20b/", "a b"),
        ("/text/%C3%BC/", "ü"),
        ("/text/ü/", "ü"),
        ("/text/a%2525/", "a%25"),
        ("/text/100%/", "100%"),
        ("/text/a+b/", "a+b"),
    ],
)
async def test_trap_05_path_is_decoded_exactly_once(url: str, text: str) -> None:
    async with connected() as socket:
        assert (await socket.request(url))["data"] == text


@pytest.mark.parametrize("view", REQUEST_VIEWS)
async def test_trap_06_path_is_text_and_broken_bytes_do_not_raise(view: str) -> None:
    """Path and META as Django's own handlers have them."""
    async with connected() as socket:
        seen = (await socket.request(f"{view}?a=1"))["data"]
        assert seen["path_info"] == seen["META"]["PATH_INFO"] == view
        seen = (await socket.request("/request/%C3%BC/"))["data"]
        assert seen["path"] == "/request/ü/"
        for broken in ("/text/%FF/", "/text/%ED%A0%80/", "/text/%C3/", "/%FF"):
            answer = await socket.request(broken)
            assert answer["status"] in (200, 404)
        assert (await socket.request("/text/%FF/"))["data"] == "%FF"


@override_settings(
    FORCE_SCRIPT_NAME="/app", MIDDLEWARE=["django.middleware.common.CommonMiddleware"]
)
@pytest.mark.parametrize("prefix", ["", "/app"])
async def test_trap_07_script_name_and_path_info(prefix: str) -> None:
    """A message's url has the prefix, or has not; the request has it once, and a redirect has it."""
    async with connected() as socket:
        seen = (await socket.request(f"{prefix}/request/"))["data"]
        assert (seen["path"], seen["path_info"]) == ("/app/request/", "/request/")
        slash = await socket.request(f"{prefix}/request?a=1")
        assert slash["headers"]["location"] == "/app/request/?a=1"
        plain: Any = await WebSocketRequest(f'{{"url": "{prefix}/request/"}}').aget_response()
        assert json.loads(plain.content)["path"] == "/app/request/"


async def test_trap_08_double_slash_and_absolute_urls_are_refused() -> None:
    async with connected() as socket:
        for url in ("//other.example/hello/", "http://testserver/hello/", "javascript:1", "//"):
            answer = await socket.request(url)
            assert (answer["status"], answer["data"]["code"]) == (400, "invalid_field"), url
        assert (await socket.request("/%2Fother.example/"))["data"] == "/other.example/"
        assert (await socket.request("hello/"))["status"] == 404
        assert (await socket.request("?a=1"))["status"] == 404


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_09_any_method_reaches_the_view(url: str) -> None:
    async with connected(ORIGIN) as socket:
        for method in ("TRACE", "PURGE", "propfind", "Patch", "CONNECT"):
            answer = await socket.request(url, method)
            assert answer["data"]["method"] == method.upper()
        head = await socket.request("/respond/?header=x-seen:yes", "HEAD")
        assert head["headers"]["x-seen"] == "yes"
        assert "data" not in head


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_10_no_data_is_an_empty_body_without_a_type(url: str) -> None:
    async with connected(ORIGIN) as socket:
        seen = (await socket.request(url, "POST"))["data"]
        assert (seen["body"], seen["content_type"]) == ("", "")
        assert {"CONTENT_TYPE", "CONTENT_LENGTH"}.isdisjoint(seen["META"])
        multipart = "multipart/form-data; boundary=x"
        seen = (await socket.request(url, "POST", headers={"content-type": multipart}))["data"]
        assert seen["META"]["CONTENT_TYPE"] == multipart
        assert (seen["POST"], seen["FILES"]) == ({}, {})


@pytest.mark.parametrize("url", REQUEST_VIEWS)
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-16", "text/plain", "application/x-any"],
)
async def test_trap_11_base64_is_the_body(url: str, content_type: str) -> None:
    raw = '{"ä":\xa01}'.encode("utf-16") + b"\xff\x00"
    async with connected(ORIGIN) as socket:
        answer = await socket.request(
            url,
            "POST",
            data=base64.b64encode(raw).decode(),
            encoding="base64",
            headers={"content-type": content_type},
        )
        assert answer["data"]["body"].encode("latin-1") == raw
        form = base64.b64encode(b"a=1&a=%C3%BC").decode()
        answer = await socket.request(
            url,
            "POST",
            data=form,
            encoding="base64",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer["data"]["POST"] == {"a": ["1", "ü"]}


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_12_content_length_is_in_bytes(url: str) -> None:
    async with connected(ORIGIN) as socket:
        answer = await socket.request(url, "POST", data="ü€", encoding="text")
        assert answer["data"]["META"]["CONTENT_LENGTH"] == "5"
        empty = await socket.request(url, "POST", data="", encoding="text")
        assert empty["data"]["META"]["CONTENT_LENGTH"] == "0"
        assert (await socket.request("/data/", "POST", data={"a": "ü"}))["data"] == {
            "data": {"a": "ü"}
        }


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_13_content_type_is_passed_untouched(url: str) -> None:
    async with connected(ORIGIN) as socket:
        boundary = "BoUnDaRy"
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'
        for content_type in (
            f"multipart/form-data; boundary={boundary}",
            f'multipart/form-data; charset=utf-8; boundary="{boundary}"',
        ):
            answer = await socket.request(
                url,
                "POST",
                data=body,
                encoding="text",
                headers={"Content-Type": content_type},
            )
            assert answer["data"]["META"]["CONTENT_TYPE"] == content_type
            assert answer["data"]["POST"] == {"a": ["1"]}
        answer = await socket.request(
            url, "POST", data="ü", headers={"content-type": "text/plain; charset=iso-8859-1"}
        )
        assert answer["data"]["body"] == "ü"  # one byte, shown as latin-1
        assert answer["data"]["content_params"] == {"charset": "iso-8859-1"}


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_14_a_body_on_any_method(url: str) -> None:
    async with connected(ORIGIN) as socket:
        assert json.loads((await socket.request(url, "DELETE", data={"a": 1}))["data"]["body"]) == {
            "a": 1
        }
        for method in ("GET", "OPTIONS"):
            answer = await socket.request(url, method, data="body", encoding="text")
            assert answer["data"]["body"] == "body"
            answer = await socket.request(url, method, data=[1])
            assert answer["data"]["body"] == "[1]"
        seen = (await socket.request(url, "OPTIONS", data={"a": 1}))["data"]
        assert (seen["GET"], seen["body"]) == ({"a": ["1"]}, "")


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_15_data_objects(url: str) -> None:
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with connected(ORIGIN) as socket:

        async def post(data: Any, **headers: str) -> Any:
            fields = {"headers": {name.replace("_", "-"): v for name, v in headers.items()}}
            return (await socket.request(url, "POST", data=data, **fields))["data"]

        empty = await post({}, **multipart)
        assert empty["META"]["CONTENT_LENGTH"] == str(len("--x--\r\n"))
        values = {"list": ["1", "2"], "empty": "", "true": True, "float": 1.5, "null": None}
        for headers in (multipart, form):
            seen = await post(values, **headers)
            assert seen["POST"] == {
                "list": ["1", "2"],
                "empty": [""],
                "true": ["true"],
                "float": ["1.5"],
            }
        assert (await post([1, "a"]))["body"] == '[1, "a"]'
        assert (await post("text"))["body"] == '"text"'  # under a JSON type a JSON string
        seen = await post('{"a": 1}', content_type="application/vnd.api+json")
        assert json.loads(seen["body"]) == '{"a": 1}'
        answer = await socket.request(
            url,
            "POST",
            data='{"a": 1}',
            encoding="text",
            headers={"content-type": "application/vnd.api+json"},
        )
        assert json.loads(answer["data"]["body"]) == {"a": 1}
        nested = await socket.request(url, "POST", data={"a": {"b": 1}}, headers=form)
        assert nested["status"] == 400


async def test_trap_16_uploads_and_their_end(settings: Any) -> None:
    views.Uploads.seen = []
    content = b"x" * 300_000
    upload = {"filename": "a.bin", "content": base64.b64encode(content).decode()}
    form = {"content-type": "multipart/form-data"}
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    async with connected(ORIGIN) as socket:
        answer = await socket.request("/upload/", "POST", data={"file": upload}, headers=form)
        assert answer["data"]["size"] == len(content)
        assert answer["data"]["kind"] == "TemporaryUploadedFile"
        upload["content"] = base64.b64encode(b"x" * 1_000_000).decode()
        await socket.send(
            {"id": "big", "url": "/upload/", "method": "POST", "data": {"file": upload}}
        )
        assert (await socket.next())["status"] == 413  # over MAX_MESSAGE_BYTES
        settings.WSREQUEST = {"MAX_MESSAGE_BYTES": 2_000_000}
    async with connected(ORIGIN) as socket:
        answer = await socket.request("/upload/", "POST", data={"file": upload}, headers=form)
        assert answer["data"]["size"] == 1_000_000
    assert [file.closed for file in views.Uploads.seen] == [True, True]


@pytest.mark.parametrize("url", REQUEST_VIEWS)
async def test_trap_17_headers_come_from_the_message(url: str) -> None:
    headers = {
        "x-requested-with": "XMLHttpRequest",
        "referer": "http://testserver/page/",
        "if-none-match": '"tag"',
        "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT",
        "range": "bytes=0-9",
        "accept": "text/html",
        "accept-language": "fr",
        "accept-encoding": "identity",
        "user-agent": "a client",
    }
    async with connected((b"accept-language", b"de"), (b"user-agent", b"a browser")) as socket:
        meta = (await socket.request(url, headers={**headers, "x-text": "ü"}))["data"]["META"]
        for name, value in headers.items():
            assert meta[f"HTTP_{name.upper().replace('-', '_')}"] == value
        assert meta["HTTP_X_TEXT"] == "ü".encode().decode("latin-1")
        meta = (await socket.request(url))["data"]["META"]
        assert meta["HTTP_ACCEPT_LANGUAGE"] == "de"
        assert "HTTP_RANGE" not in meta


@pytest.mark.parametrize("url", REQUEST_VIEWS)
def test_trap_18_factory_defaults_win_where_the_message_is_silent(url: str) -> None:
    defaults = {
        "SERVER_PROTOCOL": "HTTP/1.0",
        "REMOTE_USER": "ann",
        "wsgi.url_scheme": "https",
        "SERVER_PORT": "444",
        "SERVER_NAME": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_COOKIE": "a=1; b=2",
        "REMOTE_ADDR": "198.51.100.1",
        "HTTP_X_TAG": "default",
    }
    message = json.dumps({"url": url})
    response: Any = WebSocketRequest(message, defaults).get_response()
    seen = json.loads(response.content)
    assert seen["META"].items() >= defaults.items()
    assert seen["absolute"] == f"https://localhost{url}"
    cookies: Any = WebSocketRequest('{"url": "/see-cookies/"}', defaults).get_response()
    assert json.loads(cookies.content) == {"a": "1", "b": "2"}
    del defaults["HTTP_HOST"]
    response = WebSocketRequest(message, defaults).get_response()
    assert json.loads(response.content)["absolute"] == f"https://127.0.0.1:444{url}"
    message = json.dumps({"url": url, "headers": {"x-tag": "own"}})
    response = WebSocketRequest(message, defaults).get_response()
    assert json.loads(response.content)["META"]["HTTP_X_TAG"] == "own"


@pytest.mark.parametrize("url", REQUEST_VIEWS)
def test_trap_19_one_request_class_with_environ_and_scope(url: str) -> None:
    request = WebSocketRequest(json.dumps({"url": url}))
    request.get_response()
    assert isinstance(request.request, ASGIRequest)
    assert request.request.environ is request.request.META  # type: ignore[attr-defined]
    assert request.request.environ["PATH_INFO"] == url  # type: ignore[attr-defined]
    assert request.request.scope["type"] == "http"


def test_trap_20_csrf_is_neither_weakened_nor_forced() -> None:
    message = '{"url": "/protected/", "method": "POST"}'
    assert WebSocketRequest(message).get_response().status_code == 200
    for enforced in (
        WebSocketRequest(message, enforce_csrf_checks=True),
        WebSocketRequest(message, {"wsgi.url_scheme": "https"}, enforce_csrf_checks=True),
    ):
        assert enforced.get_response().status_code == 403


class Configured:
    """Middleware that reads a setting when it is made."""

    async_capable = True
    sync_capable = True

    def __new__(cls, get_response: Any) -> Any:
        from asgiref.sync import iscoroutinefunction
        from django.conf import settings

        tag = settings.LOGIN_URL

        async def amiddleware(request: Any) -> Any:
            response = await get_response(request)
            response["x-tag"] = tag
            return response

        def middleware(request: Any) -> Any:
            response = get_response(request)
            response["x-tag"] = tag
            return response

        return amiddleware if iscoroutinefunction(get_response) else middleware


async def test_trap_21_the_chain_is_dropped_on_any_setting_changed(
    runner: PoolRunner, settings: Any
) -> None:
    settings.MIDDLEWARE = ["tests.traps.test_traps.Configured"]
    for tag in ("/first/", "/second/"):
        with override_settings(LOGIN_URL=tag):
            for url in ("/hello/", "/ahello/"):
                assert (await support.run(runner, url)).reply.headers["x-tag"] == tag


@pytest.mark.parametrize("url", ["/state/", "/astate/"])
def test_trap_22_the_plain_call_runs_in_a_copy_of_the_callers_context(url: str) -> None:
    with translation.override("de"), timezone.override("Europe/Berlin"):
        seen = told(f"{url}?language=fr&timezone=Europe/Paris")
        assert (seen["before"]["language"], seen["before"]["timezone"]) == ("de", "Europe/Berlin")
        assert (seen["after"]["language"], seen["after"]["timezone"]) == ("fr", "Europe/Paris")
        assert translation.get_language() == "de"
        assert timezone.get_current_timezone_name() == "Europe/Berlin"


@pytest.mark.parametrize("url", ["/stream/", "/astream/", "/sync-astream/", "/async-stream/"])
async def test_trap_23_each_part_of_a_stream_is_made_in_its_requests_context(url: str) -> None:
    async with connected() as socket:
        answer = await socket.request(f"{url}?language=de")
        lines = [line.split() for line in answer["data"].splitlines()]
        assert {(line[1], line[2]) for line in lines} == {("de", "tests.lifecycle.urls")}
        answer = await socket.request(url)
        assert {line.split()[1] for line in answer["data"].splitlines()} == {"en-us"}


async def test_trap_24_a_stream_stays_a_stream(runner: PoolRunner, stage: Stage) -> None:
    with support.signal_log() as log:
        recorder = support.start(runner, "/endless/")
        await recorder.got_chunk.wait()
        assert log.names == ["started"]  # and not finished while it goes on
        assert recorder.task is not None
        recorder.task.cancel()
        await recorder.wait()
    assert log.names == ["started", "finished"]
    async with connected() as socket:
        for url, count in (("/stream/", 3), ("/astream/", 3), ("/async-stream/", 2)):
            answer = await socket.request(url)
            assert len(answer["chunks"]) == count
            assert answer["end"] == {"id": answer["id"], "end": True}


@pytest.mark.parametrize("url", ["/hello/", "/ahello/", "/stream/", "/astream/", "/nowhere/"])
async def test_trap_25_started_once_before_closed_once_after(
    runner: PoolRunner, url: str, monkeypatch: Any
) -> None:
    from django.http.response import HttpResponseBase

    closed: list[object] = []
    close = HttpResponseBase.close
    monkeypatch.setattr(HttpResponseBase, "close", lambda self: (closed.append(self), close(self)))
    with support.signal_log() as log:
        await support.run(runner, url)
    assert log.names == ["started", "finished"]
    assert len(closed) == 1


async def test_trap_26_exceptions_keep_djangos_own_bodies(settings: Any) -> None:
    seen: list[Any] = []

    def receiver(request: Any, **kwargs: Any) -> None:
        seen.append((request.path, sys.exc_info()[0]))

    with support.listening(got_request_exception, receiver):
        response = await WebSocketRequest('{"url": "/fail/"}').aget_response()
        assert response.status_code == 500
        assert seen == [("/fail/", ValueError)]
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        with pytest.raises(ValueError, match="a secret"):
            await WebSocketRequest('{"url": "/fail/"}').aget_response()
    assert len(seen) > 1  # once more for each middleware that it went through, as in Django
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    async with connected() as socket:
        client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        for url, method, status in (
            ("/fail/?how=403", "GET", 403),
            ("/fail/?how=400", "GET", 400),
            ("/fail/", "GET", 500),
            ("/nowhere/", "GET", 404),
            ("/protected/", "POST", 403),
        ):
            answer = await socket.request(url, method)
            over_http = client.generic(method, url)
            assert answer["status"] == over_http.status_code == status
            assert answer["data"] == over_http.content.decode()
            assert answer["headers"]["content-type"] == over_http["content-type"]


def test_trap_27_the_lifecycle_runs_and_not_the_view_alone(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.lifecycle.middleware.mode"]
    request = WebSocketRequest('{"url": "/who/"}')
    with support.signal_log() as log:
        response = request.get_response()
    assert response["x-mode"] == "sync"
    assert request.request is not None
    assert request.request.session is not None
    assert log.names == ["started", "finished"]


@pytest.mark.django_db(transaction=True)
async def test_trap_28_remote_user_is_the_same_in_either_chain(settings: Any) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.RemoteUserMiddleware",
    ]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    async with connected((b"remote-user", b"ann")) as socket:
        for url in ("/who/", "/awho/"):
            assert (await socket.request(url))["data"] == "ann"
    async with connected() as socket:
        for url in ("/who/", "/awho/"):
            assert (await socket.request(url))["data"] == ""
            for name in ("remote-user", "REMOTE_USER", "http-remote-user"):
                answer = await socket.request(url, headers={name: "ann"})
                assert answer["status"] == 400 or answer["data"] == ""


async def test_trap_29_middleware_with_both_modes(runner: PoolRunner, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.lifecycle.middleware.mode"]
    assert (await support.run(runner, "/hello/")).reply.headers["x-mode"] == "sync"
    assert (await support.run(runner, "/ahello/")).reply.headers["x-mode"] == "async"
    settings.ROOT_URLCONF = "tests.traps.render_urls"
    settings.MIDDLEWARE = ["tests.traps.render_urls.Catch"]
    for url in ("/arender/", "/render/"):
        recorder = await support.run(runner, url)
        assert (recorder.status, recorder.text) == (200, "caught RuntimeError")


def respond(content_type: str, body: str) -> str:
    from urllib.parse import urlencode

    return "/respond/?" + urlencode({"type": content_type, "body": body})


@pytest.mark.parametrize(
    ("content_type", "body", "data", "encoding"),
    [
        ("application/json", '{"a": [1, null]}', {"a": [1, None]}, None),
        ("application/vnd.api+json", "[]", [], None),
        ("application/json", '"abc"', "abc", None),
        ("application/json; charset=utf-8", "null", None, None),
        ("application/json; charset=iso-8859-1", '"\xfc"', '"\xfc"', "base64"),
        ("application/json; charset=iso-8859-1", "1", "1", "base64"),
        ("application/json", "", "", "base64"),
        ("application/json", "NaN", "NaN", "base64"),
        ("application/json", "[Infinity]", "[Infinity]", "base64"),
        ("application/json", "{broken", "{broken", "base64"),
        ("application/json", '"\xff"', '"\xff"', "base64"),
        ("application/json", "1 2", "1 2", "base64"),
    ],
)
async def test_trap_30_only_json_is_spliced_in(
    content_type: str, body: str, data: Any, encoding: str | None
) -> None:
    async with connected() as socket:
        answer = await socket.request(respond(content_type, body))
        assert answer.get("encoding") == encoding
        if encoding:
            assert base64.b64decode(answer["data"]) == data.encode("latin-1")
        else:
            assert answer["data"] == data


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", "\xfc", "ü"),
        ("text/plain; charset=utf-8", "\xc3\xbc", "ü"),
        ("text/plain", "\xc3\xbc", "ü"),
        ("text/plain", "\xff\xfe", None),
        ("text/plain; charset=utf-16", "\xff\xfea\x00", "a"),
        ("text/plain; charset=utf-16", "a\x00", None),  # decodes, but encodes with a mark
        ("text/plain; charset=nothing", "\xc3\xbc", None),
        ("application/octet-stream", "\x80", None),
    ],
)
async def test_trap_31_text_is_decoded_by_its_own_charset(
    content_type: str, body: str, text: str | None
) -> None:
    async with connected() as socket:
        answer = await socket.request(respond(content_type, body))
        if text is None:
            assert answer["encoding"] == "base64"
            assert base64.b64decode(answer["data"]) == body.encode("latin-1")
        else:
            assert "encoding" not in answer
            assert answer["data"] == text


async def test_trap_32_no_data_where_http_has_no_body() -> None:
    async with connected() as socket:
        for url, method in (
            ("/hello/", "HEAD"),
            ("/ahello/", "HEAD"),
            ("/fail/", "HEAD"),
            ("/stream/", "HEAD"),
            ("/respond/?status=204", "GET"),
            ("/respond/?status=304", "GET"),
            ("/respond/?status=102", "GET"),
        ):
            answer = await socket.request(url, method)
            assert {"data", "more", "encoding"}.isdisjoint(answer), url
        assert (await socket.request("/respond/?body="))["data"] == ""
        assert "data" in await socket.request(respond("application/json", "null"))


async def test_trap_33_cookies_are_the_jars_and_never_headers() -> None:
    async with connected(ORIGIN) as socket:
        answer = await socket.request("/set-cookies/")
        assert "set-cookie" not in answer["headers"]
        assert set(answer["cookies"]) == {"plain", "hidden", "elsewhere", "safe"}
        assert "value" not in answer["cookies"]["hidden"]
        seen = (await socket.request("/see-cookies/"))["data"]
        assert seen == {"plain": "1", "hidden": "2"}  # neither the path's nor the secure one
        assert (await socket.request("/elsewhere/see-cookies/"))["data"]["elsewhere"] == "3"
        deleted = await socket.request("/set-cookies/?delete=1")
        assert deleted["cookies"]["plain"]["max-age"] == 0
        assert (await socket.request("/see-cookies/"))["data"] == {"hidden": "2"}
    secure = (b"origin", b"https://testserver")
    async with connected(secure, scheme="wss") as socket:
        await socket.request("/set-cookies/")
        assert (await socket.request("/see-cookies/"))["data"]["safe"] == "4"


async def test_trap_34_the_reason_phrase_is_not_on_the_wire() -> None:
    async with connected() as socket:
        answer = await socket.request("/respond/?status=299&reason=Odd")
        assert set(answer) == {"id", "status", "headers", "data"}
        assert answer["status"] == 299
        assert "Odd" not in json.dumps(answer)


async def test_trap_35_only_the_documented_headers_go() -> None:
    stay = {
        "vary": "Cookie",
        "etag": '"x"',
        "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
        "content-language": "de",
        "content-disposition": "attachment",
        "location": "/hello/",
        "allow": "GET",
        "www-authenticate": "Basic",
        "retry-after": "5",
        "x-anything": "1",
        "cache-control": "private",
        "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    query = "&".join(f"header={name}:{value}" for name, value in stay.items())
    async with connected() as socket:
        headers = (await socket.request(f"/respond/?{query}"))["headers"]
        assert headers == {**stay, "content-type": "text/plain"}
