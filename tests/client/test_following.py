"""A subscription's state and position, whatever connections it goes through; without a server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from wsrequest.client.following import Event, Following, Gap, Position
from wsrequest.client.options import LONGEST_BACK_OFF, back_off
from wsrequest.errors import InvalidMessage
from wsrequest.protocol.client import CODECS
from wsrequest.protocol.messages import Begun, Said, Since

JSON = {"content-type": "application/json"}


def said(**fields: Any) -> Said:
    if "data" in fields:
        fields["data"] = Raw(msgspec.json.encode(fields["data"]))
    return Said(id=1, **fields)


def following(since: Position | None = None) -> Following:
    return Following(CODECS["json"], since)


def begin(subject: Following, data: Any = None, **begun: Any) -> list[Event]:
    answer = said(status=200, headers=JSON, data=data)
    return subject.begin(answer, Begun(**{"epoch": "e", "offset": 0} | begun))


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_the_first_answer_is_no_news():
    subject = following()
    assert subject.since is None
    assert begin(subject, {"a": 1}, offset=3) == []
    assert subject.state == {"a": 1}
    assert subject.since == Since("e", 3)


def test_an_event_comes_once():
    subject = following()
    begin(subject)
    assert subject.hear(said(event="a", data=1, offset=1)) == [Event("a", 1, Position("e", 1))]
    begin(subject, recovered=True, offset=1)
    assert subject.hear(said(event="a", data=1, offset=1)) == []
    assert names(subject.hear(said(event="b", data=2, offset=4, skip=2))) == ["b"]


@pytest.mark.parametrize(("epoch", "why"), [("e", "history"), ("f", "epoch")])
def test_what_was_missed_is_told(epoch, why):
    subject = following(Position("e", 7))
    lost, replaced = begin(subject, "now", recovered=False, epoch=epoch, offset=9)
    assert (lost.name, lost.data) == ("lost", {"from": 8, "to": None, "why": why})
    assert replaced == Event("replace", "now", Position(epoch, 9))


def test_a_connection_that_is_lost_in_a_loss():
    """The reader has heard ``lost``, and waits for ``replace``: it comes, and no second ``lost``."""
    subject = following()
    begin(subject)
    assert names(subject.hear(said(event="lost", data={"why": "slow"}))) == ["lost"]
    assert subject.since is None
    assert names(begin(subject, offset=5)) == ["replace"]
    assert subject.since == Since("e", 5)


def test_replace_and_patch_count_together():
    subject = following()
    begin(subject, {"a": [1]})
    subject.hear(said(event="patch", data=[{"op": "add", "path": "/a/1", "value": 2}], rev=1))
    before = subject.state
    subject.hear(said(event="patch", data=[{"op": "remove", "path": "/a/0"}], rev=2))
    assert (before, subject.state) == ({"a": [1, 2]}, {"a": [2]})
    [event] = subject.hear(said(event="replace", data=[], rev=3, epoch="f", offset=8))
    assert event == Event("replace", [], Position("f", 8))
    with pytest.raises(Gap):
        subject.hear(said(event="replace", data=[], rev=5))


@pytest.mark.parametrize(
    "operation",
    [{"op": "remove", "path": "/b"}, {"op": "nonsense", "path": "/a"}, {"op": "add", "path": 5}],
)
def test_a_patch_that_does_not_fit(operation):
    subject = following()
    begin(subject, {"a": 1})
    with pytest.raises(Gap):
        subject.hear(said(event="patch", data=[operation], rev=1))


def test_presence():
    ann, bob = {"connection": "a", "user": "1"}, {"connection": "b", "user": None}
    subject = following()
    assert begin(subject, presence=[ann]) == []
    assert names(subject.hear(said(event="join", data=bob))) == ["join"]
    assert set(subject.members) == {"a", "b"}
    assert names(subject.hear(said(event="leave", data=bob))) == ["leave"]
    changed = ann | {"user": "2"}
    events = begin(subject, recovered=True, presence=[changed, bob])
    assert [(event.name, event.data) for event in events] == [
        ("leave", ann),
        ("join", changed),
        ("join", bob),
    ]


@pytest.mark.parametrize(
    "message",
    [
        said(event="join", data=5),
        said(event="leave", data={}),
        said(event="a", data=1),
        said(data=1),
        Said(event="a", offset=1, data=Raw(b"{")),
    ],
)
def test_what_no_server_says(message):
    subject = following()
    begin(subject)
    with pytest.raises(InvalidMessage):
        subject.hear(message)


@given(st.lists(st.sampled_from(["event", "cut", "restart", "forget"]), max_size=40))
def test_the_reader_gets_each_event_once_or_is_told(steps):
    """A topic, a history of three events, and a client that is cut off now and then."""
    subject, epoch, offset, heard = following(), 0, 0, set()
    missed: set[tuple[str, int]] = set()
    begin(subject, epoch="0")
    connected, told = True, False

    def note(events: list[Event]) -> None:
        nonlocal told
        for event in events:
            told |= event.name == "lost"
            if event.name == "event":
                assert event.position not in heard
                heard.add(event.position)

    for step in [*steps, "event"]:
        if step == "cut":
            connected = False
        elif step == "restart":
            connected, epoch, offset = False, epoch + 1, 0
        else:
            if step == "forget":
                connected, offset = False, offset + 5
                missed |= {(str(epoch), number) for number in range(offset - 4, offset + 1)}
            if not connected:
                since = subject.since
                assert since is not None
                can = since.epoch == str(epoch) and since.offset >= offset - 3
                start = since.offset if can else offset
                note(begin(subject, epoch=str(epoch), offset=start, recovered=can))
                for number in range(start + 1, offset + 1):
                    note(subject.hear(said(event="event", data=0, offset=number)))
                connected = True
            offset += 1
            note(subject.hear(said(event="event", data=0, offset=offset)))
    assert subject.position == Position(str(epoch), offset)
    assert not missed - heard or told


def test_full_jitter():
    for attempt in (0, 1, 5, 10_000):
        pauses = [back_off(attempt) for _ in range(200)]
        assert 0 <= min(pauses) < max(pauses) <= min(LONGEST_BACK_OFF, 0.5 * 2 ** min(attempt, 16))
