"""Views for clients: what a request was, and answers of every kind."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page

from tests.project.gates import gates
from wsrequest import depends_on, disconnect, live, publish, touch


def _described(request: HttpRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.META["QUERY_STRING"],
        "type": request.headers.get("content-type"),
        "body": base64.b64encode(request.body).decode(),
        "cookies": request.COOKIES,
        "host": request.get_host(),
        "headers": {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in ("connection", "content-length", "cookie", "transfer-encoding")
        },
    }


def describe(request: HttpRequest, rest: str = "") -> HttpResponse:
    return JsonResponse(_described(request))


def files(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "fields": dict(request.POST.lists()),
            "files": {
                name: [
                    [each.name, each.content_type, each.read().decode("latin-1")]
                    for each in each_list
                ]
                for name, each_list in request.FILES.lists()
            },
        }
    )


def status(request: HttpRequest, code: int) -> HttpResponse:
    text = "" if code in (204, 304) else f"status {code}"  # a server would send it no body
    return HttpResponse(text, status=code, content_type="text/plain")


def away(request: HttpRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code, headers={"Location": request.GET["to"]})


def around(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=302, headers={"Location": request.path})


BODIES = {
    "text": ("héllo".encode(), "text/plain; charset=utf-8"),
    "latin": ("héllo".encode("latin-1"), "text/plain; charset=iso-8859-1"),
    "utf16": ("héllo".encode("utf-16"), "text/plain; charset=utf-16"),
    "unknown": (b"h\xe9llo", "text/plain; charset=klingon"),
    "json": (b'{"a":   [1.50, "\xc3\xa9", null]}', "application/json"),
    "problem": (b'{"detail": 1}', "application/problem+json"),
    "surrogate": (b'"\\ud83d"', "application/json"),
    "latin-json": ('"é"'.encode("latin-1"), "application/json; charset=latin-1"),
    "broken-json": (b'{"a":', "application/json"),
    "no-json": (b"", "application/json"),
    "huge-number": (b"[123456789012345678901234567890, 1e999]", "application/json"),
    "bytes": (bytes(range(256)), "application/octet-stream"),
    "html": (b"<p>\r\n</p>\0", "text/html"),
    "empty": (b"", "text/plain"),
}


def body(request: HttpRequest, name: str) -> HttpResponse:
    content, content_type = BODIES[name]
    return HttpResponse(content, content_type=content_type)


@gzip_page
def zipped(request: HttpRequest) -> HttpResponse:
    return HttpResponse("so much text " * 200, content_type="text/plain")


def headers(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        headers={"X-One": "1", "X-Two": "a, b", "ETag": '"e"', "Content-Language": "de"}
    )


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(request.COOKIES)
    for name, value in request.GET.items():
        response.set_cookie(name, value, path="/described/" if name == "below" else "/")
    return response


def forget(request: HttpRequest, name: str) -> HttpResponse:
    response = HttpResponse()
    response.delete_cookie(name)
    return response


def secret(request: HttpRequest) -> HttpResponse:
    response = HttpResponse()
    response.set_cookie("secret", "s", httponly=True)
    return response


def basic(request: HttpRequest) -> HttpResponse:
    wanted = "Basic " + base64.b64encode(b"ada:lovelace").decode()
    if request.headers.get("authorization") == wanted:
        return HttpResponse("welcome")
    return HttpResponse(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})


def digest(request: HttpRequest) -> HttpResponse:
    sent = request.headers.get("authorization", "")
    if sent.startswith("Digest ") and f'uri="{request.get_full_path()}"' in sent:
        return HttpResponse("welcome")
    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
    return HttpResponse(status=401, headers={"WWW-Authenticate": challenge})


def parts(request: HttpRequest, kind: str) -> HttpResponse:
    async def made() -> Any:
        yield "one, é".encode()[:-1]  # a character in two parts
        yield "é".encode()[1:]
        if kind == "broken":
            raise RuntimeError("in the middle")
        yield b"\ntwo\n"

    return StreamingHttpResponse(made(), content_type="text/plain; charset=utf-8")


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


def act(request: HttpRequest, name: str) -> HttpResponse:
    """Something that must not be done twice; it waits at its gate."""
    gates[name].pass_()
    return HttpResponse("done")


def poke(request: HttpRequest) -> HttpResponse:
    touch(request.GET["url"])
    return HttpResponse()


def say(request: HttpRequest) -> HttpResponse:
    """Publish what is in the body, one event for each."""
    for data in json.loads(request.body):
        publish(request.GET["url"], data)
    return HttpResponse()


def tell(request: HttpRequest) -> HttpResponse:
    request.websocket.notify("greeting", {"to": "you"})
    return HttpResponse()


def leave(request: HttpRequest) -> HttpResponse:
    disconnect(request.GET["id"])
    return HttpResponse()


def connection_id(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.websocket.id)


#: What the boards show, by name; in a process of its own, it begins anew with it.
boards: dict[str, list[Any]] = {}


def board(request: HttpRequest, name: str) -> HttpResponse:
    """A list, which is live by what it says that it depends on."""
    depends_on(f"board {name}")
    if request.method == "POST":
        boards.setdefault(name, []).extend(json.loads(request.body))
        touch(f"board {name}")
    return JsonResponse(boards.get(name, []), safe=False)


urlpatterns = [
    re_path(r"^described/(?P<rest>.*)$", csrf_exempt(describe)),
    path("files/", csrf_exempt(files)),
    path("answers/<int:code>/", csrf_exempt(status)),
    path("away/<int:code>/", csrf_exempt(away)),
    path("around/", around),
    path("body/<name>/", body),
    path("zipped/", zipped),
    path("headers/", headers),
    path("biscuits/", cookies),
    path("forget/<name>/", forget),
    path("secret/", secret),
    path("basic/", basic),
    path("digest/", digest),
    path("parts/<kind>/", parts),
    path("raises/", fail),
    path("act/<name>/", csrf_exempt(act)),
    path("poke/", csrf_exempt(poke)),
    path("say/", csrf_exempt(say)),
    path("tell/", tell),
    path("send-away/", leave),
    path("connection/", connection_id),
    path("not-live/", live(False)(connection_id)),
    path("boards/<name>/", csrf_exempt(board)),
    path("", include("tests.subscribe.people")),
]
