"""A shop with three kinds of views: REST framework's with drf-spectacular, django-ninja's, and Django's own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
import ninja
import pydantic
from django.http import JsonResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter

from wsrequest import emits, live, topic


@dataclass
class Address:
    street: str
    country: str | None = None


@dataclass
class Paid:
    total: Decimal
    address: Address


class Sent(TypedDict):
    parcel: str
    address: Address


class Moved(msgspec.Struct):
    to: Address
    steps: list[int] = []


class Rated(pydantic.BaseModel):
    class Stars(pydantic.BaseModel):
        count: int

    stars: Stars
    words: list[str]
    reply: str | None


class OrderSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(["open", "paid"])
    note = serializers.CharField(allow_null=True)


class RefundSerializer(serializers.Serializer):
    amount = serializers.DecimalField(max_digits=9, decimal_places=2)
    of = OrderSerializer()


class Orders(viewsets.ViewSet):
    schema = AutoSchema()
    serializer_class = OrderSerializer
    hears = topic(lambda request: f"@orders/{request.user.pk}")
    events = emits(created=OrderSerializer, cleared=None)
    kept = live(False)

    @extend_schema(responses=OrderSerializer(many=True), summary="Your orders.")
    def list(self, request):
        return Response([])

    @emits(
        {"order.paid": Paid}, sent=Sent, refunded=RefundSerializer, all=OrderSerializer(many=True)
    )
    def retrieve(self, request, pk):
        return Response({})

    def create(self, request):
        return Response({})

    @action(detail=True, methods=["POST"])
    def pay(self, request, pk):
        return Response({})


class Closed(Orders):
    events = None


router = DefaultRouter()
router.register("orders", Orders, basename="order")
router.register("closed", Closed, basename="closed")

api = ninja.NinjaAPI(urls_namespace="tests-schema")


class Parcel(ninja.Schema):
    id: int
    weight: float | None = None


@api.get("/parcels/{int:number}", response=Parcel)
@emits(moved=Moved, rated=Rated)
def parcel(request, number: int):
    return {"id": number}


@api.get("/aparcels/{number}", response=list[Parcel])
@emits(moved=Moved)
async def aparcel(request, number: int):
    return []


@api.post("/parcels")
def send(request, parcel: Parcel):
    return {}


@emits(tick=int, shape={"type": "object", "properties": {"x": {"type": "number"}}}, any=Any)
def clock(request):
    return JsonResponse({})


class Files(View):
    @method_decorator(live(False))
    @method_decorator(emits(changed=str))
    def get(self, request, path):
        return JsonResponse({})


class Upload(View):
    def post(self, request):
        return JsonResponse({})


def plain(request, year):
    return JsonResponse({})


urlpatterns = [
    path("api/", include(router.urls)),
    path("ninja/", api.urls),
    path("clock/", clock),
    path("clock/<int:twice>/", clock),
    path("clock/<slug:again>/", clock),
    path("files/<path:path>", Files.as_view()),
    path("upload/", Upload.as_view()),
    re_path(r"^plain/(?P<year>[0-9]{4})/$", plain),
]
