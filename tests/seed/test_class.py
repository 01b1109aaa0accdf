"""``WebSocketRequest``, the class of 2014, word by word."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory, TestCase, override_settings
from django.urls import ResolverMatch

from tests.lifecycle import support
from tests.lifecycle.middleware import Seen
from wsrequest import WebSocketRequest

pytestmark = pytest.mark.usefixtures("urls")


def text(message: Any) -> str:
    return json.dumps(message)


def body(response: HttpResponseBase) -> Any:
    assert isinstance(response, HttpResponse)
    return json.loads(response.content)


def seen(message: dict[str, Any], defaults: dict[str, Any] | None = None, **options: Any) -> Any:
    """What the view saw of this message's request."""
    return body(WebSocketRequest(text(message), defaults, **options).get_response())


class TestConstructor:
    def test_its_signature(self) -> None:
        parameters = list(inspect.signature(WebSocketRequest).parameters.values())
        assert [(p.name, p.default) for p in parameters] == [
            ("message", inspect.Parameter.empty),
            ("factory_defaults", None),
            ("enforce_csrf_checks", False),
        ]

    def test_the_attributes(self) -> None:
        message = text({"method": "POST", "url": "/hello/", "data": {"a": 1}, "token": "T"})
        request = WebSocketRequest(message)
        assert request.message == message
        assert request.error is None
        assert request.url == request.get_url() == "/hello/"
        assert request.method == request.get_method() == "post"
        assert request.data == request.get_data() == {"a": 1}
        assert request.token == request.get_token() == "T"
        assert request.request is None

    def test_the_defaults(self) -> None:
        request = WebSocketRequest(text({"url": "/hello/"}))
        assert request.method == "get"
        assert request.data == {}
        assert request.token is None
        assert request.factory_defaults == {}

    @pytest.mark.parametrize(
        ("message", "error", "status"),
        [
            ("not json", "Invalid formatted message.", 400),
            ("", "Invalid formatted message.", 400),
            ("null", "Invalid formatted message.", 400),
            ("1", "Invalid formatted message.", 400),
            ('"/hello/"', "Invalid formatted message.", 400),
            ("[]", "Invalid formatted message.", 400),
            ('[{"url": "/hello/"}]', "Invalid formatted message.", 400),
            (b"\xff", "Invalid formatted message.", 400),
            ("{}", "Missing URL", 400),
            ('{"method": "GET"}', "Missing URL", 400),
            ('{"url": ""}', "Missing URL", 400),
            ('{"url": null}', "Missing URL", 400),
            ('{"ping": 1}', "Missing URL", 400),
            ('{"url": "/nowhere/"}', "Resource not found.", 404),
            ('{"url": "/number/x/"}', "Resource not found.", 404),
        ],
    )
    def test_an_invalid_message_is_found_in_it(
        self, message: str | bytes, error: str, status: int
    ) -> None:
        request = WebSocketRequest(message)
        assert request.error == {"error": error, "status_code": status}
        assert not request.is_valid()
        assert request.is_valid_message() is (status == 404)

    @pytest.mark.parametrize(
        "message",
        [
            {"url": "//other.example/"},
            {"url": "http://other.example/"},
            {"url": 5},
            {"url": "/hello/", "method": "G T"},
            {"url": "/hello/", "method": 5},
            {"url": "/hello/", "headers": {"host": "other.example"}},
            {"url": "/hello/", "headers": {"a_b": "1"}},
            {"url": "/hello/", "token": 5},
        ],
    )
    def test_a_wrong_field_is_400(self, message: dict[str, Any]) -> None:
        request = WebSocketRequest(text(message))
        assert request.error is not None
        assert request.error["status_code"] == 400
        response = request.get_response()
        assert response.status_code == 400
        assert body(response) == request.error
        assert request.request is None

    def test_a_valid_message(self) -> None:
        request = WebSocketRequest(text({"url": "/hello/"}))
        assert request.is_valid() is True
        assert request.is_valid_message() is True

    def test_set_error_stores_it(self) -> None:
        request = WebSocketRequest(text({"url": "/hello/"}))
        request.set_error("Teapot")
        assert request.error == {"error": "Teapot", "status_code": 400}
        request.set_error("Teapot", 418)
        assert request.error == {"error": "Teapot", "status_code": 418}
        assert request.is_valid() is False
        response = request.get_response()
        assert response.status_code == 418
        assert body(response) == {"error": "Teapot", "status_code": 418}

    def test_bytes_are_read_as_utf_8(self) -> None:
        message = '{"url": "/request/", "data": {"name": "ü"}}'.encode()
        request = WebSocketRequest(message)
        assert request.message == message
        assert body(request.get_response())["GET"] == {"name": ["ü"]}


