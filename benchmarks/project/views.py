"""What is asked for: nothing, nothing asynchronously, one row, and a list through DRF."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import generics, serializers

from benchmarks.project.models import Snippet

EMPTY = b'{"ok":true}'


def empty(_request: HttpRequest) -> HttpResponse:
    """Do nothing: what is left is what the stack around a view costs."""
    return HttpResponse(EMPTY, content_type="application/json")


async def empty_async(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(EMPTY, content_type="application/json")


def one_row(_request: HttpRequest) -> JsonResponse:
    """Make one query by primary key."""
    snippet = Snippet.objects.get(pk=1)
    return JsonResponse({"id": snippet.pk, "title": snippet.title})


class SnippetSerializer(serializers.ModelSerializer[Snippet]):
    class Meta:
        model = Snippet
        fields = ("id", "title", "code", "language", "created")


class SnippetList(generics.ListAPIView[Snippet]):
    """Twenty rows, serialized by DRF."""

    queryset = Snippet.objects.all()
    serializer_class = SnippetSerializer
