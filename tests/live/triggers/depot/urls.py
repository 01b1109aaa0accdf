"""What is in the depot."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.live.triggers.depot.models import Crate, Odd


def _shown(crate: Crate) -> list[object]:
    tags = [tag.name for tag in crate.tags.order_by("name")]
    return [crate.label, tags, [parcel.code for parcel in crate.parcels.order_by("code")]]


@csrf_exempt
def crates(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        Crate.objects.create(label=request.body.decode())
    found = Crate.objects.order_by("pk")
    odd = [each.label for each in Odd.objects.order_by("pk")]
    return JsonResponse({"crates": [_shown(crate) for crate in found], "odd": odd})


def crate(request: HttpRequest, pk: int) -> HttpResponse:
    return JsonResponse({"crate": _shown(get_object_or_404(Crate, pk=pk))})


urlpatterns = [path("crates/", crates), path("crates/<int:pk>/", crate)]
