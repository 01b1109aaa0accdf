"""The rows: one case is one request or a few on one connection, and holds for every chain of middleware."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from tests.project.views import ODD_BODIES
from tests.same.compare import Step

BOUNDARY = "AaBbCc-0123456789"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@dataclass(frozen=True)
class Case:
    name: str
    steps: tuple[Step, ...]
    #: Over HTTP and over the socket, the response is a stream there.
    streamed: bool | None = None


def get(url: str, headers: dict[str, str] | None = None, **more: Any) -> Step:
    return Step(url, headers=headers or {}, **more)


def query(url: str, data: dict[str, Any], http_url: str, **more: Any) -> Step:
    """A query string as a `data` object."""
    return Step(url, http_url=http_url, message={"data": data}, **more)


def json_body(url: str, value: Any, method: str = "POST", **more: Any) -> Step:
    return Step(
        url,
        method,
        body=json.dumps(value).encode(),
        http_headers={"content-type": "application/json"},
        message={"data": value},
        **more,
    )


def text_body(url: str, text: str, content_type: str, method: str = "POST", **more: Any) -> Step:
    headers = {"content-type": content_type} | more.pop("headers", {})
    return Step(url, method, headers, body=text.encode(), message={"data": text}, **more)


def exact(url: str, text: str, content_type: str, method: str = "POST", **more: Any) -> Step:
    """A text that is the body whatever its type."""
    step = text_body(url, text, content_type, method, **more)
    return replace(step, message=step.message | {"encoding": "text"})


def raw(url: str, body: bytes, content_type: str, method: str = "POST", **more: Any) -> Step:
    headers = {"content-type": content_type} | more.pop("headers", {})
    message = {"data": base64.b64encode(body).decode(), "encoding": "base64"}
    return Step(url, method, headers, body=body, message=message, **more)


def form(url: str, fields: dict[str, Any], body: str | None = None, **more: Any) -> Step:
    content_type = more.pop("content_type", "application/x-www-form-urlencoded")
    encoded = urlencode(fields, doseq=True) if body is None else body
    headers = {"content-type": content_type}
    return Step(url, "POST", headers, body=encoded.encode(), message={"data": fields}, **more)


def multipart(url: str, fields: dict[str, Any], body: bytes, **more: Any) -> Step:
    headers = {"content-type": f'multipart/form-data; boundary="{BOUNDARY}"'}
    return Step(url, "POST", headers, body=body, message={"data": fields}, **more)


def upload(name: str, content: bytes, content_type: str | None = None) -> dict[str, str]:
    file = {"filename": name, "content": base64.b64encode(content).decode()}
    return file if content_type is None else file | {"content_type": content_type}


def part(disposition: str, content: bytes, content_type: str | None = None) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}"
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def case(name: str, *steps: Step, streamed: bool | None = None) -> Case:
    return Case(name, steps, streamed)


def both(name: str, url: str, **more: Any) -> list[Case]:
    """The synchronous view and its asynchronous twin, whose url has an `a` in front."""
    streamed = more.pop("streamed", None)
    return [
        case(f"{name}-sync", get(f"/{url}", **more), streamed=streamed),
        case(f"{name}-async", get(f"/a{url}", **more), streamed=streamed),
    ]


PLAIN = [
    *both("plain", "hello/", contains="hello"),
    *both("echo", "echo/?a=1&a=2&b=&c&d=%C3%A9&e=+", contains='"a": ["1", "2"]'),
    *both("head", "echo/", method="HEAD"),
    *both("options", "echo/", method="OPTIONS", contains="OPTIONS"),
    *both("unknown-method", "echo/", method="PURGE", contains="PURGE"),
    case("lower-case-method", replace(get("/echo/"), message={"method": "get"})),
    case("percent-path", get("/echo/a%20b/%25/%2Fc%3Fd/%C3%A9", contains="a b/%//c?d")),
    case("percent-twice", get("/echo/%2541", contains="%41")),
    case("path-dots", get("/echo/a/../b/./c//d", contains="a/../b")),
    case("query-order", get("/echo/?z=1&y=2&z=3;x=4&&=5&%26=%3D", contains="z=1&y=2&z=3;x=4&&=5")),
    case("query-question", get("/echo/?a=b?c=d/?", contains="b?c=d/?")),
    case("query-empty", get("/echo/?", contains='"full_path": "/echo/"')),
    case("query-data", query("/echo/", {"a": "1", "b": ["x", "y z"]}, "/echo/?a=1&b=x&b=y+z")),
    case(
        "query-data-after-url",
        query("/echo/?a=0", {"a": "1"}, "/echo/?a=0&a=1", contains='["0", "1"]'),
    ),
    case(
        "query-data-types", query("/echo/", {"t": True, "f": 1.5, "n": None}, "/echo/?t=true&f=1.5")
    ),
    case("headers", get("/echo/", {"x-one": "1", "referer": "http://a.example/", "accept": "a/b"})),
    case("header-not-ascii", get("/echo/", {"x-name": "größe"}, contains="HTTP_X_NAME")),
    case(
        "header-authorization",
        get("/echo/", {"authorization": "Basic eA=="}, contains="Basic eA=="),
    ),
    case("header-conditional", get("/echo/", {"range": "bytes=0-1", "if-none-match": '"x"'})),
    case("header-cache", get("/echo/", {"cache-control": "no-cache", "pragma": "no-cache"})),
    case("ajax", get("/echo/", {"x-requested-with": "XMLHttpRequest"}, contains="XMLHttpRequest")),
    case("404", get("/nowhere/", status=404)),
    case("append-slash", get("/hello", status=301)),
    case("append-slash-query", get("/hello?a=%20b&c", status=301)),
    case("append-slash-post", json_body("/hello", {}, status=301)),
    case("no-leading-slash-in-path", get("/echo//double//", contains='"/double//"')),
    *[
        case(f"redirect-{kind}", get(f"/redirect/{kind}/", status=int(kind)))
        for kind in ("301", "302", "307")
    ],
    *[
        case(f"status-{code}", get(f"/status/{code}/", status=code))
        for code in (
            200,
            201,
            202,
            204,
            205,
            226,
            300,
            304,
            400,
            401,
            405,
            410,
            418,
            429,
            451,
            500,
            503,
            599,
        )
    ],
    case("not-modified", get("/not-modified/", status=304)),
    case("no-type", get("/no-type/", contains="no type")),
    case("many-headers", get("/many-headers/")),
    *both("template-response", "page/", contains="GET /"),
    case("late-callback", get("/late-callback/")),
    case("method-not-allowed", json_body("/only-get/", {}, status=405)),
    case("csrf-exempt", json_body("/exempt/", {}, contains="no token wanted")),
]

BODIES = [
    *[
        case(f"json-{method.lower()}", json_body("/echo/", {"a": [1, "é", None]}, method))
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ],
    case("json-async", json_body("/aecho/", {"a": 1})),
    case("json-list", json_body("/load-json/", [1, 2], contains="[1, 2]")),
    case("json-string", json_body("/load-json/", "abc", contains='"abc"')),
    case("json-null", json_body("/load-json/", None, contains="null")),
    case("json-false", json_body("/load-json/", False, contains="false")),
    case("json-surrogate", json_body("/load-json/", {"a": "\ud83d"}, contains="ud83d")),
    case("json-big", json_body("/load-json/", 2**80, contains=str(2**80))),
    case(
        "json-exact", exact("/load-json/", ' {"a":\n1 }', "application/json", contains='{"a": 1}')
    ),
    case("json-broken", exact("/load-json/", '{"a":', "application/json", status=500)),
    case("json-empty", exact("/echo/", "", "application/json")),
    case("json-base64", raw("/load-json/", '{"a": "é"}'.encode("utf-16"), "application/json")),
    case(
        "json-typed",
        Step(
            "/echo/",
            "POST",
            {"content-type": "application/vnd.api+json"},
            body=b'{"a": 1}',
            message={"data": {"a": 1}},
        ),
    ),
    case("text", text_body("/echo/", "größe", "text/plain")),
    case(
        "text-charset",
        Step(
            "/echo/",
            "POST",
            {"content-type": "text/plain; charset=latin-1"},
            body="größe".encode("latin-1"),
            message={"data": "größe"},
        ),
    ),
    case("xml", text_body("/echo/", "<a/>", "application/xml")),
    case("binary", raw("/echo/", PNG, "image/png")),
    case("binary-read", raw("/read-stream/", PNG, "image/png")),
    case("get-with-body", raw("/echo/", b"body of a GET", "text/plain", "GET")),
    case("options-with-body", raw("/echo/", b"body", "text/plain", "OPTIONS")),
    case("no-data", Step("/echo/", "POST")),
    case("type-without-data", Step("/echo/", "POST", {"content-type": "application/json"})),
    case(
        "form", form("/form/", {"a": ["1", "2"], "b": "é &=+", "c": ""}, contains='"a": ["1", "2"]')
    ),
    case("form-echo", form("/echo/", {"a": "1"}, contains='"post": {"a": ["1"]}')),
    case("form-async", form("/aecho/", {"a": "1"}, contains='"post": {"a": ["1"]}')),
    case("form-text", text_body("/form/", "a=1&a=2&b=%C3%A9", "application/x-www-form-urlencoded")),
    case(
        "form-types",
        form("/form/", {"t": True, "n": 1, "f": 0.5}, "t=true&n=1&f=0.5", contains="true"),
    ),
    case("form-empty", form("/form/", {})),
    case("form-put", text_body("/echo/", "a=1", "application/x-www-form-urlencoded", "PUT")),
    case("form-too-many", form("/form/", {f"k{n}": "" for n in range(1001)}, status=400)),
    case(
        "multipart",
        multipart(
            "/form/",
            {"a": ["1", "2"], "b": "é", "c": ""},
            part('name="a"', b"1")
            + part('name="a"', b"2")
            + part('name="b"', "é".encode())
            + part('name="c"', b"")
            + END,
            contains='"a": ["1", "2"]',
        ),
    ),
    case(
        "multipart-files",
        multipart(
            "/form/",
            {"title": "x", "f": [upload("a.png", PNG, "image/png"), upload("größe.bin", b"")]},
            part('name="title"', b"x")
            + part('name="f"; filename="a.png"', PNG, "image/png")
            + part('name="f"; filename="größe.bin"', b"", "application/octet-stream")
            + END,
            contains="a.png",
        ),
    ),
    case(
        "multipart-names",
        multipart(
            "/form/",
            {"k": upload("../../etc/passwd", b"content", "text/plain; charset=utf-8")},
            part('name="k"; filename="../../etc/passwd"', b"content", "text/plain; charset=utf-8")
            + END,
            contains="passwd",
        ),
    ),
    case(
        "multipart-quotes",
        multipart(
            "/form/",
            {'q"\r\n': 'v"\r\n'},
            part('name="q%22%0D%0A"', b'v"\r\n') + END,
            contains="%22",
        ),
    ),
    case(
        "multipart-boundary-like",
        multipart(
            "/form/",
            {"k": f"--{BOUNDARY}x"},
            part('name="k"', f"--{BOUNDARY}x".encode()) + END,
        ),
    ),
    case(
        "multipart-large-file",
        multipart(
            "/form/",
            {"f": upload("big.bin", PNG * 12_000)},
            part('name="f"; filename="big.bin"', PNG * 12_000, "application/octet-stream") + END,
            contains="big.bin",
        ),
    ),
    case(
        "multipart-async",
        multipart(
            "/aform/",
            {"f": upload("a.txt", b"x", "text/plain")},
            part('name="f"; filename="a.txt"', b"x", "text/plain") + END,
            contains="a.txt",
        ),
    ),
    case("multipart-empty", multipart("/form/", {}, END)),
    case(
        "multipart-broken",
        raw("/form/", b"no parts at all", "multipart/form-data; boundary=x", contains="{}"),
    ),
    case("multipart-no-boundary", raw("/form/", b"x", "multipart/form-data", status=400)),
    case(
        "multipart-base64",
        raw(
            "/form/",
            part('name="a"', b"\xff") + END,
            f"multipart/form-data; boundary={BOUNDARY}",
        ),
    ),
    case("large-body", raw("/echo/", PNG * 8_000, "application/octet-stream", contains="2112000")),
    case("large-json", json_body("/echo/", {"text": "é" * 350_000}, contains="sha256")),
    case(
        "too-large-body", raw("/echo/", b"x" * 2_700_000, "application/octet-stream", status=None)
    ),
]

RESPONSES = [
    *[case(f"odd-{name}", get(f"/odd/{name}/")) for name in ODD_BODIES],
    *[
        case(f"odd-{name}-async", get(f"/aodd/{name}/"))
        for name in ("nan", "latin-1", "png", "string")
    ],
    *[case(f"large-{kind}", get(f"/large/{kind}/")) for kind in ("json", "binary", "text")],
]

STREAMS = [
    case(f"{view}-{kind}", get(f"/{view}/{kind}/"), streamed=True)
    for view in ("stream", "astream", "mixed-stream", "amixed-stream")
    for kind in ("text", "empty", "split", "large", "language", "reverse", "rows")
] + [
    case("stream-head", get("/stream/", method="HEAD"), streamed=False),
    case("astream-head", get("/astream/", method="HEAD"), streamed=False),
    *both("file", "file/", streamed=True),
    case("file-download", get("/file/download/"), streamed=True),
    case("file-head", get("/file/", method="HEAD"), streamed=False),
]

ERRORS = [
    *[
        case(f"{view}-{kind}", get(f"/{view}/{kind}/", status=status))
        for view in ("fail", "afail")
        for kind, status in {
            "404": 404,
            "403": 403,
            "400": 400,
            "500": 500,
            "suspicious": 400,
            "key": 500,
            "recursion": 500,
            "unicode": 500,
        }.items()
    ],
    *both("nothing", "nothing/", status=500),
]

LOGIN = {"name": "ada", "word": "secret"}

STATE = [
    case(
        "cookies",
        get("/cookies/set/"),
        get("/cookies/show/", contains="hidden"),
        get("/cookies/below/show/", contains="below"),
        get("/cookies/set/", contains="hidden"),
        get("/cookies/delete/"),
        get("/cookies/below/show/", contains="long"),
    ),
    *[
        case(
            f"login-{prefix or 'sync'}",
            get(f"/{prefix}whoami/", contains="AnonymousUser"),
            form(f"/{prefix}log-in/", LOGIN | {"word": "wrong"}, status=401),
            get(f"/{prefix}count/", contains='{"count": 1'),
            form(f"/{prefix}log-in/", LOGIN, contains="welcome ada"),
            get(f"/{prefix}whoami/", contains="ada"),
            get(f"/{prefix}count/", contains='{"count": 2'),
            json_body("/api/notes/", {"slug": "new"}, status=201),
            get(f"/{prefix}log-out/"),
            get(f"/{prefix}whoami/", contains="AnonymousUser"),
            get(f"/{prefix}count/", contains='{"count": 1'),
            get("/flush/"),
            get(f"/{prefix}count/", contains='{"count": 1'),
        )
        for prefix in ("", "a")
    ],
    case(
        "messages",
        get("/leave-message/", status=302),
        get("/page/", contains="It is done."),
        get("/page/"),
    ),
    case(
        "csrf-token", replace(get("/csrf-token/", method="HEAD"), random=frozenset({"csrftoken"}))
    ),
    *[
        case(
            f"database-{prefix or 'sync'}",
            get(f"/{prefix}notes/", contains="first"),
            get(f"/{prefix}add-note/x/", contains="3"),
            get(f"/{prefix}add-note/y/?fail", status=500),
            get(f"/{prefix}notes/", contains='"y"'),
        )
        for prefix in ("", "a")
    ],
]

TOKEN = {"authorization": "JWT ada"}


def with_token(step: Step) -> Step:
    return replace(
        step, http_headers=step.http_headers | TOKEN, message=step.message | {"token": "ada"}
    )


API = [
    case("api-root", get("/api/", contains="notes")),
    case("api-html", get("/api/notes/", {"accept": "text/html"}, contains="<!DOCTYPE html>")),
    case("api-not-acceptable", get("/api/notes/", {"accept": "image/png"}, status=406)),
    case("api-list", get("/api/notes/", contains='"first"')),
    case("api-page", get("/api/notes/?page=2", status=404)),
    case("api-detail", get("/api/notes/first/", contains='"first"')),
    case("api-404", get("/api/notes/none/", status=404)),
    case("api-head", get("/api/notes/", method="HEAD")),
    case("api-options", get("/api/notes/", method="OPTIONS", contains="renders")),
    case("api-anonymous", json_body("/api/notes/", {"slug": "new"}, status=401)),
    case("api-bad-token", get("/api/notes/", {"authorization": "JWT nobody"}, status=401)),
    case("api-token", with_token(get("/api/notes/"))),
    case(
        "api-write",
        with_token(
            json_body("/api/notes/", {"slug": "new", "text": "é"}, status=201, contains="new")
        ),
        with_token(
            json_body("/api/notes/", {"slug": "new"}, status=400, contains="already exists")
        ),
        with_token(
            json_body("/api/notes/new/", {"slug": "new", "text": "2"}, "PUT", contains='"2"')
        ),
        with_token(json_body("/api/notes/new/", {"text": "3"}, "PATCH", contains='"3"')),
        with_token(Step("/api/notes/new/shout/", "POST", contains='"by":"ada"')),
        get("/api/notes/?page=2", contains="second"),
        with_token(Step("/api/notes/new/", "DELETE", status=204)),
        get("/api/notes/new/", status=404),
    ),
    case(
        "api-validation",
        with_token(json_body("/api/notes/", {"text": "bad"}, status=400, contains="Not this one")),
    ),
    case(
        "api-not-an-object",
        with_token(json_body("/api/notes/", [1], status=400, contains="dictionary")),
    ),
    case("api-broken-json", with_token(exact("/api/notes/", "{", "application/json", status=400))),
    case("api-form", with_token(form("/api/notes/", {"slug": "by-form", "text": "x"}, status=201))),
    case("api-unsupported", with_token(text_body("/api/notes/", "x", "text/plain", status=415))),
    case("api-throttled", get("/api/notes/busy/", status=429)),
    case("api-method", with_token(Step("/api/notes/", "DELETE", status=405))),
]

LANGUAGES = [
    *both("language", "say-yes/", contains="Yes"),
    case("language-left-behind", get("/activate/de/", contains="now de"), get("/say-yes/")),
    case("language-left-behind-async", get("/aactivate/fr/", contains="now fr"), get("/asay-yes/")),
    case("language-asked", get("/say-yes/", {"accept-language": "de"})),
    case("language-unknown", get("/say-yes/", {"accept-language": "tlh"})),
]

CONDITIONAL = [
    case("etag", get("/versioned/", contains="version 1")),
    case("etag-same", get("/versioned/", {"if-none-match": '"version-1"'}, status=304)),
    case("etag-other", get("/versioned/", {"if-none-match": '"version-0"'})),
    case("if-match-fails", get("/versioned/", {"if-match": '"version-0"'}, status=412)),
    case("etag-head", get("/versioned/", method="HEAD")),
]

CASES = [
    *PLAIN,
    *BODIES,
    *RESPONSES,
    *STREAMS,
    *ERRORS,
    *STATE,
    *API,
    *LANGUAGES,
    *CONDITIONAL,
]
