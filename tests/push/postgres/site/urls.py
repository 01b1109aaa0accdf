"""Notes, and a view that may change its mind."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.push.postgres.site.models import Note
from wsrequest import publish


@csrf_exempt
def notes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        text = request.body.decode()
        Note.objects.create(text=text)
        publish("/notes/", text)
        if text == "phantom":
            transaction.set_rollback(True)
            return HttpResponse(status=409)
    return JsonResponse([note.text for note in Note.objects.order_by("pk")], safe=False)


urlpatterns = [path("notes/", notes)]
