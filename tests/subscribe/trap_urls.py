"""An API where everyone may GET the list, and sees his own rows in it; five ways to tell of a new one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import include, path, reverse
from django.utils.decorators import method_decorator
from rest_framework import routers, serializers, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from tests.project.api import TokenAuthentication
from tests.project.models import Order
from wsrequest import publish, topic, touch


class OrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ["id", "item"]


class Orders(viewsets.ModelViewSet):
    """Whoever is logged in may GET it."""

    serializer_class = OrderSerializer
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.filter(owner=self.request.user)

    def perform_create(self, serializer: Any) -> None:
        order = serializer.save(owner=self.request.user)
        self.tell(order, "created", {"id": order.pk, "item": order.item})

    def tell(self, order: Order, event: str, data: Any) -> None:
        raise NotImplementedError

    @action(detail=False)
    def newest(self, request: Request) -> Response:
        order = self.get_queryset().last()
        return Response({"item": order.item if order else None})

    @action(detail=True)
    def parcels(self, request: Request, pk: int) -> Response:
        return Response({"of": self.get_object().item, "parcels": []})


class CarelessOrders(Orders):
    def tell(self, order: Order, event: str, data: Any) -> None:
        publish(reverse("careless-list"), data, event=event)


class NamedOrders(Orders):
    hears = topic(lambda request: f"@orders/{request.user.pk}")

    def tell(self, order: Order, event: str, data: Any) -> None:
        publish(f"@orders/{order.owner_id}", data, event=event)


class DecoratedOrders(Orders):
    @method_decorator(topic(lambda request: f"@decorated/{request.user.pk}"))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def tell(self, order: Order, event: str, data: Any) -> None:
        publish(f"@decorated/{order.owner_id}", data, event=event)


class AddressedOrders(Orders):
    def tell(self, order: Order, event: str, data: Any) -> None:
        publish(reverse("addressed-list"), data, event=event, to=order.owner)


class TouchedOrders(Orders):
    def tell(self, order: Order, event: str, data: Any) -> None:
        touch(reverse("touched-list"))


router = routers.DefaultRouter()
for name, viewset in {
    "careless": CarelessOrders,
    "named": NamedOrders,
    "decorated": DecoratedOrders,
    "addressed": AddressedOrders,
    "touched": TouchedOrders,
}.items():
    router.register(name, viewset, basename=name)

urlpatterns = [path("api/", include(router.urls))]