class TestLookUp:
    def test_get_url_resolver_match(self) -> None:
        match = WebSocketRequest(text({"url": "/number/7/?a=1"})).get_url_resolver_match()
        assert match is not None
        assert match.kwargs == {"number": 7}

    @pytest.mark.parametrize("message", ["not json", '{"url": "/nowhere/"}', "{}"])
    def test_there_is_none_for_what_leads_nowhere(self, message: str) -> None:
        assert WebSocketRequest(message).get_url_resolver_match() is None

    @override_settings(FORCE_SCRIPT_NAME="/app")
    def test_with_and_without_the_script_prefix(self) -> None:
        for url in ("/app/number/7/", "/number/7/"):
            request = WebSocketRequest(text({"url": url}))
            assert request.error is None
            assert body(request.get_response()) == 7


class TestFactory:
    def test_it_has_the_defaults_and_the_token(self) -> None:
        defaults = {"REMOTE_ADDR": "198.51.100.1"}
        request = WebSocketRequest(text({"url": "/hello/", "token": "T"}), defaults)
        factory = request.get_factory()
        assert type(factory) is RequestFactory
        assert factory.defaults == {
            "REMOTE_ADDR": "198.51.100.1",
            "HTTP_AUTHORIZATION": "JWT T",
        }
        assert defaults == {"REMOTE_ADDR": "198.51.100.1"}

    def test_the_scheme_of_a_token_is_a_setting(self, settings: Any) -> None:
        settings.WSREQUEST = {"TOKEN_SCHEME": "Bearer"}
        message = text({"url": "/request/", "token": "T"})
        assert WebSocketRequest(message).get_factory().defaults == {
            "HTTP_AUTHORIZATION": "Bearer T"
        }
        assert seen(json.loads(message))["META"]["HTTP_AUTHORIZATION"] == "Bearer T"

    def test_without_a_token_there_is_no_authorization(self) -> None:
        assert WebSocketRequest(text({"url": "/hello/"})).get_factory().defaults == {}

    @pytest.mark.parametrize(
        "message",
        [
            {"url": "/request/"},
            {"url": "/request/?a=1&a=2", "data": {"b": ["x", "ü"]}},
            {"url": "/request/", "method": "POST", "data": {"a": [1, None]}},
            {"url": "/request/", "method": "put", "data": []},
            {"url": "/request/", "method": "DELETE"},
            {"url": "/request/", "method": "OPTIONS", "data": {"a": 1}},
            {
                "url": "/request/",
                "method": "POST",
                "data": {"a": "1"},
                "headers": {"content-type": "application/x-www-form-urlencoded", "x-tag": "t"},
                "token": "T",
            },
        ],
    )
    def test_get_request_makes_what_get_response_runs(self, message: dict[str, Any]) -> None:
        one = WebSocketRequest(text(message))
        request = one.get_request(one.get_factory())
        assert isinstance(request, WSGIRequest)
        one.get_response()
        ours = one.request
        assert ours is not None
        assert request.method == ours.method
        assert request.path == ours.path
        assert request.GET == ours.GET
        assert request.POST == ours.POST
        assert request.content_type == ours.content_type
        for key in ("CONTENT_LENGTH", "HTTP_AUTHORIZATION", "HTTP_X_TAG"):
            assert request.META.get(key) == ours.META.get(key)

    def test_get_request_of_a_message_that_can_t_be_read(self) -> None:
        request = WebSocketRequest("not json")
        with pytest.raises(ValueError, match="can't be a request"):
            request.get_request(request.get_factory())

    def test_get_view_is_the_view_alone(self, settings: Any) -> None:
        settings.MIDDLEWARE = ["tests.lifecycle.middleware.mode"]
        request = WebSocketRequest(text({"url": "/number/7/"}))
        match = request.get_url_resolver_match()
        assert match is not None
        response = request.get_view(match, request.get_request(request.get_factory()))
        assert response.content == b"7"
        assert "x-mode" not in response
        assert request.get_response()["x-mode"] == "sync"


