"""One peer's state: every id is answered exactly once, whatever comes and in whatever order."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.protocol.support import CODEC, LIMITS
from wsrequest.errors import Cancelled, InvalidField, ViewFailed
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.connection import Close, Connection, InOrder
from wsrequest.protocol.messages import Auth, Cancel, Event, Request, Subscribed


def opened(*, negotiated=True, now=100.0, ping_interval=20.0, limits=LIMITS, **rate) -> Connection:
    return Connection(
        CODEC, limits, negotiated=negotiated, now=now, ping_interval=ping_interval, **rate
    )


def received(connection, message, now=0):
    """What there is to do."""
    return [event for event in connection.receive(json.dumps(message), now) if event is not None]


def test_a_request_becomes_an_event_and_its_id_is_taken():
    connection = opened()
    [event] = received(connection, {"id": 1, "url": "/"})
    assert isinstance(event, Request)
    assert connection.open == {1}


def test_requests_without_an_id_are_not_tracked():
    connection = opened(negotiated=False)
    assert [type(received(connection, {"url": "/"})[0]) for _ in range(3)] == [Request] * 3
    assert connection.open == set()


def test_a_duplicate_id_is_refused_and_the_first_goes_on():
    connection = opened()
    received(connection, {"id": "a", "url": "/"})
    for message in ({"id": "a", "url": "/"}, {"id": "a"}, {"id": "a", "url": "//"}):
        [answer] = received(connection, message)
        answer = json.loads(answer)
        assert (answer["id"], answer["status"]) == (None, 409)
        assert (answer["data"]["code"], answer["data"]["id"]) == ("duplicate_id", "a")
    assert connection.open == {"a"}


def test_an_integer_and_a_string_are_two_ids():
    connection = opened()
    first, second = received(connection, [{"id": 1, "url": "/"}, {"id": "1", "url": "/"}])
    assert isinstance(first, Request)
    assert isinstance(second, Request)


def test_a_refused_message_leaves_its_id_free():
    connection = opened()
    [answer] = received(connection, {"id": 1})
    assert json.loads(answer) == {
        "id": 1,
        "status": 400,
        "headers": {"content-type": "application/json"},
        "data": {"error": "Missing URL", "code": "missing_url"},
    }
    assert isinstance(received(connection, {"id": 1, "url": "/"})[0], Request)


def test_what_has_no_usable_id_is_answered_without_one():
    [answer] = received(opened(), {"id": True, "url": "/"})
    assert "id" not in json.loads(answer)
    [answer] = list(opened().receive(b"\xff", 0))
    assert json.loads(answer)["data"]["code"] == "invalid_message"


def test_ping_is_answered_and_pong_is_not():
    answers = received(opened(), [{"ping": 7}, {"pong": 7}, {"ping": -1}])
    assert [json.loads(answer) for answer in answers] == [{"pong": 7}, {"pong": -1}]


def test_each_message_is_an_event_so_that_whoever_serves_them_can_count():
    assert list(opened().receive('[{"pong":1},{"pong":2}]', 0)) == [None, None]


def test_what_has_no_id_is_answered_in_its_turn():
    refusals = received(opened(), [{"url": ""}, 5, {"url": "//"}, {"id": 0, "url": "/"}])
    assert [type(event) for event in refusals] == [InOrder] * 4
    told = received(opened(), [{"id": 1}, {"ping": 1}, {"id": 2, "url": "/"}, {"id": 2, "url": ""}])
    assert not any(isinstance(event, InOrder) for event in told)


def test_cancel_is_an_event_for_any_id():
    assert received(opened(), {"cancel": "x"}) == [Cancel("x")]


def test_events_are_made_one_by_one():
    """A cancel that stands behind a request in the same array must find it started."""
    connection = opened()
    events = connection.receive('[{"id":1,"url":"/"},{"id":1,"url":"/"}]', 0)
    assert isinstance(next(events), Request)
    connection.send_error(1, ViewFailed())
    assert isinstance(next(events), Request)


def test_answers():
    connection = opened()
    received(connection, [{"id": number, "url": "/"} for number in range(1, 7)])
    headers = {"content-type": "text/plain"}
    assert json.loads(connection.send_response(1, 200, headers, "hi")) == {
        "id": 1,
        "status": 200,
        "headers": headers,
        "data": "hi",
    }
    sent = connection.send_response(2, 201, {}, msgspec.Raw(b"[ 1 ]"), cookies={"a": {"path": "/"}})
    assert sent == b'{"id":2,"status":201,"headers":{},"data":[ 1 ],"cookies":{"a":{"path":"/"}}}'
    assert connection.send_response(3, 200, {}, "YQ==", "base64") == (
        b'{"id":3,"status":200,"headers":{},"data":"YQ==","encoding":"base64"}'
    )
    assert connection.send_error(4, InvalidField("data", "no", 4)) == (
        b'{"id":4,"status":400,"headers":{"content-type":"application/json"},'
        b'"data":{"error":"Invalid data: no","code":"invalid_field","field":"data"}}'
    )
    assert connection.send_response(5, 200, {}, more=True) == (
        b'{"id":5,"status":200,"headers":{},"more":true}'
    )
    assert connection.open == {5, 6}
    assert connection.send_chunk(5, "a") == b'{"id":5,"chunk":"a"}'
    assert connection.send_chunk(5, "YQ==", "base64") == (
        b'{"id":5,"chunk":"YQ==","encoding":"base64"}'
    )
    assert connection.send_end(5) == b'{"id":5,"end":true}'
    assert json.loads(connection.send_end(6, Cancelled())) == {
        "id": 6,
        "end": True,
        "status": 499,
        "data": {"error": "The request was cancelled.", "code": "cancelled"},
    }
    assert connection.open == set()


def test_answers_without_an_id():
    connection = opened(negotiated=False)
    assert connection.send_response(None, 204, {}) == b'{"status":204,"headers":{}}'
    assert connection.send_chunk(None, "a") == b'{"chunk":"a"}'
    assert connection.send_end(None) == b'{"end":true}'
    assert "id" not in json.loads(connection.send_error(None, ViewFailed()))


def test_a_subscription_keeps_its_id_until_its_end():
    connection = opened()
    received(connection, [{"id": each, "method": "SUBSCRIBE", "url": "/"} for each in (1, "a", 3)])
    begun = connection.send_response(1, 200, {}, "x", subscription=Subscribed("e", 4))
    assert json.loads(begun) == {
        "id": 1,
        "status": 200,
        "headers": {},
        "data": "x",
        "subscription": {"epoch": "e", "offset": 4, "rev": 0},
    }
    connection.send_response("a", 200, {}, subscription=Subscribed("e"))
    assert connection.send_event(Event(id=1, event="replace", data=[2], rev=1)) == (
        b'{"id":1,"event":"replace","data":[2],"rev":1}'
    )
    assert connection.open == {1, "a", 3}
    [refusal] = received(connection, {"id": 1, "url": "/"})
    assert json.loads(refusal)["status"] == 409
    assert connection.send_ended(1, 403, msgspec.Raw(b"[ ]")) == (
        b'{"id":1,"end":true,"status":403,"data":[ ]}'
    )
    assert connection.send_ended("a", 404, "YQ==", "base64") == (
        b'{"id":"a","end":true,"status":404,"data":"YQ==","encoding":"base64"}'
    )
    connection.send_response(3, 403, {})
    assert connection.open == set()
    assert isinstance(received(connection, {"id": 1, "url": "/"})[0], Request)


def test_a_subscription_ends_without_data_where_there_is_none():
    connection = opened()
    received(connection, {"id": 1, "method": "SUBSCRIBE", "url": "/"})
    assert connection.send_ended(1, 404) == b'{"id":1,"end":true,"status":404}'


def test_auth_is_an_event_and_takes_no_id():
    connection = opened()
    assert received(connection, {"id": 1, "auth": "a token"}) == [Auth(id=1, auth="a token")]
    assert received(connection, {"id": 1, "auth": None}) == [Auth(id=1, auth=None)]
    assert connection.open == set()
    assert json.loads(connection.send_accepted(1)) == {"id": 1, "status": 204, "headers": {}}


@pytest.mark.parametrize(
    ("message", "id", "code"),
    [
        ({"auth": "a"}, "absent", "invalid_field"),
        ({"id": 7, "auth": "a"}, None, "duplicate_id"),
        ({"id": 1, "auth": "a\r\nb"}, 1, "invalid_field"),
        ({"id": 7, "auth": "a\r\nb"}, None, "duplicate_id"),
    ],
)
def test_auth_that_is_refused(message, id, code):
    connection = opened()
    received(connection, {"id": 7, "url": "/"})
    [answer] = received(connection, message)
    answer = json.loads(answer)
    assert (answer.get("id", "absent"), answer["data"]["code"]) == (id, code)


def test_what_the_application_says():
    said = opened().send_notice("news", msgspec.Raw(b'[1, "a"]'))
    assert said == b'{"event":"news","data":[1, "a"]}'
    assert opened().send_control("goaway", {"delay": 1}) == (
        b'{"control":"goaway","data":{"delay":1}}'
    )


def test_who_is_about_to_leave_refuses_requests_and_serves_the_rest():
    connection = opened()
    received(connection, {"id": 1, "url": "/"})
    connection.leaving = 7
    refused, again, in_order, *rest = received(
        connection,
        [
            {"id": 2, "url": "/"},
            {"id": 1, "url": "/"},
            {"url": "/"},
            {"ping": 1},
            {"cancel": 1},
            {"id": 3, "auth": None},
        ],
    )
    assert json.loads(refused) == {
        "id": 2,
        "status": 503,
        "headers": {"content-type": "application/json", "retry-after": "7"},
        "data": {
            "error": "This server is shutting down; connect again and repeat the request.",
            "code": "going_away",
        },
    }
    assert json.loads(again)["status"] == 409
    assert "id" not in json.loads(in_order)
    assert rest == [b'{"pong":1}', Cancel(1), Auth(id=3, auth=None)]
    assert connection.open == {1}


def statuses(events):
    return [json.loads(event).get("status", 0) for event in events if isinstance(event, bytes)]


def test_requests_past_the_rate_are_refused_and_nothing_else():
    connection = opened(now=0.0, rate=0.5, burst=2)
    first, second, third, *rest = received(
        connection,
        [
            {"id": 1, "url": "/"},
            {"id": 2, "url": "/"},
            {"id": 3, "url": "/"},
            {"url": "/"},
            {"url": ""},
            {"id": 4, "auth": "a"},
            {"id": 1, "url": "/"},
            {"cancel": 1},
            {"ping": 1},
            {"pong": 1},
        ],
    )
    assert (first.id, second.id) == (1, 2)
    assert json.loads(third) == {
        "id": 3,
        "status": 429,
        "headers": {"content-type": "application/json", "retry-after": "2"},
        "data": {
            "error": "Too many messages; wait for the seconds in retry-after.",
            "code": "rate_limited",
        },
    }
    assert statuses(rest[:4]) == [429, 429, 429, 409]
    assert rest[4:] == [Cancel(1), b'{"pong":1}']
    assert connection.open == {1, 2}
    [event] = received(connection, {"id": 3, "url": "/"}, 2.0)
    assert isinstance(event, Request)


@pytest.mark.parametrize(("rate", "wait"), [(1000, 1), (1, 1), (0.5, 2), (0.1, 10), (0.3, 4)])
def test_who_waits_for_as_long_as_he_is_told_is_served(rate, wait):
    connection = opened(now=0.0, rate=rate, burst=1)
    received(connection, {"url": "/"})
    [refusal] = received(connection, {"url": "/"})
    assert json.loads(refusal)["headers"]["retry-after"] == str(wait)
    [event] = received(connection, {"url": "/"}, wait)
    assert isinstance(event, Request)


@pytest.mark.parametrize("message", [{"url": "/"}, 0, {"ping": 1}, {"pong": 1}, {"cancel": 9}])
def test_ten_times_the_burst_is_a_flood(message):
    """Whatever they are, and nothing after them is looked at."""
    at_the_limit = list(opened(rate=1, burst=3).receive(json.dumps([message] * 30), 100.0))
    assert not any(isinstance(event, Close) for event in at_the_limit)
    assert len(at_the_limit) == 30
    past_it = list(opened(rate=1, burst=3).receive(json.dumps([message] * 1000), 100.0))
    assert past_it[-1] == Close(4029)
    assert len(past_it) == 31


def test_a_flood_in_many_frames_is_one():
    connection = opened(now=0.0, rate=1, burst=3)
    events = [e for number in range(31) for e in connection.receive("0", number / 100)]
    events = [event if isinstance(event, Close) else None for event in events]
    assert events == [None] * 30 + [Close(4029)]


def test_who_keeps_to_the_rate_is_never_a_flood():
    connection = opened(now=0.0, rate=4, burst=3)
    for number in range(1000):
        [event] = received(connection, {"url": "/"}, number / 4)
        assert isinstance(event, Request)


def test_a_surplus_that_is_small_enough_is_only_refused():
    """Twice the rate is no flood while the surplus fills up as fast as it is used."""
    connection = opened(now=0.0, rate=4, burst=3)
    for number in range(1000):
        [event] = received(connection, {"url": "/"}, number / 8)
        assert not isinstance(event, Close)


def test_without_a_rate_nothing_is_too_much():
    events = list(opened(rate=None, burst=1).receive(json.dumps([{"ping": 1}] * 50_000), 100.0))
    assert len(events) == 50_000


@pytest.mark.parametrize("negotiated", [True, False])
def test_every_connection_has_the_limit(negotiated):
    connection = opened(negotiated=negotiated, now=0.0, rate=1, burst=1)
    assert statuses(received(connection, [{"id": 1}, {"id": 1}])) == [400, 429]


def test_what_is_refused_is_told_to_who_wants_to_know():
    connection = opened(now=0.0, rate=1, burst=2)
    heard = []
    connection.on_refusal = heard.append
    received(connection, [{"url": ""}, {"id": 1, "url": "/"}, {"id": 1, "url": "/"}, {"url": "/"}])
    assert [error.code for error in heard] == ["missing_url", "duplicate_id", "rate_limited"]


def test_hello():
    assert json.loads(opened().send_hello({"connection": "c"})) == {
        "control": "hello",
        "data": {"connection": "c"},
    }


@pytest.mark.parametrize(
    ("send", "arguments"),
    [
        ("send_response", (200, {})),
        ("send_error", (ViewFailed(),)),
        ("send_end", ()),
        ("send_ended", (403,)),
    ],
)
def test_answering_twice_is_a_bug_that_shows(send, arguments):
    connection = opened()
    received(connection, {"id": 1, "url": "/"})
    getattr(connection, send)(1, *arguments)
    with pytest.raises(KeyError):
        getattr(connection, send)(1, *arguments)


def test_the_deadline_is_two_intervals_after_the_last_word():
    connection = opened(now=100.0, ping_interval=20.0)
    assert connection.deadline() == 140.0
    list(connection.receive("what a mess", 107.0))
    assert connection.deadline() == 147.0
    connection.heard(108.5)
    assert connection.deadline() == 148.5


def test_a_peer_counts_as_heard_when_its_frame_is_read():
    connection = opened(now=100.0)
    list(connection.receive("[]", 111.0))
    assert connection.deadline() == 151.0


@pytest.mark.parametrize(("negotiated", "interval"), [(False, 20.0), (True, None), (False, None)])
def test_nobody_is_closed_who_did_not_promise_to_speak(negotiated, interval):
    assert opened(negotiated=negotiated, ping_interval=interval).deadline() is None


class EveryIdIsAnsweredOnce(RuleBasedStateMachine):
    """A client that keeps its own books, against a Connection."""

    requests = Bundle("requests")
    streams = Bundle("streams")
    subscriptions = Bundle("subscriptions")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.connection = opened(now=0.0, limits=Limits(max_message_bytes=1000))
        self.asked: dict[int | str, int] = {}
        self.answered: dict[int | str, int] = {}
        self.open: set[int | str] = set()

    def receive(self, text):
        self.now += 1
        return [event for event in self.connection.receive(text, self.now) if event is not None]

    def note(self, message: bytes, id, *, ends=True):
        assert json.loads(message)["id"] == id
        if ends:
            self.answered[id] = self.answered.get(id, 0) + 1
            self.open.remove(id)

    @rule(target=requests, id=st.integers(1, 5) | st.sampled_from(["a", "b"]))
    def ask(self, id):
        [event] = self.receive(json.dumps({"id": id, "url": "/"}))
        if id in self.open:
            assert json.loads(event)["data"]["id"] == id
            return None
        assert isinstance(event, Request)
        self.asked[id] = self.asked.get(id, 0) + 1
        self.open.add(id)
        return id

    @rule(id=st.integers(1, 5), broken=st.sampled_from(['"url":5', '"url":"//h"', '"x":1']))
    def ask_wrongly(self, id, broken):
        [answer] = self.receive(f'{{"id":{id},{broken}}}')
        answer = json.loads(answer)
        assert (answer["id"], answer["status"]) == ((None, 409) if id in self.open else (id, 400))

    @rule(id=consumes(requests))
    def respond(self, id):
        if id is not None:
            self.note(self.connection.send_response(id, 200, {}, "text"), id)

    @rule(id=consumes(requests))
    def fail(self, id):
        if id is not None:
            self.note(self.connection.send_error(id, Cancelled()), id)

    @rule(target=streams, id=consumes(requests))
    def begin_stream(self, id):
        if id is not None:
            self.note(self.connection.send_response(id, 200, {}, more=True), id, ends=False)
        return id

    @rule(id=streams)
    def chunk(self, id):
        if id is not None and id in self.open:
            self.note(self.connection.send_chunk(id, "text"), id, ends=False)

    @rule(id=consumes(streams), error=st.sampled_from([None, ViewFailed(), Cancelled()]))
    def end_stream(self, id, error):
        if id is not None:
            self.note(self.connection.send_end(id, error), id)

    @rule(target=subscriptions, id=consumes(requests))
    def begin_subscription(self, id):
        if id is not None:
            begun = self.connection.send_response(id, 200, {}, subscription=Subscribed("e"))
            self.note(begun, id, ends=False)
        return id

    @rule(id=subscriptions)
    def event(self, id):
        if id is not None and id in self.open:
            self.note(self.connection.send_event(Event(id=id, event="lost")), id, ends=False)

    @rule(id=consumes(subscriptions), status=st.sampled_from([302, 403, 404]))
    def end_subscription(self, id, status):
        if id is not None:
            self.note(self.connection.send_ended(id, status, "no"), id)

    @rule(frame=st.text() | st.binary())
    def send_anything(self, frame):
        for event in self.receive(frame):
            assert isinstance(event, bytes | Cancel)

    @rule()
    def send_too_much(self):
        [answer] = self.receive("x" * 1001)
        assert json.loads(answer)["status"] == 413

    @invariant()
    def books_agree(self):
        assert self.connection.open == self.open
        for asked, times in self.asked.items():
            assert times - self.answered.get(asked, 0) == (asked in self.open)
        assert self.connection.deadline() == self.now + 40


TestEveryIdIsAnsweredOnce = EveryIdIsAnsweredOnce.TestCase
TestEveryIdIsAnsweredOnce.settings = settings(max_examples=50, stateful_step_count=30)
