"""Views that go by a token: who bears "JWT ann" is the user "ann", without a database."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.project.gates import gates
from wsrequest import topic

#: How often each url was asked, and by whom.
asked: list[tuple[str, str | None]] = []

#: Users who may nothing any more.
banned: set[str] = set()

#: The views' state.
state: dict[str, Any] = {}

#: What is done in place of answering.
instead: dict[str, Any] = {}


def forget() -> None:
    """What other tests have left behind."""
    for kept in (asked, banned, state, instead):
        kept.clear()


class Person:
    is_authenticated = True
    is_anonymous = False

    def __init__(self, name: str) -> None:
        self.pk = self.name = name


def _who(request: HttpRequest) -> str | None:
    bearer = request.headers.get("authorization", "").removeprefix("JWT ").split(".")[0]
    if bearer:
        request.user = Person(bearer)  # type: ignore[assignment]
    return bearer or None


def thing(request: HttpRequest, name: str) -> HttpResponse:
    who = _who(request)
    asked.append((request.path, who))
    if name in instead:
        answer: HttpResponse = instead[name]()
        return answer
    if who is None:
        return JsonResponse({"detail": "Who are you?"}, status=401)
    if who in banned:
        return JsonResponse({"detail": f"Not {who}."}, status=403)
    return JsonResponse({"value": state.get(name), "for": who})


def open_thing(request: HttpRequest) -> HttpResponse:
    """Everybody may, and nobody is asked who he is."""
    response = JsonResponse({"value": state.get("open")})
    asked.append((request.path, None))
    response.set_cookie("visits", str(len(asked)))
    return response


@topic(lambda request: f"@of-{_who(request)}")
def own(request: HttpRequest) -> HttpResponse:
    asked.append((request.path, _who(request)))
    return JsonResponse({"for": _who(request)})


def slow(request: HttpRequest, name: str) -> HttpResponse:
    asked.append((request.path, _who(request)))
    gates[name].pass_()
    return JsonResponse({"value": state.get(name)})


urlpatterns = [
    path("people/<name>/", thing),
    path("open/", open_thing),
    path("own/", own),
    path("slow/<name>/", slow),
    path("", include("tests.subscribe.urls")),
]
