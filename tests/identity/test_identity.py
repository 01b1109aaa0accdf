"""Whose a connection is: what requests have shown, without one being asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.identity.conftest import Configure
from tests.identity.ways import cookie_of, opened, replace_token, session_of
from tests.project.gates import Gate
from tests.support.client import Peer, connect
from tests.support.server import ServerProcess, ServerThread

FORM = {"content-type": "application/x-www-form-urlencoded"}


Person = Callable[[str], Awaitable[Any]]


def login(name: str = "ada") -> dict[str, Any]:
    return {"method": "POST", "headers": FORM, "data": {"name": name, "word": "secret"}}


def identity(peer: Peer) -> str | None:
    return session_of(peer).identity


@pytest.fixture
def person(
    server: ServerThread, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[str], Awaitable[Any]]]:
    """Makes users for a test."""
    made: list[Any] = []

    async def make(name: str) -> Any:
        user = await in_thread(
            django_db_blocker,
            lambda: get_user_model().objects.create_user(name, password="secret"),
        )
        made.append(user)
        return user

    yield make
    with django_db_blocker.unblock():
        get_user_model().objects.filter(username__in=[user.username for user in made]).delete()


async def in_thread(blocker: DjangoDbBlocker, function: Callable[[], Any]) -> Any:
    """The database from a test with a loop, and behind the connections' backs."""

    def work() -> Any:
        with blocker.unblock():
            try:
                return function()
            finally:
                connection.close()

    return await asyncio.to_thread(work)


# --- sessions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "a"])
async def test_a_login_and_a_logout(server: ServerThread, person: Person, prefix: str) -> None:
    eve = await person(f"eve{prefix}")
    async with connect(server.ws, origin=server.http) as peer:
        assert identity(peer) is None
        await peer.request(f"/{prefix}whoami/")
        assert identity(peer) is None
        await peer.request(f"/{prefix}log-in/", **login(eve.username))
        assert identity(peer) == str(eve.pk)
        await peer.request(f"/{prefix}whoami/")
        assert identity(peer) == str(eve.pk)
        await peer.request(f"/{prefix}log-out/")
        assert identity(peer) is None
        await peer.request(f"/{prefix}whoami/")
        assert identity(peer) is None


async def test_a_view_that_does_not_ask_shows_nothing(server: ServerThread, person: Person) -> None:
    eve = await person("eve")
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/log-in/", **login("eve"))
        for url in ("/hello/", "/ahello/", "/stream/", "/astream/", "/fail/plain/", "/nowhere/"):
            await peer.request(url)
            assert identity(peer) == str(eve.pk)


async def test_the_handshakes_session_says_who_it_is_at_once(
    server: ServerThread, person: Person
) -> None:
    eve = await person("eve")
    async with connect(server.ws, origin=server.http) as first:
        await first.request("/log-in/", **login("eve"))
        cookie = cookie_of(first)
        async with connect(server.ws, headers=cookie) as second:
            assert identity(second) == str(eve.pk)
            # One connection's logout ends the session of the other, which learns of it when it asks.
            await first.request("/log-out/")
            assert identity(second) == str(eve.pk)
            await second.request("/whoami/")
            assert identity(second) is None
    async with connect(server.ws, headers={"Cookie": "sessionid=made-up"}) as third:
        assert identity(third) is None


async def test_a_new_session_key_changes_nothing(server: ServerThread, person: Person) -> None:
    """A second login of the same user, who gets another key."""
    eve = await person("eve")
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/log-in/", **login("eve"))
        before = cookie_of(peer)
        await peer.request("/log-in/", **login("eve"))
        assert cookie_of(peer) != before
        assert identity(peer) == str(eve.pk)
        assert (await peer.request("/whoami/"))["data"]["user"] == "eve"


async def test_another_user_logs_in(server: ServerThread, person: Person) -> None:
    for name in ("eve", "kim"):
        await person(name)
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/log-in/", **login("eve"))
        first = identity(peer)
        await peer.request("/log-in/", **login("kim"))
        assert identity(peer) not in (None, first)


@pytest.mark.parametrize("fate", ["password", "deleted", "inactive"])
async def test_what_happens_to_the_user_elsewhere(
    server: ServerThread,
    person: Person,
    django_db_blocker: DjangoDbBlocker,
    fate: str,
) -> None:
    eve = await person("eve")

    def strike() -> None:
        if fate == "password":
            eve.set_password("another")
            eve.save()
        elif fate == "inactive":
            eve.is_active = False
            eve.save()
        else:
            get_user_model().objects.filter(username="eve").delete()

    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/log-in/", **login("eve"))
        await in_thread(django_db_blocker, strike)
        assert (await peer.request("/whoami/"))["data"]["known"] is False
        assert identity(peer) is None


