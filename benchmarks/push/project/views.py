from __future__ import annotations

from django.http import HttpRequest, JsonResponse


def news(_request: HttpRequest) -> JsonResponse:
    """What is subscribed to."""
    return JsonResponse({"news": []})
