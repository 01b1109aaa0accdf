from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse

from benchmarks.push.project.content import DATA, EVENT, URL
from wsrequest import publish

_DATA = json.loads(DATA)


def news(_request: HttpRequest) -> JsonResponse:
    """What is subscribed to."""
    return JsonResponse({"news": []})


def publish_news(request: HttpRequest) -> JsonResponse:
    """Publish so many events as are asked for, one after the other."""
    count = json.loads(request.body)["count"]
    for _ in range(count):
        publish(URL, _DATA, event=EVENT)
    return JsonResponse({"published": count})