class OwnRequest(WebSocketRequest):
    def get_request(self, factory: RequestFactory) -> HttpRequest:
        request = super().get_request(factory)
        request.META["HTTP_X_OWN"] = "request"
        return request


class OwnFactory(WebSocketRequest):
    def get_factory(self) -> RequestFactory:
        factory = super().get_factory()
        factory.defaults["HTTP_X_OWN"] = "factory"
        return factory


class OwnGetters(WebSocketRequest):
    def get_url(self) -> str | None:
        return f"/request{super().get_url()}"

    def get_method(self) -> str:
        return "purge"

    def get_data(self) -> Any:
        return {**super().get_data(), "own": True}

    def get_token(self) -> str | None:
        return "own"


class OwnError(WebSocketRequest):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.url == "/hello/":
            self.set_error("Not this one.", 403)


class TestSubclasses:
    @pytest.mark.parametrize(("kind", "own"), [(OwnRequest, "request"), (OwnFactory, "factory")])
    def test_an_own_request_or_factory_is_used(
        self, kind: type[WebSocketRequest], own: str, settings: Any
    ) -> None:
        """And the whole lifecycle runs with it: middleware, signals, the exemption from CSRF."""
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.lifecycle.middleware.mode"]
        message = text({"url": "/request/", "method": "POST", "data": {"a": 1}})
        request = kind(message)
        with support.signal_log() as log:
            response = request.get_response()
        assert log.names == ["started", "finished"]
        assert response["x-mode"] == "sync"
        assert body(response)["META"]["HTTP_X_OWN"] == own
        assert body(response)["kind"] == "HttpRequest"  # the parent of a WSGIRequest
        assert isinstance(request.request, WSGIRequest)
        assert kind(message, enforce_csrf_checks=True).get_response().status_code == 403

    async def test_the_same_on_a_loop(self) -> None:
        for url in ("/request/", "/arequest/"):
            request = OwnFactory(text({"url": url}))
            response = await request.aget_response()
            assert body(response)["META"]["HTTP_X_OWN"] == "factory"

    def test_own_getters_say_what_the_attributes_are(self) -> None:
        request = OwnGetters(text({"url": "/a/", "data": {"a": 1}}))
        assert request.error is None
        assert request.url == "/request/a/"
        assert request.method == "purge"
        assert request.data == {"a": 1, "own": True}
        assert request.token == "own"

    def test_own_getters_change_the_request(self) -> None:
        request = OwnGetters(text({"url": "/a/", "data": {"a": 1}}))
        told = body(request.get_response())
        assert told["path"] == "/request/a/"
        assert told["method"] == "PURGE"
        assert json.loads(told["body"]) == {"a": 1, "own": True}
        assert told["META"]["HTTP_AUTHORIZATION"] == "JWT own"
        made = request.get_request(request.get_factory())
        assert (made.method, made.path) == ("PURGE", "/request/a/")

    def test_attributes_may_be_changed_before_the_call(self) -> None:
        request = WebSocketRequest(text({"url": "/request/"}))
        request.token = "later"
        assert body(request.get_response())["META"]["HTTP_AUTHORIZATION"] == "JWT later"
        request.url = "//other.example/"
        assert request.get_response().status_code == 400

    def test_an_own_error_is_the_answer(self) -> None:
        assert OwnError(text({"url": "/hello/"})).get_response().status_code == 403
        assert OwnError(text({"url": "/request/"})).get_response().status_code == 200


