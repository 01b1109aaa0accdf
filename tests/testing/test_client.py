"""The client inside of a TestCase: its transaction, its cookies, and what Django's own client offers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import TestCase, override_settings

from tests.project.models import Note
from wsrequest import publish
from wsrequest.testing import WebSocketClient


@override_settings(ROOT_URLCONF="tests.testing.urls")
class RequestTest(TestCase):
    def setUp(self) -> None:
        self.socket = WebSocketClient()
        self.addCleanup(self.socket.disconnect)

    def test_it_sees_what_the_test_has_not_committed(self) -> None:
        Note.objects.create(slug="first")
        assert self.socket.get("/notes/").json() == {"notes": ["first"]}
        assert self.socket.get("/anotes/").json() == {"notes": ["first"], "count": 1}

    def test_subscription(self) -> None:
        sub = self.socket.subscribe("/notes/")
        publish("/notes/", 1, on_commit=False)
        assert [event.data for event in sub.events()] == [1]
        with self.captureOnCommitCallbacks(execute=True):
            self.socket.post("/notes/", {"slug": "second"})
        assert sub.next().data == {"slug": "second"}
        self.socket.post("/notes/", {"slug": "third"})
        with pytest.raises(AssertionError, match="captureOnCommitCallbacks"):
            sub.next()

    def test_login(self) -> None:
        self.socket.force_login(User.objects.create_user("ada"))
        assert self.socket.get("/me/").json()["user"] == "ada"
        assert self.socket.session["seen"] == 1
