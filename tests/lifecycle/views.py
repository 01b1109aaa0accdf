"""Views that tell what they saw."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import connection, connections
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.request import RawPostDataException
from django.template.response import SimpleTemplateResponse
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Stage:
    """Where a test and a view that runs on another thread meet."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_leave = threading.Event()
        self.left = threading.Event()
        self.async_entered: asyncio.Event | None = None
        self.cancelled = False
        self.cleaned_up = threading.Event()
        self.barrier = threading.Barrier(2)

    current: ClassVar[Stage]


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def ahello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def state() -> dict[str, Any]:
    """Django's per-request state as it is here."""
    return {
        "language": translation.get_language(),
        "timezone": timezone.get_current_timezone_name(),
        "urlconf": get_urlconf(),
        "prefix": get_script_prefix(),
        "thread": threading.get_ident(),
    }


def _activate(request: HttpRequest) -> None:
    if language := request.GET.get("language"):
        translation.activate(language)
    if zone := request.GET.get("timezone"):
        timezone.activate(zone)


def see_state(request: HttpRequest) -> HttpResponse:
    before = state()
    _activate(request)
    return JsonResponse({"before": before, "after": state()})


async def asee_state(request: HttpRequest) -> HttpResponse:
    before = state()
    _activate(request)
    return JsonResponse({"before": before, "after": state(), "sync": await sync_to_async(state)()})


def is_form(request: HttpRequest) -> bool:
    """Whether it was read as multipart, after which there is no body any more."""
    return request.content_type == "multipart/form-data" and request.method == "POST"


def see_request(request: HttpRequest) -> HttpResponse:
    """What the request was, as JSON."""
    return JsonResponse(
        {
            "kind": type(request).__mro__[1].__name__,
            "method": request.method,
            "path": request.path,
            "path_info": request.path_info,
            "full_path": request.get_full_path(),
            "query": request.META["QUERY_STRING"],
            "GET": dict(request.GET.lists()),
            "POST": dict(request.POST.lists()),
            "FILES": {name: file.read().decode() for name, file in request.FILES.items()},
            "body": "" if is_form(request) else request.body.decode("latin-1"),
            "content_type": request.content_type,
            "content_params": request.content_params,
            "META": {key: value for key, value in request.META.items() if isinstance(value, str)},
            "secure": request.is_secure(),
            "absolute": request.build_absolute_uri(),
            "reversed": reverse("hello"),
            "scope": request.scope["type"] if hasattr(request, "scope") else None,
        }
    )


async def asee_request(request: HttpRequest) -> HttpResponse:
    return await sync_to_async(see_request)(request)


def see_upload(request: HttpRequest) -> HttpResponse:
    if request.GET.get("handler") == "file":
        request.upload_handlers = [TemporaryFileUploadHandler(request)]
    upload = request.FILES["file"]
    Uploads.seen.append(upload)
    return JsonResponse(
        {
            "kind": type(upload).__name__,
            "name": upload.name,
            "type": upload.content_type,
            "size": upload.size,
            "fields": dict(request.POST.items()),
        }
    )


class Uploads:
    seen: ClassVar[list[Any]] = []


def read_twice(request: HttpRequest) -> HttpResponse:
    first = request.read(3)
    try:
        request.body  # noqa: B018
    except RawPostDataException as error:
        return JsonResponse({"read": first.decode(), "error": type(error).__name__})
    return JsonResponse({"read": first.decode(), "error": None})


class Data(APIView):
    def post(self, request: Request) -> Response:
        return Response({"data": request.data})


def users(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        list(User.objects.order_by("username").values_list("username", flat=True)), safe=False
    )


async def ausers(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        [user.username async for user in User.objects.order_by("username")], safe=False
    )


def make_user(request: HttpRequest) -> HttpResponse:
    User.objects.create(username="made", first_name=str(connection.in_atomic_block))
    if "fail" in request.GET:
        raise ValueError("after the write")
    return HttpResponse(str(connection.in_atomic_block))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    _activate(request)

    def parts() -> Iterator[str]:
        for number in range(3):
            yield f"{number} {translation.get_language()} {get_urlconf()} {threading.get_ident()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def astream(request: HttpRequest) -> StreamingHttpResponse:
    _activate(request)

    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"{number} {translation.get_language()} {get_urlconf()} {threading.get_ident()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def sync_view_async_stream(request: HttpRequest) -> StreamingHttpResponse:
    _activate(request)

    async def parts() -> AsyncIterator[str]:
        yield f"0 {translation.get_language()} {get_urlconf()} {threading.get_ident()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def async_view_sync_stream(request: HttpRequest) -> StreamingHttpResponse:
    _activate(request)

    def parts() -> Iterator[str]:
        for number in range(2):
            yield f"{number} {translation.get_language()} {get_urlconf()} {threading.get_ident()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def endless(request: HttpRequest) -> StreamingHttpResponse:
    stage = Stage.current

    def parts() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            stage.cleaned_up.set()

    return StreamingHttpResponse(parts())


