"""@topic: which views may name the topic that their subscribers hear, when they are asked, and what a name may be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from wsrequest import topic
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.marks import ATTRIBUTE
from wsrequest.push.naming import topic_at, topic_named
from wsrequest.push.topics import topic_of

User = get_user_model()


class Subscription:
    """What is told to it, in order with what the test notes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[str] = []
        self._error = error

    def hear(self, topic: str) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        self._note(topic)

    async def ahear(self, topic: str) -> None:
        self._note(topic)

    def _note(self, topic: str) -> None:
        if self._error is not None:
            raise self._error
        self.told.append(topic)


def subscribe(
    subscription: Subscription | None, user: Any = None, *, method: str = "get"
) -> HttpRequest:
    request = getattr(RequestFactory(), method)("/orders/")
    request.user = user or User(pk=7, username="ada")
    if subscription is not None:
        setattr(request, ATTRIBUTE, subscription)
    return request


def answer(view: Callable[..., Any], request: HttpRequest, **kwargs: Any) -> Any:
    run = async_to_sync(view) if iscoroutinefunction(view) else view
    response = run(request, **kwargs)
    return response.render() if hasattr(response, "render") else response


def told_by(view: Callable[..., Any], user: Any = None, **kwargs: Any) -> list[str]:
    """What its subscription is told; and that without one nothing is asked."""
    subscription = Subscription()
    first = answer(view, subscribe(subscription, user), **kwargs)
    again = answer(view, subscribe(None, user), **kwargs)
    assert first.status_code == again.status_code
    assert first.content == again.content
    return subscription.told


