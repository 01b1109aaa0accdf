"""A token that runs out: the client is told in time, and then the connection bears none."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from tests.identity.conftest import Configure
from tests.identity.ways import WAYS, opened, replace_token, token_entry
from tests.support.client import SUBPROTOCOL, connect
from tests.support.server import ServerProcess
from wsrequest.conf import get_settings
from wsrequest.lifecycle.identity import Who
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.handshake import Handshake
from wsrequest.session import credentials
from wsrequest.session.credentials import LOOK_AGAIN, NOBODY, Credentials

# --- the clock by hand ---------------------------------------------------------------------------


class Clock:
    """The wall clock and the loop's, moved by the test. The wall clock may be set, too."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self._elapsed = 0.0
        self._number = count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()

    def time(self) -> float:
        return self.wall

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        number = next(self._number)
        heapq.heappush(self._timers, (self._elapsed + delay, number, callback))
        return SimpleNamespace(cancel=lambda: self._cancelled.add(number))

    def advance(self, seconds: float) -> None:
        end = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= end:
            due, number, callback = heapq.heappop(self._timers)
            self.wall += due - self._elapsed
            self._elapsed = due
            if number not in self._cancelled:
                callback()
        self.wall += end - self._elapsed
        self._elapsed = end

    @property
    def idle(self) -> bool:
        return all(number in self._cancelled for _, number, _ in self._timers)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(credentials, "time", made)
    monkeypatch.setattr(credentials, "asyncio", SimpleNamespace(get_running_loop=lambda: made))
    return made


class Told:
    """A connection's credentials, and what they say."""

    def __init__(self, clock: Clock, authorization: str | None = None, notice: float = 60) -> None:
        self.said: list[tuple[float, str, float]] = []
        self.replaced = 0
        self._clock = clock
        headers = [(b"authorization", authorization.encode())] if authorization else []
        handshake = Handshake(path="/ws/", headers=headers)
        self.credentials = Credentials(RequestFactory(handshake, get_settings()), notice, self)

    def token_expires(self, left: float) -> None:
        self._say("expiring", left)

    def user_forgotten(self) -> None:
        self._say("forgotten", 0)

    def token_replaced(self) -> None:
        self.replaced += 1

    def _say(self, what: str, left: float) -> None:
        self.said.append((self._clock.wall, what, left))

    @property
    def authorization(self) -> str | None:
        return self.credentials.factory.authorization


