"""Views that count how often they ran, for plain Django and for REST framework."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter

import redis
from django.contrib.auth import alogin, get_user_model, login, logout
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.authentication import TokenAuthentication as RealTokenAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from tests.project.api import TokenAuthentication
from tests.project.gates import gates
from tests.project.models import Note

#: How often each view ran; under a name in the url.
runs: Counter[str] = Counter()


def answer(name):
    runs[name] += 1
    return JsonResponse({"run": runs[name]}, status=201, headers={"X-Run": str(runs[name])})


def run(request, name):
    return answer(name)


async def arun(request, name):
    return answer(name)


def gate(request, name):
    response = answer(name)
    gates[name].pass_()
    return response


async def agate(request, name):
    response = answer(name)
    await gates[name].apass()
    return response


def status(request, name, code):
    runs[name] += 1
    return HttpResponse(str(runs[name]), status=code)


async def astatus(request, name, code):
    return status(request, name, code)


def stream(request, name):
    runs[name] += 1
    return StreamingHttpResponse([f"run {runs[name]}"])


async def astream(request, name):
    runs[name] += 1

    async def parts():
        yield f"run {runs[name]}"

    return StreamingHttpResponse(parts())


async def endless(request, name):
    runs[name] += 1

    async def parts():
        yield f"run {runs[name]}"
        await asyncio.Event().wait()

    return StreamingHttpResponse(parts())


def gate_stream(request, name):
    response = stream(request, name)
    gates[name].pass_()
    return response


def fail(request, name):
    runs[name] += 1
    raise RuntimeError("on purpose")


async def afail(request, name):
    fail(request, name)


def leave(request, name):
    runs[name] += 1
    sys.exit("on purpose")


async def aleave(request, name):
    leave(request, name)


def log_in(request, name):
    runs[name] += 1
    login(request, get_user_model().objects.get(username=name))
    response = HttpResponseRedirect("/whoami/")
    response.set_cookie("theme", 'da"rk', max_age=60, samesite="Lax")
    return response


async def alog_in(request, name):
    runs[name] += 1
    await alogin(request, await get_user_model().objects.aget(username=name))
    return HttpResponseRedirect("/whoami/")


def log_out(request):
    logout(request)
    return HttpResponse()


def whoami(request):
    return JsonResponse({"user": str(request.user), "theme": request.COOKIES.get("theme")})


def picture(request, name):
    runs[name] += 1
    return HttpResponse(b"\x89PNG", content_type="image/png", reason="Painted")


def transaction(request, name):
    runs[name] += 1
    return JsonResponse({"atomic": connection.in_atomic_block})


class Api(APIView):
    authentication_classes = [SessionAuthentication, TokenAuthentication]

    def post(self, request, name):
        runs[name] += 1
        return Response({"run": runs[name], "user": str(request.user), "auth": request.auth})


class Set(ViewSet):
    authentication_classes = [TokenAuthentication]

    def create(self, request, name):
        runs[name] += 1
        return Response({"user": str(request.user), "data": request.data, "action": self.action})


@api_view(["POST"])
@authentication_classes([TokenAuthentication])
def function(request, name):
    runs[name] += 1
    return Response({"user": str(request.user)})


# For several processes: they share a database, and the server behind the cache.


def server():
    return redis.Redis.from_url(os.environ["WSREQUEST_TEST_CACHE"])


def write(request, slug):
    """Says that it runs, and waits until a test lets it go on."""
    Note.objects.create(slug=slug)
    server().rpush(f"{slug}.entered", os.getpid())
    if "wait" in request.GET:
        server().blpop([f"{slug}.go"], timeout=20)
    if "die" in request.GET:
        os.kill(os.getpid(), signal.SIGKILL)
    return JsonResponse({"pid": os.getpid()})


async def awrite(request, slug):
    return await asyncio.to_thread(write, request, slug)


class Write(APIView):
    """By REST framework's own authentication."""

    authentication_classes = [RealTokenAuthentication, SessionAuthentication]

    def post(self, request, slug):
        Note.objects.create(slug=slug)
        return Response({"user": str(request.user), "pid": os.getpid()})


def token(request, name):
    """A user of this name, logged in, and with a token."""
    from rest_framework.authtoken.models import Token

    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse(Token.objects.get_or_create(user=user)[0].key)


def count(request, slug):
    return HttpResponse(str(Note.objects.filter(slug__startswith=slug).count()))


urlpatterns = [
    path("run/<name>/", run),
    path("arun/<name>/", arun),
    path("gate/<name>/", gate),
    path("agate/<name>/", agate),
    path("status/<name>/<int:code>/", status),
    path("astatus/<name>/<int:code>/", astatus),
    path("stream/<name>/", stream),
    path("astream/<name>/", astream),
    path("gate-stream/<name>/", gate_stream),
    path("endless/<name>/", endless),
    path("fail/<name>/", fail),
    path("afail/<name>/", afail),
    path("leave/<name>/", leave),
    path("aleave/<name>/", aleave),
    path("log-in/<name>/", log_in),
    path("alog-in/<name>/", alog_in),
    path("log-out/", log_out),
    path("whoami/", whoami),
    path("picture/<name>/", picture),
    path("transaction/<name>/", transaction),
    path("api/<name>/", Api.as_view()),
    path("set/<name>/", Set.as_view({"post": "create"})),
    path("function/<name>/", function),
    path("write/<slug>/", write),
    path("awrite/<slug>/", awrite),
    path("api-write/<slug>/", Write.as_view()),
    path("token/<name>/", token),
    path("count/<slug>/", count),
]
