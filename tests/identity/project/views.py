"""Who it was, and what the connection knows of that."""

from __future__ import annotations

import json
from datetime import timedelta

from django.contrib.auth import authenticate, get_user_model, login
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authtoken.models import Token
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken

from wsrequest.session.registry import registry


def _described(request, user):
    name = user.get_username() or None
    return {"user": name, "authorization": request.META.get("HTTP_AUTHORIZATION")}


def who(request):
    return JsonResponse(_described(request, request.user))


async def awho(request):
    return JsonResponse(_described(request, await request.auser()))


class Who(APIView):
    """By the authentication classes that the URLconf names; a bad token is their business."""

    permission_classes = [AllowAny]

    def get(self, request):
        return Response(_described(request._request, request.user))


def log_in(request):
    sent = json.loads(request.body)
    user = authenticate(request, **sent)
    if user is None:
        return HttpResponse("no", status=401)
    login(request, user)
    return HttpResponse("welcome")


def short_token(request, seconds):
    """An access token of ada's that lives for so long."""
    token = AccessToken.for_user(get_user_model().objects.get(username="ada"))
    token.set_exp(lifetime=timedelta(seconds=seconds))
    return JsonResponse({"access": str(token)})


def revoke(request):
    """Take the DRF token away that this request bears."""
    Token.objects.filter(key=request.headers["authorization"].removeprefix("Token ")).delete()
    return HttpResponse(status=204)


def connection(request):
    """The username of the user whom the connection is known to be; asking changes nothing."""
    (session,) = (
        member for member in registry.members if member.websocket.id == request.websocket.id
    )
    key = session.identity
    user = None if key is None else get_user_model().objects.get(pk=key)
    return JsonResponse({"user": user and user.get_username()})


@csrf_exempt
def people(request):
    """Make the users."""
    for name in ("ada", "bob"):
        get_user_model().objects.create_user(name, password="secret")
    return HttpResponse(status=204)


_settings = []


@csrf_exempt
def control(request):
    """WSREQUEST for the connections that are opened from now on."""
    while _settings:
        _settings.pop().disable()
    override = override_settings(WSREQUEST=json.loads(request.body))
    override.enable()
    _settings.append(override)
    return HttpResponse(status=204)