def jwt(exp: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"head.{claims}.signature"


def test_told_before_and_emptied_at_the_expiry(clock: Clock) -> None:
    start = clock.wall
    told = Told(clock, f"Bearer {jwt(start + 100)}")
    told.credentials.know(Who("7", by_session=False))
    clock.advance(39.9)
    assert told.said == []
    clock.advance(0.2)
    assert told.said == [(start + 40, "expiring", 60)]
    clock.advance(59.8)
    assert told.authorization is not None
    assert told.credentials.who.user == "7"
    clock.advance(0.2)
    assert told.authorization is None
    assert told.credentials.who == NOBODY
    assert [what for _, what, _ in told.said] == ["expiring", "forgotten"]
    assert clock.idle


def test_told_at_once_where_less_is_left(clock: Clock) -> None:
    told = Told(clock, f"JWT {jwt(clock.wall + 5)}")
    assert told.said == [(clock.wall, "expiring", 5)]
    clock.advance(5)
    assert told.authorization is None
    assert len(told.said) == 1


@pytest.mark.parametrize("ago", [0, 1, 10**9])
def test_a_token_that_comes_expired_is_not_taken(clock: Clock, ago: float) -> None:
    told = Told(clock, f"JWT {jwt(clock.wall - ago)}")
    assert told.authorization is None
    assert told.said == [(clock.wall, "expiring", 0)]
    assert clock.idle


def test_another_token_has_its_own_time(clock: Clock) -> None:
    told = Told(clock, f"JWT {jwt(clock.wall + 100)}")
    told.credentials.replace(jwt(clock.wall + 1000))
    clock.advance(900)
    assert told.said == []
    told.credentials.replace("opaque")
    clock.advance(10_000)
    assert told.said == []
    assert told.authorization == "JWT opaque"
    told.credentials.replace(jwt(clock.wall + 100))
    told.credentials.replace(None)
    assert clock.idle


def test_who_came_by_session_stays(clock: Clock) -> None:
    told = Told(clock, f"JWT {jwt(clock.wall + 10)}")
    told.credentials.know(Who("7", by_session=True))
    clock.advance(11)
    assert told.authorization is None
    assert told.credentials.who == Who("7", by_session=True)
    assert [what for _, what, _ in told.said] == ["expiring"]


def test_the_clock_may_be_set_meanwhile(clock: Clock) -> None:
    exp = clock.wall + 10**6
    told = Told(clock, f"JWT {jwt(exp)}")
    clock.advance(1)
    clock.wall = exp - 30
    clock.advance(LOOK_AGAIN)
    assert [(what, left) for _, what, left in told.said] == [("expiring", 0)]
    assert told.authorization is None


def test_a_token_for_all_eternity(clock: Clock) -> None:
    told = Told(clock, f"JWT {jwt(1e300)}")
    clock.advance(10 * LOOK_AGAIN)
    assert told.said == []
    assert told.authorization is not None


def test_stopped_it_says_nothing(clock: Clock) -> None:
    told = Told(clock, f"JWT {jwt(clock.wall + 100)}")
    told.credentials.stop()
    told.credentials.stop()
    clock.advance(1000)
    assert told.said == []


# --- over a real server --------------------------------------------------------------------------


async def short(packages: ServerProcess, seconds: int) -> str:
    async with connect(packages.ws) as peer:
        return str((await peer.request(f"/simplejwt/short/{seconds}/"))["data"]["access"])


@pytest.mark.parametrize("way", WAYS[:3])
async def test_the_client_is_told_however_the_token_came(
    packages: ServerProcess, configure: Configure, way: str
) -> None:
    await configure(TOKEN_SCHEME="Bearer", EXPIRING_NOTICE=7200)
    token = await short(packages, 3600)
    at_opening = {way: token} if way != "auth" else {}
    async with opened(packages, "Bearer", **at_opening) as peer:
        if way == "auth":
            await replace_token(peer, token)
        notice = await peer.first(lambda message: "control" in message)
        assert notice["control"] == "expiring"
        assert 3590 < notice["data"]["in"] <= 3600
        assert (await peer.request("/who/simplejwt/"))["data"]["user"] == "ada"
        await peer.still_answers()


async def test_then_it_is_nobody_until_there_is_a_new_token(
    packages: ServerProcess, configure: Configure
) -> None:
    await configure(TOKEN_SCHEME="Bearer")
    token = await short(packages, 2)
    async with opened(packages, "Bearer", handshake=token) as peer:
        assert 0 < (await peer.next())["data"]["in"] <= 2
        answer = await peer.request("/who/simplejwt/")
        seen = [answer["data"].get("user")]
        while answer["data"].get("authorization", token) is not None:
            answer = await peer.request("/who/simplejwt/")
            seen.append(answer["data"].get("user"))
        assert seen[0] == "ada"
        assert (answer["status"], seen[-1]) == (200, None)
        assert (await peer.request("/connection/"))["data"] == {"user": None}
        await replace_token(peer, await short(packages, 7200))
        assert (await peer.request("/who/simplejwt/"))["data"]["user"] == "ada"
        await peer.still_answers()


async def test_a_token_that_comes_expired(packages: ServerProcess, configure: Configure) -> None:
    await configure(TOKEN_SCHEME="Bearer")
    async with opened(packages, "Bearer", handshake=jwt(1)) as peer:
        assert await peer.next() == {"control": "expiring", "data": {"in": 0}}
        answer = await peer.request("/who/simplejwt/")
        assert answer["data"] == {"user": None, "authorization": None}


@pytest.mark.parametrize("seconds", [1, 3600])
async def test_a_seed_connection_hears_nothing_of_it(
    packages: ServerProcess, configure: Configure, seconds: int
) -> None:
    await configure(TOKEN_SCHEME="Bearer", EXPIRING_NOTICE=7200)
    headers = {"Authorization": f"Bearer {await short(packages, seconds)}"}
    async with connect(packages.ws, seed=True, headers=headers) as peer:
        await peer.still_answers()
        if seconds < 60:
            answer = await peer.plain("/who/simplejwt/")
            while answer["data"].get("authorization", "") is not None:
                answer = await peer.plain("/who/simplejwt/")
        assert not any("control" in str(frame) for frame in peer.frames)


async def test_nothing_is_said_of_a_message_token(
    packages: ServerProcess, configure: Configure
) -> None:
    await configure(TOKEN_SCHEME="Bearer", EXPIRING_NOTICE=7200)
    token = await short(packages, 3600)
    async with opened(packages) as peer:
        assert (await peer.request("/who/simplejwt/", token=token))["data"]["user"] == "ada"
        await peer.still_answers()


async def test_msgpack_hears_it_too(packages: ServerProcess, configure: Configure) -> None:
    """The entry stands beside any subprotocol."""
    await configure(TOKEN_SCHEME="Bearer", EXPIRING_NOTICE=7200)
    entry = token_entry(await short(packages, 3600))
    async with connect(
        packages.ws, seed=True, subprotocols=["wsrequest.v1.msgpack", entry]
    ) as peer:
        assert peer.socket.subprotocol == "wsrequest.v1.msgpack"
        frames = b""
        while b"expiring" not in frames:
            frame = await peer.socket.recv()
            assert isinstance(frame, bytes)
            frames += frame
    assert SUBPROTOCOL.encode() not in frames