class TestResponse:
    @pytest.mark.parametrize("message", ["not json", "{}", '{"url": "//x"}', b"\xff", "[]"])
    def test_a_bad_message_is_answered_as_json(self, message: str | bytes) -> None:
        request = WebSocketRequest(message)
        response = request.get_response()
        assert isinstance(response, HttpResponse)
        assert response["content-type"] == "application/json"
        assert body(response) == request.error
        assert response.status_code == 400

    def test_data_that_can_t_be_sent_is_answered_as_json(self) -> None:
        request = WebSocketRequest(text({"url": "/hello/", "data": {"a": {"b": 1}}}))
        response = request.get_response()
        assert response.status_code == 400
        assert body(response) == request.error

    def test_a_content_type_that_can_t_be_read_is_400(self) -> None:
        headers = {"content-type": "text/plain; x*=nothing''%FF"}
        message = {"url": "/hello/", "method": "POST", "data": "x", "headers": headers}
        assert WebSocketRequest(text(message)).get_response().status_code == 400

    def test_a_url_that_leads_nowhere_is_the_lifecycle_s(self) -> None:
        request = WebSocketRequest(text({"url": "/nowhere/"}))
        assert request.error == {"error": "Resource not found.", "status_code": 404}
        response = request.get_response()
        assert isinstance(response, HttpResponse)
        assert (response.status_code, response.content) == (404, b"nothing at /nowhere/")
        slash = WebSocketRequest(text({"url": "/hello"})).get_response()
        assert (slash.status_code, slash["location"]) == (301, "/hello/")

    def test_the_whole_lifecycle_runs(self, settings: Any) -> None:
        Seen.requests = []
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.lifecycle.middleware.Seen"]
        request = WebSocketRequest(text({"url": "/who/"}))
        with support.signal_log() as log:
            response = request.get_response()
        assert log.names == ["started", "finished"]
        assert response.status_code == 200
        assert Seen.requests == [request.request]
        assert isinstance(request.request, ASGIRequest)
        assert request.request.user.is_anonymous  # type: ignore[attr-defined]
        assert request.request.resolver_match is not None
        assert isinstance(request.request.resolver_match, ResolverMatch)

    def test_it_runs_in_the_callers_thread(self) -> None:
        assert seen({"url": "/state/"})["before"]["thread"] == threading.get_ident()

    def test_urls_with_query_strings(self) -> None:
        told = seen({"url": "/request/?a=1&a=&b=%C3%BC", "data": {"c": [1, True]}})
        assert told["GET"] == {"a": ["1", ""], "b": ["ü"], "c": ["1", "true"]}
        assert told["query"] == "a=1&a=&b=%C3%BC&c=1&c=true"

    def test_data_of_a_post_is_json(self) -> None:
        told = seen({"url": "/request/", "method": "post", "data": {"name": "Acme Inc."}})
        assert json.loads(told["body"]) == {"name": "Acme Inc."}
        assert told["content_type"] == "application/json"
        assert told["method"] == "POST"

    def test_the_token_is_authorization(self) -> None:
        told = seen({"url": "/request/", "token": "MY_JSON_WEB_TOKEN"})
        assert told["META"]["HTTP_AUTHORIZATION"] == "JWT MY_JSON_WEB_TOKEN"

    @pytest.mark.parametrize("url", ["/request/", "/arequest/"])
    def test_factory_defaults_land_in_meta(self, url: str) -> None:
        defaults = {
            "REMOTE_ADDR": "198.51.100.1",
            "HTTP_HOST": "localhost",
            "SERVER_PORT": "8443",
            "SERVER_PROTOCOL": "HTTP/2",
            "REMOTE_USER": "ann",
            "HTTP_COOKIE": "a=1",
            "HTTP_ACCEPT": "text/x-default",
            "wsgi.url_scheme": "https",
            "anything": "at all",
        }
        told = seen({"url": url}, defaults)
        assert told["META"].items() >= defaults.items()
        assert told["secure"] is True
        assert told["absolute"] == f"https://localhost{url}"

    def test_the_message_goes_before_factory_defaults(self) -> None:
        defaults = {"HTTP_AUTHORIZATION": "JWT default", "HTTP_ACCEPT": "text/x-default"}
        message = {"url": "/request/", "token": "T", "headers": {"accept": "text/x-own"}}
        meta = seen(message, defaults)["META"]
        assert meta["HTTP_AUTHORIZATION"] == "JWT T"
        assert meta["HTTP_ACCEPT"] == "text/x-own"

    def test_enforce_csrf_checks(self) -> None:
        message = text({"url": "/protected/", "method": "POST"})
        assert WebSocketRequest(message).get_response().status_code == 200
        enforced = WebSocketRequest(message, enforce_csrf_checks=True)
        assert enforced.get_response().status_code == 403
        secret = "a" * 32
        with_token = WebSocketRequest(
            text({"url": "/protected/", "method": "POST", "headers": {"x-csrftoken": secret}}),
            {"HTTP_COOKIE": f"csrftoken={secret}"},
            enforce_csrf_checks=True,
        )
        assert with_token.get_response().status_code == 200

    def test_each_call_runs_anew(self) -> None:
        request = WebSocketRequest(text({"url": "/hello/"}))
        request.get_response()
        first = request.request
        request.get_response()
        assert request.request is not first

    def test_a_view_that_fails_is_500(self) -> None:
        response = WebSocketRequest(text({"url": "/fail/"})).get_response()
        assert response.status_code == 500

    def test_an_async_view_too(self) -> None:
        response = WebSocketRequest(text({"url": "/ahello/"})).get_response()
        assert isinstance(response, HttpResponse)
        assert response.content == b"hello"

    async def test_the_async_twin(self) -> None:
        for url, thread in (("/state/", None), ("/astate/", threading.get_ident())):
            request = WebSocketRequest(text({"url": url}))
            told = body(await request.aget_response())
            assert (told["before"]["thread"] == threading.get_ident()) is (thread is not None)
            assert isinstance(request.request, ASGIRequest)
        assert (await WebSocketRequest("not json").aget_response()).status_code == 400
        assert (
            await WebSocketRequest(text({"url": "/nowhere/"})).aget_response()
        ).status_code == 404

    async def test_many_at_once_on_a_loop(self) -> None:
        requests = [WebSocketRequest(text({"url": f"/number/{n}/"})) for n in range(20)]
        responses = await asyncio.gather(*(request.aget_response() for request in requests))
        assert [body(response) for response in responses] == list(range(20))


