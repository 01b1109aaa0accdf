"""What Django's own client offers, over the socket, inside of a TestCase and its transaction."""

from __future__ import annotations

import threading
from io import BytesIO
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.client import MULTIPART_CONTENT, RedirectCycleError
from django.utils import translation

from tests.project.models import Note
from tests.testing.urls import Failure, streamed
from wsrequest.errors import HandshakeRefused
from wsrequest.session.registry import registry
from wsrequest.testing import StreamFailed, WebSocketClient, WebSocketTestMixin, stage

FORM = "application/x-www-form-urlencoded"


@override_settings(ROOT_URLCONF="tests.testing.urls")
class RequestTest(WebSocketTestMixin, TestCase):
    def test_views_see_what_the_test_has_not_committed(self) -> None:
        Note.objects.create(slug="first")
        assert self.websocket.get("/notes/").json() == {"notes": ["first"]}
        assert self.websocket.get("/anotes/").json() == {"notes": ["first"], "count": 1}
        assert self.websocket.get("/me/").json()["in_transaction"]

    def test_the_test_sees_what_views_have_written(self) -> None:
        response = self.websocket.post("/notes/", {"slug": "second"})
        assert response.status_code == 201
        assert Note.objects.get().slug == "second"

    def test_each_test_begins_with_nothing(self) -> None:
        assert self.websocket.get("/notes/").json() == {"notes": []}
        with self.assertNumQueries(1):
            self.websocket.get("/notes/")

    def test_every_method(self) -> None:
        for method in ("post", "put", "patch", "delete"):
            response = getattr(self.websocket, method)("/echo/?a=1", {"b": [2]})
            told = response.json()
            assert told["method"] == method.upper()
            assert (told["type"], told["body"]) == ("application/json", '{"b": [2]}')
            assert told["query"] == {"a": "1"}
        assert self.websocket.get("/echo/", {"a": 2}).json()["query"] == {"a": "2"}
        assert self.websocket.options("/echo/").json()["method"] == "OPTIONS"
        head = self.websocket.head("/echo/")
        assert (head.status_code, head.content) == (200, b"")

    def test_forms_and_files(self) -> None:
        form = self.websocket.post("/echo/", {"a": "1", "b": "ü"}, content_type=FORM).json()
        assert form["form"] == {"a": "1", "b": "ü"}
        upload = SimpleUploadedFile("a.txt", b"one", content_type="text/csv")
        plain = BytesIO(b"two")
        sent = {"x": "1", "file": upload, "other": [plain]}
        told = self.websocket.post("/echo/", sent, content_type=MULTIPART_CONTENT).json()
        assert told["form"] == {"x": "1"}
        assert told["files"]["file"] == ["a.txt", "one", "text/csv"]
        assert told["files"]["other"][:2] == ["file", "two"]

    def test_bodies_that_are_ready(self) -> None:
        text = self.websocket.post("/echo/", '{"a": 1.50}', content_type="application/json").json()
        assert text["body"] == '{"a": 1.50}'
        assert self.websocket.post("/echo/", "text").json()["body"] == '"text"'
        raw = self.websocket.put("/echo/", b"\xff\0", content_type="image/png").json()
        assert (raw["body"], raw["type"]) == ("\xff\0", "image/png")

    def test_what_is_said_of_the_connection_and_of_a_message(self) -> None:
        client = WebSocketClient(
            headers={"x-one": "1"}, secure=True, HTTP_X_TWO="2", REMOTE_ADDR="203.0.113.7"
        )
        with client, translation.override("de"):
            told = client.get("/me/", headers={"x-three": "3"}, HTTP_X_FOUR="4", token="abc").json()
        assert told["meta"] == {
            "HTTP_HOST": "testserver",
            "HTTP_X_FOUR": "4",
            "HTTP_X_ONE": "1",
            "HTTP_X_THREE": "3",
            "HTTP_X_TWO": "2",
            "REMOTE_ADDR": "203.0.113.7",
        }
        assert told["secure"]
        assert told["token"] == "JWT abc"
        assert told["language"] == "en-us", "no server's connection begins with the test's language"
        assert self.websocket.get("/echo/?a=1", query_params={"b": [2, 3]}).json()["query"] == {
            "a": "1",
            "b": "3",
        }

    def test_what_can_not_be_said(self) -> None:
        with pytest.raises(TypeError, match=r"REMOTE_ADDR.*constructor"):
            self.websocket.get("/me/", REMOTE_ADDR="203.0.113.7")
        with pytest.raises(ValueError, match=r"wsgi\.input"):
            WebSocketClient(**{"wsgi.input": None}).get("/me/")

    def test_tokens_of_the_connection(self) -> None:
        with WebSocketClient(token="first") as client:
            assert client.get("/me/").json()["token"] == "JWT first"
            assert client.auth("second").status_code == 204
            assert client.get("/me/").json()["token"] == "JWT second"

    def test_bad_handshakes_are_refused(self) -> None:
        with pytest.raises(HandshakeRefused):
            WebSocketClient(HTTP_ORIGIN="https://evil.example").get("/me/")
        with pytest.raises(HandshakeRefused):
            WebSocketClient(SERVER_NAME="evil.example").connect()
        assert not [each for each in threading.enumerate() if each.name == "wsrequest-testing"]

    @override_settings(WSREQUEST={"HANDSHAKE": "tests.testing.urls.nobody"})
    def test_the_project_may_refuse_a_handshake(self) -> None:
        with pytest.raises(HandshakeRefused):
            self.websocket.get("/me/")
        assert not registry.members

    def test_what_never_comes(self) -> None:
        patience = mock.patch.object(stage, "PATIENCE", 0.1)
        with patience, pytest.raises(AssertionError, match="will not come"):
            self.websocket.get("/never/")
        self.websocket.disconnect()
        assert self.websocket.get("/notes/").status_code == 200

    def test_another_port(self) -> None:
        with WebSocketClient(SERVER_PORT="8000") as client:
            assert client.get("/me/").json()["meta"]["HTTP_HOST"] == "testserver:8000"

    def test_csrf(self) -> None:
        assert self.websocket.post("/echo/", {}).status_code == 200
        with WebSocketClient(enforce_csrf_checks=True) as client:
            assert client.post("/echo/", {}).status_code == 403
            client.cookies["csrftoken"] = "c" * 32
            response = client.post("/echo/", {}, headers={"x-csrftoken": "c" * 32})
            assert response.status_code == 200

    def test_what_no_view_has_answered(self) -> None:
        response = self.websocket.get("https://example.com/")
        assert (response.status_code, response.json()["code"]) == (400, "invalid_field")
        assert response.wsgi_request is None
        assert self.websocket.get("/nowhere/").status_code == 404

    def test_what_else_is_known_of_an_answer(self) -> None:
        response = self.websocket.get("/page/", {"name": "Grace"})
        self.assertTemplateUsed(response, "page.html")
        self.assertContains(response, "GET /page/")
        assert response.context["name"] == "Grace"
        assert response.resolver_match.func.__name__ == "page"
        assert response.wsgi_request.GET == {"name": ["Grace"]}
        assert response.request == {"method": "GET", "url": "/page/", "data": {"name": "Grace"}}
        assert response.client is self.websocket
        assert "X-Frame-Options" not in response, "it is not on the wire"
        with pytest.raises(ValueError, match="text/html"):
            response.json()
        bare = self.websocket.get("/notes/")
        assert (bare.context, bare.templates) == (None, [])

    def test_redirects(self) -> None:
        self.assertRedirects(
            self.websocket.get("/hop/0/"), "/echo/?at=end", fetch_redirect_response=False
        )
        followed = self.websocket.post("/hop/1/", {"a": 1}, follow=True)
        assert followed.redirect_chain == [("/hop/0/", 302), ("/echo/?at=end", 302)]
        assert followed.json()["method"] == "GET"
        assert followed.json()["query"] == {"at": "end"}
        assert followed.json()["body"] == ""
        kept = self.websocket.post("/kept/", {"a": 1}, follow=True).json()
        assert (kept["method"], kept["body"]) == ("POST", '{"a": 1}')
        with pytest.raises(RedirectCycleError):
            self.websocket.get("/around/", follow=True)

    def test_exceptions(self) -> None:
        for path in ("/fail/", "/afail/"):
            with pytest.raises(Failure):
                self.websocket.get(path)
            with WebSocketClient(raise_request_exception=False) as client:
                response = client.get(path)
            assert response.status_code == 500
            assert response.exc_info[0] is Failure

    def test_settings_of_a_test_hold(self) -> None:
        with self.settings(WSREQUEST={"TOKEN_SCHEME": "Bearer"}):
            assert self.websocket.get("/me/", token="a").json()["token"] == "Bearer a"

    def test_nothing_is_left_of_it(self) -> None:
        self.websocket.get("/me/")
        assert [each for each in threading.enumerate() if each.name == "wsrequest-testing"]
        self.websocket.disconnect()
        forgotten = WebSocketClient()
        forgotten.connect()
        del forgotten
        assert not [each for each in threading.enumerate() if each.name == "wsrequest-testing"]
        assert connection.in_atomic_block


