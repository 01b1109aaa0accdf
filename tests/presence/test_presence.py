"""Presence as clients see it: connections in memory, each a process of its own unless the test says otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from msgspec import Raw
from pytest_django.fixtures import Settings

from tests.presence.conftest import TOPICS
from tests.presence.urls import asked, closed
from tests.project.gates import gates
from tests.support.database import database, tables
from tests.support.memory import MemoryConnection, connection, settle
from wsrequest import apresence, apublish
from wsrequest.errors import ConfigurationError
from wsrequest.push.brokers import broker_of
from wsrequest.push.members import Member, encoded_member
from wsrequest.push.presence import LEASE
from wsrequest.session.shutdown import drain
from wsrequest.session.switchboard import switchboard_of

__all__ = ["database", "tables"]

ROOM = "/rooms/1/"


#: What came in a frame with what was waited for.
_left: WeakKeyDictionary[MemoryConnection, list[Any]] = WeakKeyDictionary()


async def pulled(peer: MemoryConnection, number: int = 1) -> list[Any]:
    """The next messages."""
    messages = _left.pop(peer, [])
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    _left[peer] = messages[number:]
    return messages[:number]


def more(peer: MemoryConnection) -> list[Any]:
    """Whatever else has come."""
    return _left.pop(peer, []) + peer.transport.pulled()


async def ask(peer: MemoryConnection, url: str, *, id: int | str = "ask", **fields: Any) -> Any:
    peer.transport.push({"id": id, "url": url, **fields})
    (answer,) = await pulled(peer)
    assert answer["id"] == id
    return answer


async def subscribe(peer: MemoryConnection, url: str = ROOM, **fields: Any) -> Any:
    fields = {"id": 1, "presence": True, **fields}
    return await ask(peer, url, method="SUBSCRIBE", **fields)


def member(peer: MemoryConnection, user: str | None = None, info: Any = None) -> Any:
    return {"connection": peer.session.id, "user": user, "info": info}


def told(event: str, peer: MemoryConnection, *what: Any, id: int = 1) -> Any:
    return {"id": id, "event": event, "data": member(peer, *what)}


def by_connection(members: list[Any]) -> list[Any]:
    return sorted(members, key=lambda each: each["connection"])


@asynccontextmanager
async def two() -> AsyncIterator[tuple[MemoryConnection, MemoryConnection]]:
    async with connection() as one, connection() as other:
        yield one, other


async def test_the_state_with_the_answer_and_then_who_comes_and_goes() -> None:
    async with two() as (one, other):
        answer = await subscribe(one)
        assert answer["data"] == {"room": "1"}
        assert set(answer["subscription"]) == {"epoch", "offset", "rev", "presence"}
        assert answer["subscription"]["presence"] == [member(one)]
        answer = await subscribe(other, id=7)
        assert by_connection(answer["subscription"]["presence"]) == by_connection(
            [member(one), member(other)]
        )
        assert await pulled(one) == [told("join", other)]
        other.transport.push({"cancel": 7})
        assert await pulled(one) == [told("leave", other)]
        assert (await pulled(other))[0]["status"] == 499
        await apublish(ROOM, "still there")
        assert (await pulled(one))[0]["data"] == "still there"
        assert more(other) == []


async def test_who_does_not_ask_is_seen_and_sees_nobody() -> None:
    async with two() as (one, other):
        await subscribe(one)
        answer = await subscribe(other, presence=False)
        assert "presence" not in answer["subscription"]
        assert await pulled(one) == [told("join", other)]
        await one.leave()
        await settle()
        assert more(other) == []
        assert await apresence(ROOM) == [member(other)]


async def test_a_topic_without_presence() -> None:
    async with two() as (one, other):
        for peer in (one, other):
            assert "presence" not in (await subscribe(peer, "/quiet/1/"))["subscription"]
        await settle()
        assert more(one) == []
        assert broker_of().members("/quiet/1/") == {}


@pytest.mark.parametrize("ending", ["disconnect", "cancel", "go away", "refused"])
async def test_who_goes_is_told_at_once(ending: str) -> None:
    async with two() as (one, other):
        await subscribe(one)
        await subscribe(other, "/rooms/1/?other", presence=False)
        await pulled(one)
        if ending == "disconnect":
            await other.leave()
        elif ending == "cancel":
            other.transport.push({"cancel": 1})
        elif ending == "go away":
            other.session.go_away(5)
        else:
            closed.add("/rooms/1/?other")
        assert await pulled(one) == [told("leave", other)]
        assert await apresence(ROOM) == [member(one)]


async def test_nothing_follows_the_end() -> None:
    async with connection() as one:
        await subscribe(one)
        closed.add(ROOM)
        (end,) = await pulled(one)
        assert (end["end"], end["status"]) == (True, 403)
        await settle()
        assert more(one) == []
        assert await apresence(ROOM) == []


async def test_two_subscriptions_of_one_connection() -> None:
    async with two() as (one, other):
        await subscribe(one)
        for number in (1, 2):
            await subscribe(other, f"{ROOM}?page={number}", id=number)
        assert await pulled(one) == [told("join", other)]
        other.transport.push({"cancel": 1})
        assert (await pulled(other))[0]["end"]
        await settle()
        assert more(one) == []
        other.transport.push({"cancel": 2})
        assert await pulled(one) == [told("leave", other)]


async def test_connections_of_one_process() -> None:
    async with connection() as one, connection(beside=one) as other:
        await subscribe(one)
        await subscribe(other)
        assert await pulled(one) == [told("join", other)]
        await other.leave()
        assert await pulled(one) == [told("leave", other)]
        await settle()
        assert more(one) == []
        assert await apresence(ROOM) == [member(one)]


async def test_several_who_see_the_same() -> None:
    async with connection() as one, connection(beside=one) as other, connection() as third:
        await subscribe(one)
        await subscribe(other, id=2)
        await pulled(one)
        await subscribe(third, presence=False)
        assert await pulled(one) == [told("join", third)]
        assert await pulled(other) == [told("join", third, id=2)]


async def test_who_comes_and_goes_while_the_snapshot_is_rendered() -> None:
    gate = gates["presence"]
    url = "/gate/presence/"
    async with connection() as one, connection() as other, connection() as third:
        peers = (other, third)
        one.transport.push({"id": 1, "method": "SUBSCRIBE", "url": url, "presence": True})
        for count, peer in enumerate(peers):
            peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": url})
            await gate.entered.reached(count + 2)
        assert await apresence(url) == []
        gate.open()
        (answer, *changes) = await messages_until(one, other, third)
        there = {each["connection"] for each in answer["subscription"]["presence"]}
        for change in changes:
            assert change["event"] == "join"
            assert change["data"]["connection"] not in there
            there.add(change["data"]["connection"])
        assert there == {peer.session.id for peer in (one, other, third)}


async def messages_until(peer: MemoryConnection, *others: MemoryConnection) -> list[Any]:
    """Everything that came, once all of them are subscribed and it was told."""
    for other in others:
        await pulled(other)
    messages = await pulled(peer)
    await settle()
    return messages + more(peer)


async def test_a_url_that_says_no_makes_no_member() -> None:
    async with connection() as one:
        for url in ("/nowhere/", "/private/1/", "/stream/"):
            answer = await subscribe(one, url)
            assert "subscription" not in answer
            assert await apresence(url) == []
        assert broker_of()._members == {}  # type: ignore[attr-defined]


async def test_a_topic_of_the_views_own() -> None:
    async with two() as (one, other):
        await subscribe(one, "/club/?of=chess")
        await subscribe(other, "/club/?of=chess")
        assert await pulled(one) == [told("join", other)]
        assert len(await apresence("@club/chess")) == 2
        with pytest.raises(ConfigurationError, match="does not say PRESENCE for '/club/'"):
            await apresence("/club/")


async def test_with_since() -> None:
    async with two() as (one, other):
        first = (await subscribe(one))["subscription"]
        await apublish(ROOM, "missed")
        await pulled(one)
        since = {"epoch": first["epoch"], "offset": 0}
        other.transport.push(
            {"id": 1, "method": "SUBSCRIBE", "url": ROOM, "since": since, "presence": True}
        )
        answer, event = await pulled(other, 2)
        assert answer["subscription"]["recovered"] is True
        assert len(answer["subscription"]["presence"]) == 2
        assert event["data"] == "missed"


# --- users ---------------------------------------------------------------------------------------


@pytest.fixture
def slow_checks(settings: Settings) -> None:
    """No re-check comes by itself."""
    settings.WSREQUEST = {"TOPICS": TOPICS}


async def test_another_user_of_the_connection(database: None, slow_checks: None) -> None:
    async with two() as (one, other):
        await subscribe(one)
        await subscribe(other)
        await pulled(one)
        users = []
        for name in ("ann", "bob"):
            assert (await ask(other, f"/enter/{name}/"))["status"] == 204
            users.append(other.session.identity)
            changes = await pulled(one, 2)
            was = users[-2] if len(users) > 1 else None
            assert changes == [told("leave", other, was), told("join", other, users[-1])]
            assert await pulled(other, 2) == changes
        await ask(other, "/leave/")
        assert await pulled(one, 2) == [told("leave", other, users[-1]), told("join", other)]
        assert users[0] != users[1]


@pytest.mark.parametrize("view", ["introduced", "aintroduced"])
async def test_what_the_project_says_of_a_member(database: None, view: str) -> None:
    url = f"/{view}/1/"
    async with two() as (one, other):
        await ask(other, "/enter/ann/")
        user = other.session.identity
        await subscribe(one, url)
        answer = await subscribe(other, url, headers={"X-Device": "phone"})
        info = {"name": "ann", "device": "phone"}
        assert member(other, user, info) in answer["subscription"]["presence"]
        assert await pulled(one) == [told("join", other, user, info)]
        assert [each["user"] for each in asked] == ["", "ann"]
        assert member(other, user, info) in await apresence(url)


@pytest.mark.parametrize("view", ["introduced", "aintroduced"])
async def test_what_is_said_of_another_user(database: None, slow_checks: None, view: str) -> None:
    """Nothing that was said of the one is ever said of the other."""
    url = f"/{view}/1/"
    async with two() as (one, other):
        await subscribe(one, url)
        await subscribe(other, url, presence=False)
        await pulled(one)
        before = {"name": "", "device": None}
        for name in ("ann", "bob"):
            user = other.session.identity
            await ask(other, f"/enter/{name}/")
            now = {"name": name, "device": None}
            assert await pulled(one, 1) == [told("leave", other, user, before)]
            assert await pulled(one, 1) == [told("join", other, other.session.identity, now)]
            before = now


@pytest.mark.parametrize("view", ["introduced", "aintroduced"])
async def test_what_can_not_be_said(view: str, caplog: pytest.LogCaptureFixture) -> None:
    url = f"/{view}/1/"
    async with connection() as one:
        answer = await subscribe(one, f"{url}?bad=")
        assert answer["status"] == 500
        assert "object is not JSON serializable" in caplog.text
        assert await apresence(url) == []
        assert (await subscribe(one, url))["status"] == 200
    caplog.clear()


async def test_what_can_not_be_said_of_another_user(
    database: None, slow_checks: None, caplog: pytest.LogCaptureFixture
) -> None:
    url = "/introduced/1/"
    async with two() as (one, other):
        await subscribe(one, url)
        await subscribe(other, f"{url}?bad=ann", presence=False)
        await pulled(one)
        await ask(other, "/enter/ann/")
        assert (await pulled(one))[0]["event"] == "leave"
        await until(lambda: "object is not JSON serializable" in caplog.text)
        caplog.clear()
        await ask(other, "/enter/bob/")
        (change,) = await pulled(one)
        assert (change["event"], change["data"]["info"]["name"]) == ("join", "bob")


async def test_a_user_who_changes_while_he_is_introduced(database: None, slow_checks: None) -> None:
    gate = gates["info"]
    url = "/introduced/1/"
    async with two() as (one, other):
        await subscribe(one, url)
        await subscribe(other, f"{url}?gate=ann", presence=False)
        await pulled(one)
        await ask(other, "/enter/ann/")
        assert (await pulled(one))[0]["event"] == "leave"
        await gate.entered.reached(1)
        await ask(other, "/enter/bob/")
        bob = other.session.identity
        gate.open()
        assert await pulled(one) == [told("join", other, bob, {"name": "bob", "device": None})]


async def test_a_user_who_changes_while_he_subscribes(database: None, slow_checks: None) -> None:
    """What was said of the one is not left standing beside the other's name."""
    gate = gates["info"]
    url = "/introduced/1/"
    async with two() as (one, other):
        await subscribe(one, url)
        fields = {"method": "SUBSCRIBE", "url": f"{url}?gate="}
        other.transport.push({"id": 1, **fields})
        await gate.entered.reached(1)
        await ask(other, "/enter/bob/")
        bob = other.session.identity
        gate.open()
        await pulled(other)
        there: dict[str, Any] = {}
        while there.get("user") != bob or there["info"]["name"] != "bob":
            (change,) = await pulled(one)
            there = change["data"] if change["event"] == "join" else {}
        assert there["user"] == bob


