"""Whether a project's answers are the same over the socket, and how it is said where they are not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings
from django.test.client import MULTIPART_CONTENT

from tests.project.models import Note
from tests.testing.urls import Failure
from wsrequest.testing import WebSocketTestMixin, assert_same_over_http

DIFFERENT = """\
GET /different/ is not the same over the socket:
- status: 200 over HTTP, 201 over the socket
- header x-over: 'http' over HTTP, 'socket' over the socket
- cookie over: "http {'path': '/'}" over HTTP, "socket {'path': '/'}" over the socket
- body:
--- over HTTP
+++ over the socket
@@ -1,4 +1,4 @@
 {
-  "over": "http",
+  "over": "socket",
   "same": true
 }"""


@override_settings(ROOT_URLCONF="tests.testing.urls")
class SameTest(WebSocketTestMixin, TestCase):
    def test_what_is_the_same(self) -> None:
        Note.objects.create(slug="a")
        assert self.assertSameOverHTTP("/notes/").json() == {"notes": ["a"]}
        for path in ("/anotes/", "/page/", "/hop/1/", "/nowhere/", "/stream/short/"):
            self.assertSameOverHTTP(path)
        self.assertSameOverHTTP("/echo/", {"a": [1, 2]})
        self.assertSameOverHTTP("/echo/?b=1", {"a": 1}, method="HEAD")
        for method in ("PUT", "PATCH", "DELETE", "POST"):
            self.assertSameOverHTTP("/echo/", {"a": "ü"}, method=method)
        for data, content_type in (
            ({"a": "1"}, "application/x-www-form-urlencoded"),
            ({"a": "1", "f": SimpleUploadedFile("a.txt", b"x")}, MULTIPART_CONTENT),
            ("<a/>", "text/xml"),
            ({"a": 1}, "application/merge-patch+json"),
        ):
            self.assertSameOverHTTP("/echo/", data, method="POST", content_type=content_type)

    def test_what_was_written_over_http_is_undone_first(self) -> None:
        self.assertSameOverHTTP("/notes/", {"slug": "once"}, method="POST")
        assert Note.objects.count() == 1

    def test_as_who_is_logged_in(self) -> None:
        self.websocket.force_login(User.objects.create_user("ada"))
        response = self.assertSameOverHTTP("/members/", headers={"x-a": "1"})
        assert response.status_code == 200

    def test_without_a_client(self) -> None:
        assert assert_same_over_http("/members/").status_code == 403
        told = assert_same_over_http("/me/", token="abc", ignore={"body"}).json()
        assert told["token"] == "JWT abc"

    def test_what_differs(self) -> None:
        with pytest.raises(AssertionError) as failure:
            self.assertSameOverHTTP("/different/")
        assert str(failure.value) == DIFFERENT
        with pytest.raises(AssertionError) as failure:
            self.assertSameOverHTTP("/different/", ignore=["X-Over", "over", "body"])
        assert str(failure.value).splitlines()[1:] == [
            "- status: 200 over HTTP, 201 over the socket"
        ]

    def test_a_failing_view_fails(self) -> None:
        with pytest.raises(Failure):
            self.assertSameOverHTTP("/fail/")