async def aendless(request: HttpRequest) -> StreamingHttpResponse:
    stage = Stage.current

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                await asyncio.sleep(0)
                yield b"x"
        finally:
            stage.cleaned_up.set()

    return StreamingHttpResponse(parts())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("midway")

    return StreamingHttpResponse(parts())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(open(__file__, "rb"), filename="views.py")  # noqa: PTH123


async def afile(request: HttpRequest) -> FileResponse:
    opened = await sync_to_async(open)(__file__, "rb")
    return FileResponse(opened, filename="views.py")


def wait(request: HttpRequest) -> HttpResponse:
    stage = Stage.current
    stage.entered.set()
    assert stage.may_leave.wait(20)
    stage.left.set()
    return HttpResponse("waited")


async def await_(request: HttpRequest) -> HttpResponse:
    stage = Stage.current
    assert stage.async_entered is not None
    stage.async_entered.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        stage.cancelled = True
        raise
    return HttpResponse("never")


async def meet(request: HttpRequest) -> HttpResponse:
    """Answers only when two messages are in their synchronous part at the same time."""
    stage = Stage.current

    def here() -> int:
        stage.barrier.wait(20)
        return threading.get_ident()

    threads = [await sync_to_async(here)(), await sync_to_async(threading.get_ident)()]
    return JsonResponse({"threads": threads, "hook": request.hook_thread})  # type: ignore[attr-defined]


def fail(request: HttpRequest) -> HttpResponse:
    match request.GET.get("how"):
        case "404":
            raise Http404("no such thing")
        case "403":
            raise PermissionDenied("not you")
        case "400":
            raise BadRequest("what?")
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
    raise ValueError("a secret of the server")


async def afail(request: HttpRequest) -> HttpResponse:
    return fail(request)


def set_cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("set")
    if "delete" in request.GET:
        response.delete_cookie("plain")
    else:
        response.set_cookie("plain", "1", max_age=3600)
        response.set_cookie("hidden", "2", httponly=True)
        response.set_cookie("elsewhere", "3", path="/elsewhere/")
        response.set_cookie("safe", "4", secure=True)
    return response


def see_cookies(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.COOKIES)


def log_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(
        request, username=request.POST["username"], password=request.POST["password"]
    )
    if user is None:
        raise PermissionDenied
    login(request, user)
    return HttpResponse(request.session.session_key or "")


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


async def awho(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.get_username())


def count(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    if "fail" in request.GET:
        raise ValueError("after the write to the session")
    return HttpResponse(str(request.session["count"]))


@csrf_protect
def protected(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


@csrf_exempt
def exempt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


def respond(request: HttpRequest) -> HttpResponse:
    """A response made to measure: status, content type, body (latin-1), reason, headers."""
    wanted = request.GET
    response = HttpResponse(
        wanted.get("body", "body").encode("latin-1"),
        status=int(wanted.get("status", 200)),
        reason=wanted.get("reason"),
        content_type=wanted.get("type", "text/plain"),
    )
    for header in wanted.getlist("header"):
        name, _, value = header.partition(":")
        response[name] = value
    return response


def not_modified(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotModified()


def template(request: HttpRequest) -> SimpleTemplateResponse:
    response = SimpleTemplateResponse("unused.html")
    response.content = "rendered"
    return response


def number(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(str(number))


def text(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(text)


async def background(request: HttpRequest) -> HttpResponse:
    """Answers at once, and goes on with the database."""
    stage = Stage.current

    async def work() -> None:
        await asyncio.to_thread(stage.may_leave.wait, 20)
        await User.objects.acreate(username="later")
        # It has outlived its request, and nobody else closes it.
        await sync_to_async(connections.close_all)()
        stage.left.set()

    Background.task = asyncio.create_task(work())
    return HttpResponse("answered")


class Background:
    task: ClassVar[asyncio.Task[None]]


async def threads(request: HttpRequest) -> HttpResponse:
    """The threads of two hops of the view, the hooks' one, and the loop's."""
    hops = [await sync_to_async(threading.get_ident)() for _ in range(2)]
    hook = getattr(request, "hook_thread", None)
    return JsonResponse({"hops": hops, "hook": hook, "loop": threading.get_ident()})