async def test_new_credentials_of_the_same_user_are_not_noticed(
    database: None, slow_checks: None
) -> None:
    url = "/introduced/1/"
    async with two() as (one, other):
        await ask(other, "/enter/ann/")
        await subscribe(one, url)
        await subscribe(other, url, presence=False)
        await pulled(one)
        before = len(asked)
        other.transport.push({"id": 9, "auth": None})
        assert (await pulled(other))[0]["status"] == 204
        await until(lambda: len(asked) > before)
        await settle()
        assert more(one) == []


async def test_another_topic_for_another_user(database: None, slow_checks: None) -> None:
    """The list of the old one becomes that of the new one, by who goes and who comes."""
    async with two() as (guest, ann), two() as (one, bystander):
        await ask(ann, "/enter/ann/")
        await subscribe(ann, "/own/")
        await subscribe(guest, "/own/")
        await subscribe(one, "/own/")
        await pulled(guest)
        assert len(await apresence("@of/nobody")) == 2
        await ask(one, "/enter/ann/")
        assert await pulled(guest) == [told("leave", one)]
        user = ann.session.identity
        assert await pulled(ann) == [told("join", one, user)]
        there = {guest.session.id: None, one.session.id: None}
        messages = await pulled(one, 6)
        changes = [each for each in messages if each["event"] in ("join", "leave")]
        assert len(changes) == 4
        for change in changes:
            connection = change["data"]["connection"]
            if change["event"] == "leave":
                assert there.pop(connection) == change["data"]["user"]
            else:
                assert connection not in there
                there[connection] = change["data"]["user"]
        assert there == {ann.session.id: user, one.session.id: user}
        await subscribe(bystander, "/own/")
        assert await pulled(guest) == [told("join", bystander)]
        await settle()
        assert more(one) == []
        assert len(await apresence("@of/ann")) == 2


