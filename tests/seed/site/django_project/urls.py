"""``/api/projects/`` asks the database, ``/api/companies/`` says what it got."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.request import Request
from rest_framework.response import Response


def projects(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'Apollo'")
        return JsonResponse([{"name": name} for (name,) in cursor.fetchall()], safe=False)


@api_view(["POST"])
@authentication_classes([])
def companies(request: Request) -> Response:
    token = request.headers.get("authorization")
    return Response({"data": request.data, "authorization": token}, status=201)


urlpatterns = [path("api/projects/", projects), path("api/companies/", companies)]