class Asked:
    """The name of a user's orders, and who asked for it."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, request: Any) -> str:
        self.requests.append(request)
        self.threads.append(threading.current_thread())
        return f"@orders/{request.user.pk}"


# --- functions -----------------------------------------------------------------------------------


def test_a_function() -> None:
    asked = Asked()

    @topic(asked)
    def view(request: HttpRequest, pk: int = 0) -> HttpResponse:
        """Says so."""
        return HttpResponse(f"order {pk}")

    assert told_by(view, pk=3) == ["@orders/7"]
    assert len(asked.requests) == 1  # not for the plain GET
    assert (view.__name__, view.__doc__) == ("view", "Says so.")
    assert answer(view, subscribe(None), pk=3).content == b"order 3"


def test_an_asynchronous_function() -> None:
    asked = Asked()

    @topic(asked)
    async def view(request: HttpRequest) -> HttpResponse:
        asked.threads.append(threading.current_thread())
        return HttpResponse("orders")

    assert iscoroutinefunction(view)
    assert told_by(view) == ["@orders/7"]
    name, body, *_ = asked.threads
    assert name is not body  # it may ask the database who the user is


async def aname(request: HttpRequest) -> str:
    await asyncio.sleep(0)
    return f"@orders/{request.user.pk}"


def test_an_asynchronous_name() -> None:
    @topic(aname)
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("orders")

    @topic(aname)
    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse("orders")

    assert told_by(view) == told_by(plain) == ["@orders/7"]


@pytest.mark.parametrize("is_async", [False, True])
def test_it_is_named_before_the_body_begins(is_async: bool) -> None:
    subscription = Subscription()
    seen: list[list[str]] = []

    def body(request: HttpRequest) -> HttpResponse:
        seen.append(subscription.told[:])
        return HttpResponse()

    async def abody(request: HttpRequest) -> HttpResponse:
        return body(request)

    view: Callable[..., Any] = topic(lambda request: "@mine")(abody if is_async else body)
    answer(view, subscribe(subscription))
    assert seen == [["@mine"]]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [BrokerUnavailable(), ZeroDivisionError()])
def test_what_goes_wrong_is_raised_and_the_body_does_not_run(
    error: Exception, is_async: bool
) -> None:
    ran: list[HttpRequest] = []

    async def abody(request: HttpRequest) -> None:
        ran.append(request)

    view = topic(lambda request: "@mine")(abody if is_async else ran.append)
    with pytest.raises(type(error)):
        answer(view, subscribe(Subscription(error)))
    assert ran == []


def test_below_other_decorators_it_sees_what_they_have_done() -> None:
    @login_required
    @topic(lambda request: f"@orders/{int(request.user.pk)}")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert told_by(view) == ["@orders/7"]
    assert told_by(view, AnonymousUser()) == []


def test_a_request_by_its_name() -> None:
    view = topic(lambda request: "@mine")(lambda request: HttpResponse())
    subscription = Subscription()
    view(request=subscribe(subscription))
    assert subscription.told == ["@mine"]


def test_what_is_no_view() -> None:
    with pytest.raises(TypeError, match="no request among the arguments"):
        topic(lambda request: "@mine")(lambda: None)()
    with pytest.raises(TypeError, match="write it as an attribute"):
        topic(lambda request: "@mine")(View)
    with pytest.raises(TypeError, match="takes a callable"):
        topic("@mine")  # type: ignore[arg-type]


# --- classes -------------------------------------------------------------------------------------


class Orders(View):
    hears = topic(lambda request: f"@orders/{request.user.pk}")

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return HttpResponse(f"orders {kwargs}")

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("made")


class AsyncOrders(View):
    hears = topic(lambda request: f"@orders/{request.user.pk}")

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("orders")


@pytest.mark.parametrize("kind", [Orders, AsyncOrders])
def test_an_attribute_of_a_class(kind: type[View]) -> None:
    assert told_by(kind.as_view()) == ["@orders/7"]


def test_a_method_that_there_is_not_is_not_allowed_and_nothing_is_named() -> None:
    subscription = Subscription()
    response = answer(AsyncOrders.as_view(), subscribe(subscription, method="delete"))
    assert response.status_code == 405
    assert subscription.told == []


def test_subclasses_inherit_and_may_have_their_own_or_none() -> None:
    class Heir(Orders):
        pass

    class Other(Orders):
        hears = topic(lambda request: "@other")

    class Bare(Orders):
        hears = None  # type: ignore[assignment]

    class Renamed(Orders):
        other = topic(lambda request: "@renamed")

    class Bequeathed(Other):
        def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
            return super().get(request, **kwargs)

    assert told_by(Heir.as_view()) == ["@orders/7"]
    assert told_by(Other.as_view()) == ["@other"]
    assert told_by(Bare.as_view()) == []
    assert told_by(Renamed.as_view()) == ["@renamed"]
    assert told_by(Bequeathed.as_view()) == ["@other"]
    assert told_by(Orders.as_view()) == ["@orders/7"]


def test_the_attribute_may_have_any_name_but_hides_what_is_called_so() -> None:
    class Plain(View):
        topic = topic(lambda request: "@plain")

        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    assert told_by(Plain.as_view()) == ["@plain"]
    with pytest.raises(TypeError, match="call the attribute `hears`"):

        class Hidden(View):
            topic = topic(lambda request: "@hidden")

            @topic(lambda request: "@hidden/too")
            def get(self, request: HttpRequest) -> HttpResponse:
                return HttpResponse()


def test_as_view_may_give_another_one() -> None:
    assert told_by(Orders.as_view(hears=topic(lambda request: "@given"))) == ["@given"]


def test_what_mixins_do_in_dispatch_comes_first() -> None:
    class Mine(LoginRequiredMixin, Orders):
        hears = topic(lambda request: f"@orders/{int(request.user.pk)}")

    assert told_by(Mine.as_view()) == ["@orders/7"]
    assert told_by(Mine.as_view(), AnonymousUser()) == []


def test_a_mixin_may_have_it() -> None:
    class PerUser:
        hears = topic(lambda request: f"@mixed/{request.user.pk}")

    class Plain(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    class Mixed(PerUser, Plain):
        pass

    assert told_by(Mixed.as_view()) == ["@mixed/7"]
    assert told_by(Plain.as_view()) == []


def test_one_for_several_classes() -> None:
    shared = topic(lambda request: "@shared")

    class One(Orders):
        hears = shared

    class Two(Orders):
        other = shared

    assert told_by(One.as_view()) == told_by(Two.as_view()) == ["@shared"]


def test_a_dispatch_of_its_own_stays_what_it_is() -> None:
    @method_decorator(csrf_exempt, name="dispatch")
    class Exempt(Orders):
        pass

    class Own(Exempt):
        hears = topic(lambda request: "@own")

        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            response = super().dispatch(request, *args, **kwargs)
            response["x-own"] = "yes"
            return response

    class Below(Exempt):
        hears = topic(lambda request: "@below")

    assert told_by(Own.as_view()) == ["@own"]
    assert answer(Own.as_view(), subscribe(Subscription()))["x-own"] == "yes"
    assert told_by(Below.as_view()) == ["@below"]
    assert Below.as_view().csrf_exempt is True


@pytest.mark.parametrize("name", [lambda request: "@mine", aname])
def test_method_decorator(name: Callable[..., Any]) -> None:
    named = topic(name)

    class Decorated(View):
        @method_decorator(named)
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    @method_decorator(named, name="get")
    class AsyncDecorated(AsyncOrders):
        hears = topic(lambda request: "@less near")

    @method_decorator(named, name="dispatch")
    class Whole(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    expected = "@orders/7" if name is aname else "@mine"
    for kind in (Decorated, AsyncDecorated, Whole):
        assert told_by(kind.as_view()) == [expected]


# --- REST framework ------------------------------------------------------------------------------


class Bob(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, None]:
        return User(pk=12, username="bob"), None


class Nobody(BaseAuthentication):
    def authenticate(self, request: Request) -> None:
        return None


class OrderViewSet(ViewSet):
    authentication_classes = [Bob]
    permission_classes = [IsAuthenticated]
    hears = topic(lambda request: f"@orders/{int(request.user.pk)}")

    def list(self, request: Request) -> Response:
        return Response([1, 2])

    @topic(lambda request: f"@order/{request.resolver_match}")
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(pk)

    @action(detail=False)
    @topic(lambda request: f"@late/{request.user.pk}")
    def late(self, request: Request) -> Response:
        return Response([])

    @topic(lambda request: f"@early/{request.user.pk}")
    @action(detail=False)
    def early(self, request: Request) -> Response:
        return Response([])


def test_an_attribute_of_a_viewset_sees_rest_framework_s_user() -> None:
    assert told_by(OrderViewSet.as_view({"get": "list"})) == ["@orders/12"]


def test_a_decorated_method_comes_before_the_attribute() -> None:
    assert told_by(OrderViewSet.as_view({"get": "retrieve"}), pk=3) == ["@order/None"]
    assert told_by(OrderViewSet.as_view({"get": "late"})) == ["@late/12"]
    assert told_by(OrderViewSet.as_view({"get": "early"})) == ["@early/12"]
    assert {each.__name__ for each in OrderViewSet.get_extra_actions()} == {"late", "early"}


def test_nothing_is_named_for_who_may_not_see_it() -> None:
    class Closed(OrderViewSet):
        authentication_classes = [Nobody]

    subscription = Subscription()
    response = answer(Closed.as_view({"get": "list"}), subscribe(subscription))
    assert response.status_code in (401, 403)
    assert subscription.told == []


def test_a_viewset_s_own_and_none() -> None:
    class Other(OrderViewSet):
        hears = topic(lambda request: "@other")

    class Bare(OrderViewSet):
        hears = None  # type: ignore[assignment]

    assert told_by(Other.as_view({"get": "list"})) == ["@other"]
    assert told_by(Bare.as_view({"get": "list"})) == []


def test_an_api_view() -> None:
    class Orders(APIView):
        authentication_classes = [Bob]
        hears = topic(lambda request: f"@orders/{request.user.pk}")

        def get(self, request: Request) -> Response:
            return Response([])

    @api_view()
    @authentication_classes([Bob])
    @topic(lambda request: f"@orders/{request.user.pk}")
    def orders(request: Request) -> Response:
        return Response([])

    assert told_by(Orders.as_view()) == told_by(orders) == ["@orders/12"]


@pytest.mark.parametrize("error", [BrokerUnavailable, ValueError])
def test_rest_framework_does_not_answer_for_it(error: type[Exception]) -> None:
    with pytest.raises(error):
        answer(OrderViewSet.as_view({"get": "list"}), subscribe(Subscription(error())))


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("@orders/7", "@orders/7"),
        ("@caf\u00e9 au lait", "@caf%C3%A9%20au%20lait"),
        ("@a?b#c", "@a%3Fb%23c"),
        ("/users/7/orders/", "/users/7/orders/"),
        ("/caf\u00e9/", "/caf%C3%A9/"),
        (reverse_lazy("page", urlconf="tests.project.urls"), "/page/"),
    ],
)
def test_a_name_and_what_is_published_to_it_meet(name: Any, expected: str) -> None:
    assert told_by(topic(lambda request: name)(lambda request: HttpResponse())) == [expected]
    assert topic_at(name, "url_or_urls") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/orders/?page=2#top", "/orders/"),
        ("/orders/%34%32/", "/orders/42/"),
        ("/caf%c3%a9/é", "/caf%C3%A9/%C3%A9"),
        *[
            (url, "/@orders/7")
            for url in ("@orders/7", "%40orders/7", "/@orders/7", "/%40orders/7")
        ],
        *[(url, "/") for url in ("/", "", "?page=2", "#top")],
    ],
)
def test_no_url_is_a_name_of_one_s_own(url: str, expected: str) -> None:
    """Whatever a client subscribes to, and whatever answers that."""
    assert topic_of(url) == expected
    assert topic_of(expected) == expected


def test_no_two_names_of_one_s_own_are_one_topic() -> None:
    names = ["@ada", "@%61da", "@%2561da", "@ada?", "@ada#", "@ada/", "@Ada", "@a da", "@a+da"]
    assert len({topic_named(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        *[
            (name, ValueError)
            for name in ("", "@", "orders", "//users/7/", "https://host/users/7/")
        ],
        *[(name, ValueError) for name in ("/orders/?user=7", "/orders/#7", "@\ud83d", "/\ud83d/")],
        *[(name, TypeError) for name in (None, 7, b"@orders")],
    ],
)
def test_what_is_no_name(name: Any, error: type[Exception]) -> None:
    ran: list[HttpRequest] = []
    subscription = Subscription()
    view = topic(lambda request: name)(ran.append)
    with pytest.raises(error, match=r"^topic: "):
        view(subscribe(subscription))
    assert ran == subscription.told == []
