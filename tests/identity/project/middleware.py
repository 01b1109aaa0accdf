"""A project's own way to know its users."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.utils.decorators import sync_only_middleware


@sync_only_middleware
def api_key(get_response):
    """``Authorization: Key <username>``, as far from a real key as a test may be."""

    def middleware(request):
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme == "Key":
            user = get_user_model().objects.filter(username=key).first()
            if user is None:
                return HttpResponse("no such key", status=401)
            request.user = user
        return get_response(request)

    return middleware
