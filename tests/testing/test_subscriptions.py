"""Events, notices and live answers in a test."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import TestCase, override_settings

from tests.project.models import Note
from tests.testing.urls import Failure
from wsrequest import EVERYONE, disconnect, notify, publish, touch
from wsrequest.signals import connection_closed, connection_opened
from wsrequest.testing import Closed, Event, Notice, WebSocketClient, WebSocketTestMixin


@override_settings(ROOT_URLCONF="tests.testing.urls")
class SubscriptionTest(WebSocketTestMixin, TestCase):
    def test_events_come_after_the_commit(self) -> None:
        subscription = self.websocket.subscribe("/notes/")
        assert subscription.accepted
        assert subscription.state == subscription.response.json() == {"notes": []}
        with self.captureOnCommitCallbacks(execute=True):
            self.websocket.post("/notes/", {"slug": "a"})
            assert subscription.events() == []
        assert subscription.events() == [Event("added", {"slug": "a"}, 1)]
        assert subscription.events() == []

    def test_what_is_undone_is_not_told(self) -> None:
        subscription = self.websocket.subscribe("/notes/")
        with self.captureOnCommitCallbacks(execute=True):
            self.websocket.post("/notes/", {"slug": "a", "text": "undone"})
        assert subscription.events() == []
        with pytest.raises(AssertionError, match=r"^No event has come\.$"):
            subscription.next()

    def test_who_waits_for_a_commit_is_told_so(self) -> None:
        subscription = self.websocket.subscribe("/notes/")
        publish("/notes/", 1)
        with pytest.raises(AssertionError, match=r"'default'.*captureOnCommitCallbacks"):
            subscription.next()

    def test_events_of_all_subscriptions(self) -> None:
        first = self.websocket.subscribe("/notes/")
        self.websocket.subscribe("/echo/", {"a": 1})
        for url in ("/echo/", "/notes/"):
            publish(url, url, event="told", on_commit=False)
        assert self.websocket.events() == [Event("told", "/notes/", 1), Event("told", "/echo/", 1)]
        first.cancel()
        assert first.ended == 499
        publish("/notes/", 3, on_commit=False)
        assert self.websocket.events() == []
        first.cancel()

    def test_for_whom_it_is(self) -> None:
        ada, bob = (User.objects.create_user(name) for name in ("ada", "bob"))
        with WebSocketClient() as hers, WebSocketClient() as his:
            hers.force_login(ada)
            his.force_login(bob)
            subscriptions = [client.subscribe("/notes/") for client in (hers, his)]
            publish("/notes/", "for ada", to=ada, on_commit=False)
            assert [len(each.events()) for each in subscriptions] == [1, 0]
            assert hers.subscribe("/mine/").accepted
            publish(f"@orders-{ada.pk}", "hers", on_commit=False)
            assert [event.data for event in hers.events()] == ["hers"]

    @override_settings(LOGOUT_REDIRECT_URL="/notes/")
    def test_one_may_watch_what_one_may_get(self) -> None:
        refused = self.websocket.subscribe("/members/")
        assert (refused.accepted, refused.ended, refused.response.status_code) == (False, 403, 403)
        self.websocket.force_login(User.objects.create_user("ada"))
        subscription = self.websocket.subscribe("/members/")
        assert subscription.accepted
        self.websocket.post("/accounts/logout/", content_type="text/plain")
        assert subscription.events() == []
        assert subscription.ended == 403

    def test_recovery(self) -> None:
        position = self.websocket.subscribe("/notes/").position
        self.websocket.disconnect()
        publish("/notes/", 1, on_commit=False)
        subscription = self.websocket.subscribe("/notes/", since=position)
        assert subscription.recovered
        assert subscription.next() == Event("message", 1, 1)
        assert subscription.position == {**position, "offset": 1}

    @override_settings(WSREQUEST={"TOPICS": {"/notes/": {"PRESENCE": True}}})
    def test_presence(self) -> None:
        subscription = self.websocket.subscribe("/notes/", presence=True)
        assert [each["connection"] for each in subscription.presence] == [
            self.websocket.connection_id
        ]
        with WebSocketClient() as other:
            other.subscribe("/notes/")
            assert [event.event for event in subscription.events()] == ["join"]
        assert [event.event for event in subscription.events()] == ["leave"]

    def test_a_touched_url(self) -> None:
        subscription = self.websocket.subscribe("/notes/")
        Note.objects.create(slug="a")
        touch("/notes/", on_commit=False)
        assert subscription.now() == {"notes": ["a"]}
        assert subscription.events() == []

    def test_live(self) -> None:
        live = self.websocket.live("/notes/")
        assert live.now() == {"notes": []}
        for number in range(3):
            with self.captureOnCommitCallbacks(execute=True):
                Note.objects.create(slug=f"note-{number}")
            assert len(live.now()["notes"]) == number + 1
        with self.captureOnCommitCallbacks(execute=True):
            Note.objects.all().delete()
        assert [event.event for event in live.events()] in (["patch"], ["replace"])
        assert live.state == {"notes": []}

    def test_several_are_live(self) -> None:
        with WebSocketClient() as other:
            clients = [self.websocket, other]
            lives = [client.live("/anotes/") for client in clients]
            with self.captureOnCommitCallbacks(execute=True):
                Note.objects.create(slug="a")
            assert [live.now()["count"] for live in lives] == [1, 1]

    def test_a_view_that_fails_later_fails_the_test(self) -> None:
        live = self.websocket.live("/fails-later/")
        with self.captureOnCommitCallbacks(execute=True):
            Note.objects.create(slug="bad")
        with pytest.raises(Failure):
            live.now()

    def test_notices(self) -> None:
        ada = User.objects.create_user("ada")
        self.websocket.force_login(ada)
        self.websocket.connect()
        notify(EVERYONE, "all", 1, on_commit=False)
        notify(ada, "hers", 2, on_commit=False)
        notify(self.websocket.connection_id, "this", 3, on_commit=False)
        notify("another", "that", 4, on_commit=False)
        assert self.websocket.notices() == [
            Notice("all", 1),
            Notice("hers", 2),
            Notice("this", 3),
        ]
        assert self.websocket.notices() == []

    def test_the_server_hangs_up(self) -> None:
        self.websocket.connect()
        assert self.websocket.close_code() is None
        subscription = self.websocket.subscribe("/notes/")
        disconnect(self.websocket.connection_id, on_commit=False)
        assert self.websocket.close_code() == 4010
        assert subscription.events() == []
        subscription.cancel()
        ended = WebSocketClient()
        other = ended.subscribe("/notes/")
        disconnect(ended.connection_id, on_commit=False)
        other.cancel()
        ended.disconnect()
        assert self.websocket.get("/notes/").status_code == 200, "it comes back"
        assert self.websocket.close_code() is None
        self.websocket.disconnect()
        assert self.websocket.close_code() is None

    @override_settings(WSREQUEST={"MESSAGES_PER_SECOND": 1, "MESSAGE_BURST": 1})
    def test_hung_up_on_in_the_middle(self) -> None:
        answers = (self.websocket.get("/notes/").status_code for _ in range(100))
        assert next(answers) == 200
        with pytest.raises(Closed, match="4029"):
            list(answers)

    def test_receivers_of_signals_run_in_the_test(self) -> None:
        told = []

        def tell(signal: object, **facts: object) -> None:
            told.append((signal, Note.objects.count()))

        Note.objects.create(slug="a")
        for signal in (connection_opened, connection_closed):
            signal.connect(tell)
            self.addCleanup(signal.disconnect, tell)
        self.websocket.get("/notes/")
        assert told == [(connection_opened, 1)]
        self.websocket.disconnect()
        assert told == [(connection_opened, 1), (connection_closed, 1)]
