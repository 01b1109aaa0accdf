"""A user's small project: orders that are written and published, what is live, and what fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import include, path
from django.utils.translation import get_language

from tests.project.models import Note
from wsrequest import publish, topic


def notes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        note = json.loads(request.body)
        with transaction.atomic():
            Note.objects.create(**note)
            publish("/notes/", note, event="added")
            if note.get("text") == "undone":
                transaction.set_rollback(True)
        return JsonResponse(note, status=201)
    return JsonResponse({"notes": list(Note.objects.values_list("slug", flat=True))})


async def anotes(request: HttpRequest) -> HttpResponse:
    slugs = await sync_to_async(lambda: list(Note.objects.values_list("slug", flat=True)))()
    return JsonResponse({"notes": slugs, "count": await Note.objects.acount()})


def me(request: HttpRequest) -> HttpResponse:
    user = request.user
    request.session["seen"] = request.session.get("seen", 0) + 1
    return JsonResponse(
        {
            "user": user.get_username() if isinstance(user, User) else None,
            "seen": request.session["seen"],
            "in_transaction": connection.in_atomic_block,
            "language": get_language(),
            "token": request.headers.get("authorization"),
            "meta": {
                key: value
                for key, value in request.META.items()
                if key.startswith("HTTP_X_") or key in ("REMOTE_ADDR", "HTTP_HOST")
            },
            "secure": request.is_secure(),
        }
    )


def members(request: HttpRequest) -> HttpResponse:
    return JsonResponse({}, status=200 if request.user.is_authenticated else 403)


@topic(lambda request: f"@orders-{request.user.pk}")
def mine(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": request.user.pk})


def echo(request: HttpRequest) -> HttpResponse:
    files: dict[str, Any] = {
        name: [file.name, file.read().decode(), file.content_type]
        for name, file in request.FILES.items()
        if isinstance(file, UploadedFile)
    }
    return JsonResponse(
        {
            "method": request.method,
            "query": request.GET.dict(),
            "form": request.POST.dict(),
            "files": files,
            "type": request.content_type,
            "body": "" if request.POST or files else request.body.decode("latin-1"),
        }
    )


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html", {"name": request.GET.get("name", "Ada")})


def hop(request: HttpRequest, number: int) -> HttpResponse:
    return redirect(f"/hop/{number - 1}/" if number else "/echo/?at=end")


def around(request: HttpRequest) -> HttpResponse:
    return redirect("/around/")


def kept(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=307, headers={"Location": "/echo/"})


#: How far a stream has come, and what became of it.
streamed: list[str] = []


def _parts(kind: str) -> Iterator[bytes]:
    streamed.clear()
    try:
        for number in range(3 if kind == "short" else 10_000_000):
            if kind == "broken" and number == 2:
                raise ValueError("broken off")
            yield f"{number} ".encode()
    finally:
        streamed.append("closed")


async def _aparts(kind: str) -> AsyncIterator[bytes]:
    for part in _parts(kind):
        yield part


def stream(request: HttpRequest, kind: str) -> HttpResponseBase:
    return StreamingHttpResponse(_parts(kind), content_type="text/plain")


async def astream(request: HttpRequest, kind: str) -> HttpResponseBase:
    return StreamingHttpResponse(_aparts(kind), content_type="text/plain")


async def never(request: HttpRequest) -> HttpResponse:
    await asyncio.Event().wait()
    raise AssertionError


def nobody(request: HttpRequest) -> HttpResponse:
    """A HANDSHAKE hook."""
    return HttpResponse(status=403)


class Failure(Exception):
    """Of a view."""


def fail(request: HttpRequest) -> HttpResponse:
    raise Failure("as it was asked to")


async def afail(request: HttpRequest) -> HttpResponse:
    raise Failure("as it was asked to")


def fails_later(request: HttpRequest) -> HttpResponse:
    if Note.objects.filter(slug="bad").exists():
        raise Failure("there is a bad note")
    return JsonResponse({})


def different(request: HttpRequest) -> HttpResponse:
    over = "socket" if hasattr(request, "websocket") else "http"
    response = JsonResponse({"over": over, "same": True}, status=200 if over == "http" else 201)
    response["X-Over"] = over
    response.set_cookie("over", over)
    return response


urlpatterns = [
    path("notes/", notes),
    path("anotes/", anotes),
    path("me/", me),
    path("members/", members),
    path("mine/", mine),
    path("echo/", echo),
    path("page/", page),
    path("hop/<int:number>/", hop),
    path("around/", around),
    path("kept/", kept),
    path("stream/<kind>/", stream),
    path("astream/<kind>/", astream),
    path("never/", never),
    path("fail/", fail),
    path("afail/", afail),
    path("fails-later/", fails_later),
    path("different/", different),
    path("accounts/", include("django.contrib.auth.urls")),
]
