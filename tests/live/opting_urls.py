"""Views that say whether they may be live, in every way in which a view can say so."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from tests.live.urls import asked
from tests.project.api import NoteSerializer, TokenAuthentication
from tests.project.models import Note
from wsrequest import topic
from wsrequest.livequery.opting import live

#: The users for whom ``own`` may be live.
lively: set[str] = set()

#: The view that answers ``changing``, by the user's name.
changing_to: dict[str, Any] = {}


def slugs(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    asked[request.path] += 1
    return JsonResponse({"slugs": [note.slug for note in Note.objects.all()]})


async def aslugs(request: Any) -> HttpResponse:
    asked[request.path] += 1
    return JsonResponse({"slugs": [note.slug async for note in Note.objects.all()]})


class Plain(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return slugs(request)


class APlain(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return await aslugs(request)


class Forbidding(Plain):
    kept = live(False)


class AForbidding(APlain):
    kept = live(False)


class Allowing(Plain):
    kept = live()


class AAllowing(APlain):
    kept = live()


class AllowingAfterAll(Forbidding):
    kept = live()


class ForbiddingAfterAll(Allowing):
    kept = live(False)


class SayingNothing(Forbidding):
    kept = None


class Inheriting(Forbidding):
    def get(self, request: HttpRequest) -> HttpResponse:
        return slugs(request)


class AllowingItsMethod(Plain):
    kept = live(False)

    @method_decorator(live())
    def get(self, request: HttpRequest) -> HttpResponse:
        return slugs(request)


class ForbiddingItsMethod(Plain):
    kept = live()

    @live(False)
    def get(self, request: HttpRequest) -> HttpResponse:
        return slugs(request)


@method_decorator(live(False), name="dispatch")
class ForbiddingByDispatch(Plain):
    pass


class Both(Plain):
    hears = topic(lambda request: "@both")
    kept = live()


class BothTheOtherWay(Plain):
    kept = live(False)
    hears = topic(lambda request: "@both")


class Api(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [AllowAny]
    kept = live(False)

    def get(self, request: Request) -> Response:
        return Response(data(request))


class AllowingApi(Api):
    kept = live()


def data(request: Request) -> Any:
    asked[request.path] += 1
    return {"slugs": [note.slug for note in Note.objects.all()]}


@api_view()
@live(False)
def forbidding_api(request: Request) -> Response:
    return Response(data(request))


@api_view()
@live()
def allowing_api(request: Request) -> Response:
    return Response(data(request))


class Notes(ReadOnlyModelViewSet):
    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    authentication_classes = [TokenAuthentication, SessionAuthentication]


class ForbiddingNotes(Notes):
    kept = live(False)

    @action(detail=False)
    def newest(self, request: Request) -> Response:
        return Response(data(request))

    @action(detail=False)
    @method_decorator(live())
    def oldest(self, request: Request) -> Response:
        return Response(data(request))


class AllowingNotes(Notes):
    kept = live()
    hears = topic(lambda request: "@notes")

    @method_decorator(live(False))
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)


class OwnNotes(ForbiddingNotes):
    """Whoever may not GET it is told that, and not that it is not live."""

    permission_classes = [IsAuthenticated]


def name_of(request: HttpRequest) -> str:
    return request.headers.get("authorization", "").removeprefix("JWT ")


def own(request: HttpRequest) -> HttpResponse:
    """Live for some, and not for others."""
    return live(name_of(request) in lively)(slugs)(request)


def changing(request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = changing_to[name_of(request)](request)
    return answer


router = DefaultRouter()
router.register("forbidding", ForbiddingNotes, basename="forbidding")
router.register("allowing", AllowingNotes, basename="allowing")
router.register("own", OwnNotes, basename="own")

urlpatterns = [
    path("plain/", slugs),
    path("allowed/", live()(slugs)),
    path("also-allowed/", live(True)(slugs)),
    path("forbidden/", live(False)(slugs)),
    path("aplain/", aslugs),
    path("aallowed/", live()(aslugs)),
    path("aforbidden/", live(False)(aslugs)),
    path("seldom/", live(min_interval=3600)(slugs)),
    path("often/", live(min_interval=0.001)(slugs)),
    path("within/", live(False)(live()(slugs))),
    path("named/", topic(lambda request: "@named")(live()(slugs))),
    path("named-within/", live(False)(topic(lambda request: "@named")(slugs))),
    path("class/", Plain.as_view()),
    path("class/forbidding/", Forbidding.as_view()),
    path("class/aforbidding/", AForbidding.as_view()),
    path("class/allowing/", Allowing.as_view()),
    path("class/aallowing/", AAllowing.as_view()),
    path("class/allowing-after-all/", AllowingAfterAll.as_view()),
    path("class/forbidding-after-all/", ForbiddingAfterAll.as_view()),
    path("class/saying-nothing/", SayingNothing.as_view()),
    path("class/inheriting/", Inheriting.as_view()),
    path("class/allowing-its-method/", AllowingItsMethod.as_view()),
    path("class/forbidding-its-method/", ForbiddingItsMethod.as_view()),
    path("class/forbidding-by-dispatch/", ForbiddingByDispatch.as_view()),
    path("class/as-view/", Forbidding.as_view(kept=live())),
    path("class/decorated/", live(False)(Plain.as_view())),
    path("class/both/", Both.as_view()),
    path("class/both-the-other-way/", BothTheOtherWay.as_view()),
    path("api/forbidding/", Api.as_view()),
    path("api/allowing/", AllowingApi.as_view()),
    path("api/forbidding-function/", forbidding_api),
    path("api/allowing-function/", allowing_api),
    path("router/", include(router.urls)),
    path("own/", own),
    path("changing/", changing),
]

#: What each of them says: it may be live, it may not, or (None) nothing.
SAID: dict[str, bool | None] = {
    "/plain/": None,
    "/allowed/": True,
    "/also-allowed/": True,
    "/forbidden/": False,
    "/aplain/": None,
    "/aallowed/": True,
    "/aforbidden/": False,
    "/often/": True,
    "/within/": True,
    "/named/": True,
    "/named-within/": False,
    "/class/": None,
    "/class/forbidding/": False,
    "/class/aforbidding/": False,
    "/class/allowing/": True,
    "/class/aallowing/": True,
    "/class/allowing-after-all/": True,
    "/class/forbidding-after-all/": False,
    "/class/saying-nothing/": None,
    "/class/inheriting/": False,
    "/class/allowing-its-method/": True,
    "/class/forbidding-its-method/": False,
    "/class/forbidding-by-dispatch/": False,
    "/class/as-view/": True,
    "/class/decorated/": False,
    "/class/both/": True,
    "/class/both-the-other-way/": False,
    "/api/forbidding/": False,
    "/api/allowing/": True,
    "/api/forbidding-function/": False,
    "/api/allowing-function/": True,
    "/router/forbidding/": False,
    "/router/forbidding/a/": False,
    "/router/forbidding/newest/": False,
    "/router/forbidding/oldest/": True,
    "/router/allowing/": True,
    "/router/allowing/a/": False,
}