@pytest.mark.parametrize("prefix", ["", "a"])
async def test_an_answer_that_comes_late_says_nothing(
    server: ServerThread, person: Person, gate: Gate, prefix: str
) -> None:
    """Its request was the user's, but he has logged out since."""
    await person("eve")
    async with connect(server.ws, origin=server.http) as peer:
        await peer.request("/log-in/", **login("eve"))
        await peer.send({"id": "late", "url": f"/{prefix}who-at-gate/{gate.name}/"})
        await gate.entered.reached()
        await peer.request("/log-out/")
        gate.open()
        assert (await peer.answer("late"))["data"]["user"] == "eve"
        assert identity(peer) is None


# --- tokens --------------------------------------------------------------------------------------


async def known(peer: Peer) -> str | None:
    name: str | None = (await peer.request("/connection/", id="known"))["data"]["user"]
    return name


PASSWORD = {"username": "ada", "password": "secret"}


async def test_a_token_of_a_message_is_the_messages(
    packages: ServerProcess, configure: Configure
) -> None:
    await configure(TOKEN_SCHEME="Key")
    async with opened(packages) as peer:
        assert (await peer.request("/who/", token="ada"))["data"]["user"] == "ada"
        header = {"authorization": "Key ada"}
        assert (await peer.request("/who/", headers=header))["data"]["user"] == "ada"
        assert await known(peer) is None
        await peer.request("/log-in/", method="POST", data=PASSWORD)
        assert (await peer.request("/who/", token="bob"))["data"]["user"] == "bob"
        assert await known(peer) == "ada"


async def test_a_view_that_asks_for_other_credentials_shows_nothing(
    packages: ServerProcess, configure: Configure
) -> None:
    await configure(TOKEN_SCHEME="Token")
    async with opened(packages, origin=None) as peer:
        answer = await peer.request("/drf-token/", method="POST", data=PASSWORD)
        await replace_token(peer, answer["data"]["token"])
        assert await known(peer) is None
        await peer.request("/who/drf-token/")
        assert await known(peer) == "ada"
        for url in ("/who/", "/who/async/", "/who/nobody/", "/who/simplejwt/", "/who/drf-session/"):
            assert (await peer.request(url))["data"]["user"] is None
            assert await known(peer) == "ada"


async def test_a_token_that_is_refused_says_that_it_is_nobody(
    packages: ServerProcess, configure: Configure
) -> None:
    """Revoked on the server, say, while the connection bears it."""
    await configure(TOKEN_SCHEME="Token")
    async with opened(packages, origin=None) as peer:
        answer = await peer.request("/drf-token/", method="POST", data=PASSWORD)
        await replace_token(peer, answer["data"]["token"])
        await peer.request("/who/drf-token/")
        assert await known(peer) == "ada"
        assert (await peer.request("/drf-token/revoke/"))["status"] == 204
        assert (await peer.request("/who/drf-token/"))["status"] == 401
        assert await known(peer) is None


async def test_auth_forgets_who_came_by_token_and_not_who_came_by_session(
    packages: ServerProcess, configure: Configure
) -> None:
    await configure(TOKEN_SCHEME="Key")
    async with opened(packages, "Key", handshake="ada") as peer:
        await peer.request("/who/")
        assert await known(peer) == "ada"
        await replace_token(peer, "nobody")
        # This middleware lets no unknown key in, not even to the view that we ask.
        assert (await peer.request("/connection/"))["status"] == 401
        await replace_token(peer, None)
        assert await known(peer) is None
    async with opened(packages) as peer:
        await peer.request("/log-in/", method="POST", data=PASSWORD)
        await replace_token(peer, None)
        assert await known(peer) == "ada"


async def test_a_logout_leaves_nobody_where_the_session_had_said_who(
    packages: ServerProcess, configure: Configure
) -> None:
    """There is a token too, which no view of these has looked at."""
    await configure(TOKEN_SCHEME="Bearer")
    async with opened(packages) as peer:
        await replace_token(peer, "opaque")
        await peer.request("/_allauth/browser/v1/auth/login", method="POST", data=PASSWORD)
        assert await known(peer) == "ada"
        await peer.request("/_allauth/browser/v1/auth/session", method="DELETE")
        assert await known(peer) is None
