"""Lists and rows that are watched, none of which says anything of that; and who writes to them."""

from __future__ import annotations

import json
import time

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import generics, permissions, serializers

from benchmarks.live.project.counted import figures
from benchmarks.live.project.models import Author, Item, Other

#: Of a list.
ROWS = 20


class AuthorSerializer(serializers.ModelSerializer[Author]):
    class Meta:
        model = Author
        fields = ("id", "name", "email")


class ItemSerializer(serializers.ModelSerializer[Item]):
    author = AuthorSerializer()

    class Meta:
        model = Item
        fields = ("id", "title", "text", "author", "number", "created")


class OtherSerializer(serializers.ModelSerializer[Other]):
    class Meta:
        model = Other
        fields = ("id", "title")


class Items(generics.ListAPIView[Item]):
    """Twenty rows with their authors, for users only."""

    permission_classes = [permissions.IsAuthenticated]
    queryset = Item.objects.select_related("author")[:ROWS]
    serializer_class = ItemSerializer


class OneByOne(Items):
    """The same by 21 queries: each author is asked for by itself."""

    queryset = Item.objects.all()[:ROWS]


class OneItem(generics.RetrieveAPIView[Item]):
    """One row, for users only."""

    permission_classes = [permissions.IsAuthenticated]
    queryset = Item.objects.select_related("author")
    serializer_class = ItemSerializer


class PublicItems(generics.ListAPIView[Item]):
    """The list for everybody: nothing of it depends on who asks."""

    authentication_classes = []
    permission_classes = []
    queryset = Item.objects.select_related("author")[:ROWS]
    serializer_class = ItemSerializer


class Others(generics.ListAPIView[Other]):
    """A list that no write concerns."""

    authentication_classes = []
    permission_classes = []
    queryset = Other.objects.all()
    serializer_class = OtherSerializer


@csrf_exempt
def write(request: HttpRequest) -> JsonResponse:
    """Save a row. ``at`` is when that was committed, on the machine's monotonic clock."""
    asked = json.loads(request.body)
    item = Item.objects.get(pk=asked["pk"])
    item.number = asked["number"]
    item.save()
    at = time.perf_counter()
    return JsonResponse({"at": at})


@csrf_exempt
def counted(_request: HttpRequest) -> JsonResponse:
    """What was counted so far."""
    return JsonResponse(figures)