@override_settings(ROOT_URLCONF="tests.lifecycle.urls")
class TestRows(TestCase):
    """A TestCase's rows are seen, and what a view writes is rolled back with them."""

    def setUp(self) -> None:
        User.objects.create(username="of the test")

    def test_sync(self) -> None:
        assert seen({"url": "/users/"}) == ["of the test"]
        assert seen({"url": "/ausers/"}) == ["of the test"]
        assert WebSocketRequest(text({"url": "/make-user/"})).get_response().status_code == 200
        assert seen({"url": "/users/"}) == ["made", "of the test"]

    async def test_async(self) -> None:
        for url in ("/users/", "/ausers/"):
            request = WebSocketRequest(text({"url": url}))
            assert body(await request.aget_response()) == ["of the test"]
        await WebSocketRequest(text({"url": "/make-user/"})).aget_response()
        assert await User.objects.filter(username="made").aexists()

    async def test_async_several_at_once(self) -> None:
        requests = [WebSocketRequest(text({"url": url})) for url in ("/users/", "/ausers/") * 3]
        responses = await asyncio.gather(*(request.aget_response() for request in requests))
        assert [body(response) for response in responses] == [["of the test"]] * 6

    def test_a_callers_transaction_is_not_closed(self) -> None:
        from django.db import transaction

        with transaction.atomic():
            User.objects.create(username="inner")
            assert seen({"url": "/users/"}) == ["inner", "of the test"]
            assert seen({"url": "/users/"}) == ["inner", "of the test"]
            transaction.set_rollback(True)
        assert seen({"url": "/users/"}) == ["of the test"]
