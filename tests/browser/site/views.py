"""A board of notes that says what happens to it, and what else a page may ask for."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict

from django.contrib.auth import get_user_model, login
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie

from tests.project.models import Note
from wsrequest import publish

#: What this process has done, for tests to look at.
done: Counter[str] = Counter()
#: What lets the answer to a write go out.
released: defaultdict[str, threading.Event] = defaultdict(threading.Event)

PAGE = "<!doctype html><title>A page</title><link rel=icon href='data:,'><main></main>"
CARD = """<h2>{{ note.slug }}</h2>
<p>{{ note.text }}</p>
<input name="answer" aria-label="Answer"><button type="button">Send</button>"""
TAGGED = """{% load wsrequest %}<!doctype html><link rel="icon" href="data:,">
{% wsrequest_script %}
<script type="module" nonce="{{ csp_nonce }}">
  import { WSRequest } from "wsrequest";
  import { LiveFragment } from "wsrequest/fragment";
  const ws = new WSRequest("/ws/");
  // One core for both, or this would not be one of its kind.
  LiveFragment.connection = ws;
  console.log(JSON.stringify(await ws.get("/who/")));
</script>"""
POLICY = "script-src 'nonce-abc'; connect-src 'self'; default-src 'self' data:"


@ensure_csrf_cookie
def page(request):
    """Nothing: a test brings along what its page does."""
    return HttpResponse(PAGE)


def tagged(request):
    """A page of modules, under a policy that allows nothing but what bears its nonce."""
    html = engines["django"].from_string(TAGGED).render({"csp_nonce": "abc"}, request)
    return HttpResponse(html, headers={"content-security-policy": POLICY})


@csrf_exempt
def board(request):
    """All notes; POST {slug, text} adds one, and tells it. ?hold= keeps back the answer to that."""
    if request.method == "POST":
        fields = json.loads(request.body)
        done["posts"] += 1
        Note.objects.create(**fields)
        publish("/board/", fields["slug"], event="added")
        if name := request.GET.get("hold"):
            assert released[name].wait(60)
        return JsonResponse(fields, status=201)
    return JsonResponse({"notes": list(Note.objects.values_list("slug", flat=True))})


@csrf_exempt
def note(request, slug):
    """One note; PUT {text} changes it, DELETE takes it away."""
    found = Note.objects.filter(slug=slug).first()
    if found is None:
        return JsonResponse({"detail": "No such note."}, status=404)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)
    if request.method == "PUT":
        found.text = json.loads(request.body)["text"]
        found.save()
    return JsonResponse({"slug": found.slug, "text": found.text})


def card(request, slug):
    """The same as a fragment of HTML."""
    found = Note.objects.filter(slug=slug).first()
    if found is None:
        return HttpResponse("<p>No such note.</p>", status=404)
    return HttpResponse(engines["django"].from_string(CARD).render({"note": found}, request))


async def numbers(request, count):
    """A line for each number."""

    async def lines():
        for number in range(count):
            yield f"{number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


async def endless(request):
    """A stream that only its reader ends."""

    async def lines():
        done["begun"] += 1
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            done["ended"] += 1

    return StreamingHttpResponse(lines(), content_type="text/plain")


async def wait(request, name):
    """Until it is cancelled."""
    done[f"{name} begun"] += 1
    try:
        await asyncio.Event().wait()
    finally:
        done[f"{name} ended"] += 1


def release(request, name):
    released[name].set()
    return HttpResponse(status=204)


async def counters(request):
    return JsonResponse(done)


def sign_in(request):
    """As whoever one says to be."""
    user, _ = get_user_model().objects.get_or_create(username=json.loads(request.body)["name"])
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse(status=204)


def who(request):
    return JsonResponse({"user": request.user.username, "secure": request.is_secure()})