@override_settings(ROOT_URLCONF="tests.testing.urls")
class UserTest(WebSocketTestMixin, TestCase):
    def setUp(self) -> None:
        self.ada = User.objects.create_user("ada", password="secret")

    def who(self) -> str | None:
        user: str | None = self.websocket.get("/me/").json()["user"]
        return user

    def test_login_and_logout(self) -> None:
        assert self.who() is None
        assert not self.websocket.login(username="ada", password="wrong")
        assert self.websocket.login(username="ada", password="secret")
        assert self.who() == "ada"
        self.websocket.logout()
        assert self.who() is None

    def test_session(self) -> None:
        self.websocket.force_login(self.ada)
        self.who()
        self.who()
        assert self.websocket.session["seen"] == 2
        session = self.websocket.session
        session["seen"] = 7
        session.save()
        assert self.websocket.get("/me/").json()["seen"] == 8

    def test_a_login_by_the_project_holds_on_the_connection_and_on_the_next(self) -> None:
        answer = self.websocket.post(
            "/accounts/login/", {"username": "ada", "password": "secret"}, content_type=FORM
        )
        assert answer.status_code == 302
        assert "value" not in answer.public_cookies["sessionid"]
        first = self.websocket.connection_id
        assert self.who() == "ada"
        assert self.websocket.connection_id == first, "its cookie is known on this connection"
        self.websocket.disconnect()
        assert self.who() == "ada"
        assert self.websocket.connection_id != first

    def test_another_cookie_is_another_connection(self) -> None:
        self.who()
        first = self.websocket.connection_id
        self.websocket.cookies["theme"] = "dark"
        self.who()
        assert self.websocket.connection_id != first