async def test_another_topic_of_which_nothing_can_be_read_at_first(
    database: None, settings: Settings
) -> None:
    brokers = {"default": {"BACKEND": "tests.presence.processes.Broker"}}
    settings.WSREQUEST = {"TOPICS": TOPICS, "BROKERS": brokers}
    async with two() as (one, ann):
        await ask(ann, "/enter/ann/")
        await subscribe(ann, "/own/")
        await subscribe(one, "/own/")
        ear: Any = switchboard_of(one.runner).hub._feed("default").listener
        ear.is_mute = True
        await ask(one, "/enter/ann/")
        await until(lambda: ear.refused > 1)
        ear.is_mute = False
        user = ann.session.identity
        messages = await pulled(one, 5)
        told_of = [each for each in messages if each["event"] in ("join", "leave")]
        assert by_connection([each["data"] for each in told_of]) == by_connection(
            [member(one), member(one, user), member(ann, user)]
        )
        assert await pulled(ann) == [told("join", one, user)]


async def test_who_was_refused_while_nothing_could_be_read(settings: Settings) -> None:
    brokers = {"default": {"BACKEND": "tests.presence.processes.Broker"}}
    settings.WSREQUEST = {"TOPICS": TOPICS, "BROKERS": brokers}
    async with connection() as one:
        ear: Any = switchboard_of(one.runner).hub._feed("default").listener
        ear.is_mute = True
        answer = await subscribe(one)
        assert (answer["status"], answer["data"]["code"]) == (503, "broker_unavailable")
        ear.is_mute = False
        answer = await subscribe(one)
        assert answer["subscription"]["presence"] == [member(one)]


