"""Views of every kind that Django knows. Those with an ``a`` in front are the asynchronous ones."""

from __future__ import annotations

import hashlib
import io
import json
from zoneinfo import ZoneInfo

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import aauthenticate, alogin, alogout, authenticate, login, logout
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_GET

from tests.project.models import Note

MEGABYTE = 2**20
TOKYO = ZoneInfo("Asia/Tokyo")  # read here, and not on an event loop


def hello(request):
    return HttpResponse("hello")


async def ahello(request):
    return HttpResponse("hello")


# --- what a request is ------------------------------------------------------------------------------

#: Headers about the HTTP connection; a message has neither, nor a length where there is no body.
HOP_BY_HOP = ("Connection", "Content-Length", "Transfer-Encoding")


def describe(request, rest=""):
    """Everything about a request that a view can see and that should not depend on what carried it."""
    meta = {
        key: value
        for key, value in request.META.items()
        if key.startswith("HTTP_") and key != "HTTP_CONNECTION"
    }
    for key in ("CONTENT_TYPE", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME"):
        meta[key] = request.META.get(key)
    meta.pop("HTTP_COOKIE", None)  # its order is the client's; COOKIES is below
    return {
        "method": request.method,
        "path": request.path,
        "path_info": request.path_info,
        "rest": rest,
        "full_path": request.get_full_path(),
        "absolute": request.build_absolute_uri(),
        "scheme": request.scheme,
        "secure": request.is_secure(),
        "host": request.get_host(),
        "address": request.META.get("REMOTE_ADDR"),
        "get": dict(request.GET.lists()),
        "post": dict(request.POST.lists()),
        "files": {name: list(map(_file, files)) for name, files in request.FILES.lists()},
        "content": [request.content_type, request.content_params, request.encoding],
        "length": int(request.META.get("CONTENT_LENGTH") or 0),
        "cookies": request.COOKIES,
        "headers": sorted(name for name in request.headers if name not in HOP_BY_HOP),
        "meta": meta,
        "user": str(request.user),
        "language": translation.get_language(),
        "urlconf": get_urlconf(),
        "prefix": get_script_prefix(),
        "reversed": reverse("hello"),
        "match": request.resolver_match.view_name,
        "seen": getattr(request, "seen", []),
        "class": request.__class__.__mro__[1].__name__ in ("ASGIRequest", "HttpRequest"),
    }


def _file(file):
    digest = hashlib.sha256(file.read()).hexdigest()
    return [file.name, file.size, file.content_type, str(file.charset), digest]


def _body(request):
    body = request.body
    return {
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "start": repr(body[:80]),
    }


def _echoed(request, rest):
    body = _body(request)  # before POST: afterwards the stream has been read
    described = describe(request, rest) | {"body": body}
    return JsonResponse(described, json_dumps_params={"sort_keys": True})


def echo(request, rest=""):
    return _echoed(request, rest)


async def aecho(request, rest=""):
    await request.auser()
    return await sync_to_async(_echoed)(request, rest)


def form(request):
    """Reads POST before anything else, so that Django parses the stream and not a body in memory."""
    files = {name: list(map(_file, files)) for name, files in request.FILES.lists()}
    return JsonResponse({"post": dict(request.POST.lists()), "files": files})


async def aform(request):
    return await sync_to_async(form)(request)


def read_stream(request):
    parts = iter(lambda: request.read(7), b"")
    return JsonResponse({"parts": [part.decode("latin-1") for part in parts]})


def load_json(request):
    return JsonResponse({"loaded": json.loads(request.body)})


# --- what a response can be --------------------------------------------------------------------------


def page(request):
    return TemplateResponse(request, "page.html", {"title": "A page"})


async def apage(request):
    return TemplateResponse(request, "page.html", {"title": "A page"})


def late_callback(request):
    """A TemplateResponse that is changed after it was rendered."""
    response = TemplateResponse(request, "page.html", {"title": "A page"})
    response.add_post_render_callback(lambda done: done.headers.setdefault("x-late", "yes"))
    return response


def redirect(request, kind="302"):
    if kind == "301":
        return HttpResponsePermanentRedirect("/hello/?moved=1")
    if kind == "307":
        return HttpResponseRedirect("https://elsewhere.example/", status=307)
    return HttpResponseRedirect(reverse("hello"))


def status(request, code):
    response = HttpResponse(f"this is {code}", status=code)
    response["retry-after"] = "7"
    response["www-authenticate"] = 'Basic realm="x"'
    return response


def not_modified(request):
    response = HttpResponseNotModified()
    response["etag"] = '"abc"'
    return response


def no_type(request):
    response = HttpResponse("no type")
    del response["content-type"]
    return response


def many_headers(request):
    response = HttpResponse("headers")
    response["Vary"] = "X-One, Cookie"
    response["ETag"] = '"v1"'
    response["Last-Modified"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    response["Content-Language"] = "de"
    response["Content-Disposition"] = 'attachment; filename="a b.txt"'
    response["Allow"] = "GET, POST"
    response["X-Umlaut"] = "größe"
    response["X-Empty"] = ""
    response["Link"] = "</a>; rel=next, </b>; rel=last"
    return response


ODD_BODIES = {
    "nan": (b'{"a": NaN}', "application/json"),
    "infinity": (b"[-Infinity]", "application/json"),
    "latin-1": ('{"a": "é"}'.encode("latin-1"), "application/json; charset=iso-8859-1"),
    "utf-16": ('{"a": "é"}'.encode("utf-16"), "application/json; charset=utf-16"),
    "utf-8-named": ('{"a": "é"}'.encode(), 'application/json; charset="UTF-8"'),
    "empty": (b"", "application/json"),
    "string": (b'"abc"', "application/json"),
    "null": (b"null", "application/json"),
    "number": (b"1e400", "application/json"),
    "spaced": (b' \n{"a" : [1,2 ] }\n', "application/json"),
    "bom": (b'\xef\xbb\xbf{"a": 1}', "application/json"),
    "twice": (b'{"a": 1, "a": 2}', "application/json"),
    "big-int": (b"[123456789012345678901234567890]", "application/json"),
    "surrogate": (b'["\\ud800"]', "application/json"),
    "broken": (b'{"a": ', "application/json"),
    "two": (b"{} {}", "application/json"),
    "invalid-utf-8": (b'"\xff"', "application/json"),
    "text": (b"not JSON", "application/json"),
    "deep": (b"[" * 5000 + b"]" * 5000, "application/json"),
    "problem": (b'{"title": "no"}', "application/problem+json"),
    "control": (b'"a\x01b"', "application/json"),
    "separators": ('{"a": "\u2028\u2029"}'.encode(), "application/json"),
    "plain-nul": (b"a\0b", "text/plain"),
    "plain-latin-1": ("größe".encode("latin-1"), "text/plain; charset=latin-1"),
    "plain-wrong": (b"gr\xf6\xdfe", "text/plain; charset=utf-8"),
    "plain-unknown": (b"text", "text/plain; charset=klingon"),
    "plain-utf-7": (b"+AGE-", "text/plain; charset=utf-7"),
    "plain-bom": (b"\xef\xbb\xbftext", "text/plain; charset=utf-8-sig"),
    "plain-crlf": (b"a\r\nb\nc\rd", "text/plain"),
    "plain-quotes": ('"\\/\u2028\U0001f600'.encode(), "text/plain"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image/png"),
    "octets": (bytes(range(256)) * 40, "application/octet-stream"),
    "csv": (b"a,b\n1,2\n", "text/csv"),
    "codec": (b"text", "text/plain; charset=rot13"),
}


def odd(request, name):
    body, content_type = ODD_BODIES[name]
    return HttpResponse(body, content_type=content_type)


async def aodd(request, name):
    return odd(request, name)


def large(request, kind):
    if kind == "json":
        return JsonResponse({"text": "é" * MEGABYTE})
    if kind == "binary":
        return HttpResponse(bytes(range(256)) * (2 * MEGABYTE // 256), content_type="image/png")
    return HttpResponse("x" * 2 * MEGABYTE)


# --- streams ------------------------------------------------------------------------------------------


def _parts(kind):
    if kind == "language":
        for language in ("de", "fr"):
            yield f"{translation.get_language()} {translation.gettext('Yes')} "
            translation.activate(language)
        yield translation.get_language()
    elif kind == "split":  # a character that is cut in two
        yield b"\xc3"
        yield b"\xa9 \xff"
    elif kind == "large":
        for number in range(5):
            yield bytes([65 + number]) * 100_000
    elif kind == "reverse":
        yield f"{reverse('hello')} {get_urlconf()} "
        yield f"{get_script_prefix()} {timezone.get_current_timezone_name()}"
    elif kind == "rows":
        for note in Note.objects.iterator(1):
            yield f"{note.slug}: {note.text}\n"
    elif kind != "empty":
        yield from ("one ", b"two ", "drei\u00df ", "", "\u2028")


async def _aparts(kind):
    if kind == "rows":
        async for note in Note.objects.aiterator(1):
            yield f"{note.slug}: {note.text}\n"
    else:
        for part in _parts(kind):
            yield part


def stream(request, kind="text"):
    return StreamingHttpResponse(_parts(kind))


async def astream(request, kind="text"):
    return StreamingHttpResponse(_aparts(kind))


def mixed_stream(request, kind="text"):
    """An asynchronous iterator from a synchronous view."""
    return StreamingHttpResponse(_aparts(kind), content_type="text/event-stream")


async def amixed_stream(request, kind="text"):
    """A synchronous iterator from an asynchronous view."""
    return StreamingHttpResponse(_parts(kind), content_type="text/csv")


def file(request, kind="file"):
    content = io.BytesIO(bytes(range(256)) * 800)
    if kind == "download":
        return FileResponse(content, as_attachment=True, filename="größe.bin")
    return FileResponse(content, filename="picture.png")


async def afile(request, kind="file"):
    return file(request, kind)


# --- raising ------------------------------------------------------------------------------------------


class Unforeseen(Exception):
    pass


ERRORS = {
    "404": Http404("no such thing"),
    "403": PermissionDenied("not for you"),
    "400": BadRequest("no"),
    "500": Unforeseen("a secret"),
    "suspicious": SuspiciousOperation("a trick"),
    "key": KeyError("x"),
    "recursion": RecursionError(),
    "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
}


def fail(request, kind):
    raise ERRORS[kind]


async def afail(request, kind):
    raise ERRORS[kind]


def nothing(request):
    return None


async def anothing(request):
    return None


# --- cookies, sessions, users -------------------------------------------------------------------------


def set_cookies(request):
    response = JsonResponse({"had": sorted(request.COOKIES.items())})
    response.set_cookie("plain", "1")
    response.set_cookie("hidden", "2", httponly=True, samesite="Lax")
    response.set_cookie("tls-only", "3", secure=True)
    response.set_cookie("long", "4", max_age=3600)
    response.set_cookie("below", "5", path="/cookies/below/")
    response.set_cookie("quoted", 'a "b"; c, \u00e9')
    response.set_cookie("empty", "")
    return response


def show_cookies(request):
    return JsonResponse({"cookies": sorted(request.COOKIES.items())})


def delete_cookies(request):
    response = HttpResponse("deleted")
    for name in ("plain", "hidden", "never-there"):
        response.delete_cookie(name)
    response.delete_cookie("below", path="/cookies/below/")
    return response


def count(request):
    """Counts the visits of a session."""
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"], "user": str(request.user)})


async def acount(request):
    number = (await request.session.aget("count", 0)) + 1
    await request.session.aset("count", number)
    return JsonResponse({"count": number, "user": str(await request.auser())})


def flush(request):
    request.session.flush()
    return HttpResponse("flushed")


def leave_message(request):
    messages.success(request, "It is done.")
    return HttpResponseRedirect(reverse("page"))


def log_in(request):
    user = authenticate(
        request, username=request.POST.get("name"), password=request.POST.get("word")
    )
    if user is None:
        return HttpResponse("no", status=401)
    login(request, user)
    return HttpResponse(f"welcome {user}")


async def alog_in(request):
    user = await aauthenticate(
        request, username=request.POST.get("name"), password=request.POST.get("word")
    )
    if user is None:
        return HttpResponse("no", status=401)
    await alogin(request, user)
    return HttpResponse(f"welcome {user}")


def log_out(request):
    logout(request)
    return HttpResponse("bye")


async def alog_out(request):
    await alogout(request)
    return HttpResponse("bye")


def whoami(request):
    return JsonResponse({"user": str(request.user), "known": request.user.is_authenticated})


async def awhoami(request):
    user = await request.auser()
    return JsonResponse({"user": str(user), "known": user.is_authenticated})


def csrf_token(request):
    return HttpResponse(get_token(request))


@csrf_exempt
def exempt(request):
    return HttpResponse("no token wanted")


# --- languages ------------------------------------------------------------------------------------------


def say_yes(request):
    return HttpResponse(f"{translation.get_language()}: {translation.gettext('Yes')}")


async def asay_yes(request):
    return say_yes(request)


def activate(request, language):
    """Leaves a language, a time zone and a urlconf behind, as careless code does."""
    translation.activate(language)
    timezone.activate(TOKYO)
    return HttpResponse(f"now {translation.get_language()} {timezone.get_current_timezone_name()}")


async def aactivate(request, language):
    return activate(request, language)


# --- conditional ------------------------------------------------------------------------------------------


@condition(etag_func=lambda request: '"version-1"')
def versioned(request):
    return HttpResponse("version 1")


@require_GET
def only_get(request):
    return HttpResponse("got")


# --- the database ------------------------------------------------------------------------------------------


def add_note(request, slug):
    Note.objects.create(slug=slug, text="added")
    if "fail" in request.GET:
        raise Unforeseen
    return HttpResponse(str(Note.objects.count()))


async def aadd_note(request, slug):
    await Note.objects.acreate(slug=slug, text="added")
    if "fail" in request.GET:
        raise Unforeseen
    return HttpResponse(str(await Note.objects.acount()))


def notes(request):
    return JsonResponse({"notes": list(Note.objects.values_list("slug", flat=True))})


async def anotes(request):
    return JsonResponse({"notes": [note.slug async for note in Note.objects.all()]})
