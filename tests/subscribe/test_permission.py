"""Permission over time: asked again from time to time, and at once where who the connection is has changed."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from pytest_django.fixtures import Settings

from tests.project.gates import gates
from tests.subscribe import people
from tests.subscribe.people import asked, banned, instead
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.support.database import database, tables
from tests.support.fixtures import Advance, advance
from tests.support.memory import MemoryConnection, connection
from wsrequest import adisconnect, apublish, atouch
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.threads import WorkerPool
from wsrequest.session import subscriptions
from wsrequest.session.session import Session
from wsrequest.session.switchboard import switchboard_of

__all__ = ["advance", "database", "tables"]

ORIGIN = ((b"host", b"testserver"), (b"origin", b"http://testserver"))


@pytest.fixture(autouse=True)
def views(project: None, settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.subscribe.people"
    settings.WSREQUEST = {"PING_INTERVAL": None}  # clocks are put forward here
    people.forget()
    yield
    for name in tuple(gates):
        gates.pop(name).open()


def token(name: str) -> dict[str, Any]:
    return {"headers": ((b"host", b"testserver"), (b"authorization", f"JWT {name}".encode()))}


async def asked_again(number: int) -> None:
    async with asyncio.timeout(20):
        while len(asked) < number:  # noqa: ASYNC110 (views run on threads, and tell nobody)
            await asyncio.sleep(0.005)


async def silent(peer: MemoryConnection) -> bool:
    """Whatever was to be said has been said, and it was nothing."""
    peer.transport.push({"ping": 1})
    return await pulled(peer, 1) == [{"pong": 1}]


async def auth(peer: MemoryConnection, name: str | None) -> None:
    peer.transport.push({"id": "auth", "auth": name})
    (answer,) = await pulled(peer, 1)
    assert (answer["id"], answer["status"]) == ("auth", 204)


# From time to time.


async def test_the_end_has_what_the_view_says(advance: Advance) -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        banned.add("ann")
        advance(61)
        (end,) = await pulled(peer, 1)
        assert end == {"id": 1, "end": True, "status": 403, "data": {"detail": "Not ann."}}
        await apublish("/people/a/", "secret")
        assert await silent(peer)
        assert (await subscribe(peer, "/open/", id=1))["status"] == 200  # the id is free


async def test_whoever_still_may_notices_nothing(advance: Advance) -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        for times in (2, 3, 4):
            advance(61)
            await asked_again(times)
        await apublish("/people/a/", "still")
        (event,) = await pulled(peer, 1)
        assert event["data"] == "still"


async def test_one_get_for_each_audience(advance: Advance) -> None:
    """All subscriptions with the same url and the same credentials, of one connection or of several."""
    async with connection(**token("ann")) as peer:
        for number in range(5):
            await subscribe(peer, "/people/a/", id=number + 1)
        await subscribe(peer, "/people/b/", id=6)
        await subscribe(peer, "/people/a/", id=7, token="bob")
        asked.clear()
        banned.add("ann")
        advance(61)
        ends = await pulled(peer, 6)
        assert sorted(end["id"] for end in ends) == [1, 2, 3, 4, 5, 6]
        await asked_again(3)
        assert sorted(asked) == [
            ("/people/a/", "ann"),
            ("/people/a/", "bob"),
            ("/people/b/", "ann"),
        ]
        await apublish("/people/a/", "for bob")
        (event,) = await pulled(peer, 1)
        assert event["id"] == 7


async def test_connections_share_an_audience(advance: Advance) -> None:
    pool = WorkerPool(2)
    runner = PoolRunner(pool, asyncio.get_running_loop())
    make = Session.__init__

    def with_one_runner(self: Session, handshake: Any, transport: Any, _: Any, rest: Any) -> None:
        make(self, handshake, transport, runner, rest)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "__init__", with_one_runner)
            async with AsyncExitStack() as stack:
                peers = [
                    await stack.enter_async_context(connection(pool=pool, **token("ann")))
                    for _ in range(4)
                ]
                for peer in peers:
                    await subscribe(peer, "/people/a/")
                asked.clear()
                banned.add("ann")
                advance(61)
                for peer in peers:
                    (end,) = await pulled(peer, 1)
                    assert end["status"] == 403
                assert asked == [("/people/a/", "ann")]
        board = switchboard_of(runner)
        assert not board.reruns._audiences
        assert not board.reruns._audience_of
    finally:
        await asyncio.to_thread(pool.close, 20)


async def test_cookies_of_another_run_reach_nobody(advance: Advance) -> None:
    async with connection() as peer:
        answer = await subscribe(peer, "/open/")
        first = answer["cookies"]["visits"]["value"]
        header = peer.session.jar.header_for("/", secure=False)
        assert first in header
        advance(61)
        await asked_again(2)
        await atouch("/open/")
        (replace,) = await pulled(peer, 1)
        assert "cookies" not in replace
        assert peer.session.jar.header_for("/", secure=False) == header


def _raise() -> HttpResponse:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("answer", "status", "data"),
    [
        (_raise, 500, None),
        (lambda: HttpResponse(status=302, headers={"Location": "/"}), 302, None),
        (lambda: JsonResponse({"gone": True}, status=410), 410, {"gone": True}),
        (lambda: StreamingHttpResponse(["a", "b"]), 501, "not_watchable"),
    ],
)
@pytest.mark.parametrize("by", ["interval", "touch"])
async def test_what_ends_a_subscription(
    advance: Advance, answer: Callable[[], HttpResponse], status: int, data: Any, by: str
) -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        instead["a"] = answer
        if by == "touch":
            await atouch("/people/a/")
        else:
            advance(61)
        (end,) = await pulled(peer, 1)
        assert (end["id"], end["end"], end["status"]) == (1, True, status)
        if isinstance(data, dict):
            assert end["data"] == data
        elif data is not None:
            assert end["data"]["code"] == data


async def test_a_get_that_hangs_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "LONGEST", 0.05)
    gates["hangs"].open()
    async with connection() as peer:
        await subscribe(peer, "/slow/hangs/")
        gates.pop("hangs")
        await atouch("/slow/hangs/")
        (end,) = await pulled(peer, 1)
        assert (end["end"], end["status"]) == (True, 504)
        gates["hangs"].open()


async def test_the_first_get_has_its_request_timeout(settings: Settings) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 0.05, "PING_INTERVAL": None}
    async with connection() as peer:
        answer = await subscribe(peer, "/slow/late/")
        assert (answer["status"], answer["data"]["code"]) == (504, "timeout")
        gates["late"].open()
        if gates["late"].entered.count:  # else no thread has come to it in time, and none will
            await gates["late"].left.reached(1)
        await apublish("/slow/late/", "nobody is there")
        assert await silent(peer)


# At once.


async def test_another_token() -> None:
    banned.add("bob")
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        peer.transport.push({"id": "auth", "auth": "bob"})
        (answer,) = await pulled(peer, 1)
        assert answer["status"] == 204
        await apublish("/people/a/", "not for bob")
        (end,) = await pulled(peer, 1)
        assert (end["status"], end["data"]) == (403, {"detail": "Not bob."})


async def test_a_change_of_user_filters_anew() -> None:
    async with connection(**token("ann")) as peer:
        await subscribe(peer, "/people/a/")
        await auth(peer, "bob")
        await apublish("/people/a/", "for ann", to="ann")
        await apublish("/people/a/", "for bob", to="bob")
        (event,) = await pulled(peer, 1)
        assert (event["data"], event["skip"], event["offset"]) == ("for bob", 1, 2)


async def test_another_user_hears_the_topic_that_is_his() -> None:
    """Else he would hear what is for the one before him."""
    async with connection(**token("ann")) as peer:
        answer = await subscribe(peer, "/own/")
        assert answer["data"] == {"for": "ann"}
        await apublish("@of-ann", "hers")
        (event,) = await pulled(peer, 1)
        assert event["data"] == "hers"
        await apublish("@of-bob", "his, before he came")
        await auth(peer, "bob")
        lost, replace = await pulled(peer, 2)
        assert lost["data"] == {"from": 2, "to": None, "why": "user"}
        assert (replace["data"], replace["offset"], replace["rev"]) == ({"for": "bob"}, 1, 1)
        await apublish("@of-ann", "hers")
        await apublish("@of-bob", "his")
        (event,) = await pulled(peer, 1)
        assert (event["data"], event["offset"]) == ("his", 2)
        await auth(peer, None)
        lost, replace = await pulled(peer, 2)
        assert replace["data"] == {"for": None}
        await apublish("@of-bob", "his")
        assert await silent(peer)


async def test_the_same_user_keeps_the_topic() -> None:
    async with connection(**token("ann.1")) as peer:
        await subscribe(peer, "/own/")
        await auth(peer, "ann.2")
        await asked_again(2)
        await apublish("@of-ann", "hers")
        (event,) = await pulled(peer, 1)
        assert (event["data"], event["offset"]) == ("hers", 1)


async def test_a_change_while_the_url_is_asked_for_the_first_time() -> None:
    gate = gates["first"]
    async with connection(**token("ann")) as peer:
        peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": "/slow/first/"})
        await gate.entered.reached(1)
        await auth(peer, "bob")
        await apublish("/slow/first/", "between")
        gate.open()
        answer, event = await pulled(peer, 2)
        assert answer["status"] == 200
        assert event["data"] == "between"
        assert asked == [("/slow/first/", "ann"), ("/slow/first/", "bob")]


def jwt(name: str, expires: float) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{name}.{part({'exp': expires})}.signature"


async def test_a_token_that_expires(advance: Advance, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    async with connection(**token(jwt("ann", now + 90))) as peer:
        await subscribe(peer, "/people/a/")
        monkeypatch.setattr(time, "time", lambda: now + 91)
        advance(31)
        notice, end = await pulled(peer, 2)
        assert notice == {"control": "expiring", "data": {"in": 0}}
        assert (end["status"], end["data"]) == (401, {"detail": "Who are you?"})
        await apublish("/people/a/", "too late")
        assert await silent(peer)


async def test_a_message_s_own_token_that_expires(
    advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    async with connection() as peer:
        await subscribe(peer, "/people/a/", token=jwt("ann", now + 30))
        banned.add("ann")  # as whoever verifies the token would have it
        monkeypatch.setattr(time, "time", lambda: now + 31)
        advance(30.5)
        (end,) = await pulled(peer, 1)
        assert end["status"] == 403


async def test_logout(database: None) -> None:
    async with connection(headers=ORIGIN) as peer:
        peer.transport.push({"id": "in", "method": "POST", "url": "/enter/eve/"})
        await pulled(peer, 1)
        answer = await subscribe(peer, "/mine/")
        assert answer["data"] == {"user": "eve"}
        await apublish("/mine/", 1)
        assert (await pulled(peer, 1))[0]["data"] == 1
        peer.transport.push({"id": "out", "method": "POST", "url": "/leave/"})
        (answer,) = await pulled(peer, 1)
        assert answer["status"] == 204
        await apublish("/mine/", 2)
        (end,) = await pulled(peer, 1)
        assert (end["id"], end["end"], end["status"]) == (1, True, 302)


async def test_login_tells_a_subscription_who_it_is(database: None) -> None:
    async with connection(headers=ORIGIN) as peer:
        await subscribe(peer, "/thing/a/")
        peer.transport.push({"id": "in", "method": "POST", "url": "/enter/eve/"})
        await pulled(peer, 1)
        user = await sync_to_async(get_user_model().objects.get)(username="eve")
        await apublish("/thing/a/", "hers", to=user)
        (event,) = await pulled(peer, 1)
        assert event["data"] == "hers"


async def test_disconnect(database: None) -> None:
    async with connection(**token("ann")) as peer, connection(**token("bob")) as other:
        for each in (peer, other):
            await subscribe(each, "/people/a/")
        await adisconnect(people.Person("ann"))  # type: ignore[arg-type]
        await apublish("/people/a/", "not for her")
        async with asyncio.timeout(20):
            await peer.task
        assert peer.transport.closed_with == 4010
        assert peer.transport.pulled() == []
        (event,) = await pulled(other, 1)
        assert event["data"] == "not for her"