async def test_a_topic_that_may_not_be_heard_shows_nobody(
    database: None, slow_checks: None
) -> None:
    async with two() as (one, ann):
        await ask(ann, "/enter/ann/")
        await subscribe(ann, "/own/")
        await subscribe(one, "/own/?page=2")
        closed.add("/own/?page=2")
        await ask(one, "/enter/ann/")
        lost, end = await pulled(one, 2)
        assert (lost["event"], end["end"], end["status"]) == ("lost", True, 403)
        await settle()
        assert more(one) == more(ann) == []


# --- clients that don't read, and many members -----------------------------------------------------


async def test_who_does_not_read_is_told_how_it_is_by_then(settings: Settings) -> None:
    settings.WSREQUEST = {"TOPICS": TOPICS, "MAX_OUTBOX_BYTES": 1000}
    async with connection() as one, connection() as stays, connection(beside=stays) as goes:
        await subscribe(goes)
        await subscribe(one)
        one.transport.stall()
        await apublish(ROOM, "x" * 1000)
        await settle()
        for _ in range(20):  # they come and go, and nothing of that is kept
            await subscribe(stays, presence=False)
            stays.transport.push({"cancel": 1})
            await pulled(stays)
        await subscribe(stays, presence=False)
        await goes.leave()
        await settle()
        assert one.session.outbox.size < 2500
        one.transport.flow()
        messages = await pulled(one, 3)
        assert messages[0]["event"] == "message"
        assert sorted(messages[1:], key=lambda each: each["event"]) == [
            told("join", stays),
            told("leave", goes),
        ]
        await stays.leave()
        assert await pulled(one) == [told("leave", stays)]