@override_settings(ROOT_URLCONF="tests.testing.urls")
class StreamTest(WebSocketTestMixin, TestCase):
    def test_streams(self) -> None:
        for kind in ("stream", "astream"):
            response = self.websocket.get(f"/{kind}/short/")
            assert response.streaming
            assert response["content-type"] == "text/plain"
            assert response.getvalue() == b"0 1 2 "
            assert streamed == ["closed"]

    def test_a_stream_without_end_is_cancelled_when_it_is_closed(self) -> None:
        for kind in ("stream", "astream"):
            response = self.websocket.get(f"/{kind}/endless/")
            parts = iter(response)
            assert [next(parts), next(parts)] == [b"0 ", b"1 "]
            response.close()
            assert self.websocket.get("/notes/").status_code == 200
            self.websocket.disconnect()
            assert streamed == ["closed"]

    def test_who_does_not_read_is_told_so(self) -> None:
        response = self.websocket.get("/stream/endless/")
        answers = (self.websocket.get("/notes/") for _ in range(100_000))
        with pytest.raises(AssertionError, match="waits to be read"):
            all(answers)
        with pytest.raises(AssertionError, match="waits to be read"):
            self.websocket.notices()
        response.close()
        assert self.websocket.get("/notes/").status_code == 200

    def test_a_stream_that_breaks_off(self) -> None:
        with self.assertLogs("wsrequest", "ERROR"):  # which it may be before the first part is read
            response = self.websocket.get("/stream/broken/")
            with pytest.raises(StreamFailed, match="500"):
                response.getvalue()


@override_settings(ROOT_URLCONF="tests.testing.urls")
class CommittedTest(WebSocketTestMixin, TransactionTestCase):
    def test_views_commit(self) -> None:
        subscription = self.websocket.subscribe("/notes/")
        self.websocket.post("/notes/", {"slug": "kept"})
        assert subscription.next().data == {"slug": "kept"}
        assert Note.objects.count() == 1
        assert not connection.in_atomic_block
