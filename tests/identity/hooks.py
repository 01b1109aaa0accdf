"""What a project may name as its HANDSHAKE."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.views.debug import ExceptionReporter

from tests.project.gates import gates

#: What the hooks saw, the latest last.
seen: list[dict[str, Any]] = []


def note(request):
    """Lets everybody in, and remembers who came."""
    seen.append(
        {
            "method": request.method,
            "path": request.path,
            "query": dict(request.GET.lists()),
            "user": str(request.user),
            "session": request.session.session_key,
            "host": request.get_host(),
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "cookies": request.COOKIES,
            "ip": request.META.get("REMOTE_ADDR"),
            "websocket": request.websocket.id,
            "route": request.resolver_match.func.__name__,
            "body": request.body,
        }
    )
    request.websocket.state["met"] = True


def note_with_report(request):
    """And what the administrators would be sent, had it failed."""
    note(request)
    reporter = ExceptionReporter(request, RuntimeError, RuntimeError(), None)
    seen[-1]["report"] = reporter.get_traceback_text()


async def anote(request):
    await request.auser()
    note(request)


def members_only(request):
    return None if request.user.is_authenticated else HttpResponse("who are you?", status=401)


async def amembers_only(request):
    user = await request.auser()
    return None if user.is_authenticated else HttpResponse("who are you?", status=401)


def by_query(request):
    """As the query says."""
    kind = request.GET.get("kind", "")
    if kind == "denied":
        raise PermissionDenied("a secret")
    if kind == "missing":
        raise Http404("a secret")
    if kind == "broken":
        raise RuntimeError("a secret")
    if kind == "redirect":
        return redirect("https://elsewhere.example/")
    if kind == "json":
        return JsonResponse({"secret": 1}, status=200)
    if kind == "stream":
        return StreamingHttpResponse(["a", "b"], status=int(request.GET["status"]))
    if kind == "false":
        return False
    return HttpResponse("a secret", status=int(request.GET["status"]))


async def aby_query(request):
    return by_query(request)


def at_gate(request):
    gates[request.GET["gate"]].pass_()


async def aat_gate(request):
    await gates[request.GET["gate"]].apass()


def greet(request):
    request.websocket.notify("greeting", {"codec": request.websocket.codec})


def set_cookies(request):
    response = HttpResponse(status=204)
    response.set_cookie("from_hook", "1", httponly=True)
    if "refuse" in request.GET:
        response.status_code = 403
    return response


def count_visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1


def activate(request):
    """Leaves something behind, as careless code does."""
    translation.activate("de")


class Door:
    """A callable object."""

    def __call__(self, request):
        return HttpResponse(status=204 if request.GET.get("word") == "sesame" else 403)


door = Door()