async def test_who_does_not_read_learns_of_another_user(settings: Settings, database: None) -> None:
    settings.WSREQUEST = {"TOPICS": TOPICS, "MAX_OUTBOX_BYTES": 1000}
    async with two() as (one, other):
        await subscribe(other, presence=False)
        await subscribe(one)
        one.transport.stall()
        await apublish(ROOM, "x" * 1000)
        await pulled(other)
        await ask(other, "/enter/ann/")
        await until(lambda: len(one_missed(one)) == 1)
        one.transport.flow()
        messages = await pulled(one, 3)
        user = other.session.identity
        assert messages[1:] == [told("leave", other), told("join", other, user)]


def one_missed(peer: MemoryConnection) -> Any:
    assert peer.session._subscriptions is not None
    (subscription,) = peer.session._subscriptions._members
    assert subscription.attendance is not None
    return subscription.attendance._missed


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.01)


async def test_ten_thousand_members_are_told_once() -> None:
    broker = broker_of()
    async with connection() as old, connection() as new:
        await subscribe(old)
        crowd = [Member(f"connection-{number}", None, Raw(b"null")) for number in range(10_000)]
        for each in crowd:
            broker.enter(ROOM, each.connection, encoded_member(each), LEASE)  # type: ignore[attr-defined]
        frames = count_bytes(old)
        answer = await subscribe(new)
        assert len(answer["subscription"]["presence"]) == 10_002
        assert await pulled(old) == [told("join", new)]
        await settle()
        assert 0 < sum(frames) < 150
        assert len(frames) == 1


def count_bytes(peer: MemoryConnection) -> list[int]:
    """How long the frames are that it is sent from now on."""
    sizes: list[int] = []
    send = peer.transport.send

    async def counted(frame: str | bytes) -> None:
        sizes.append(len(frame))
        await send(frame)

    peer.transport.send = counted  # type: ignore[method-assign]
    return sizes


# --- the end ---------------------------------------------------------------------------------------


async def test_a_process_that_stops_says_so_first() -> None:
    async with two() as (one, other):
        await subscribe(one)
        await subscribe(other)
        await pulled(one)
        await drain({other.session})
        assert await pulled(one) == [told("leave", other)]
        assert other.transport.closed_with == 4200


async def test_who_goes_away_is_not_seen_again(database: None, slow_checks: None) -> None:
    gate = gates["leaving"]
    async with two() as (one, other):
        await subscribe(one)
        await subscribe(other)
        await pulled(one)
        other.transport.push({"id": 5, "url": "/gate/leaving/"})
        await gate.entered.reached(1)
        other.session.go_away(1)
        assert await pulled(one) == [told("leave", other)]
        for subscription in other.session._subscriptions._members:  # type: ignore[union-attr]
            subscription.ask_again()
        await settle()
        gate.open()
        await other.task
        assert more(one) == []
        assert await apresence(ROOM) == [member(one)]
