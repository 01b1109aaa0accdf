"""Whose key it is: nobody is given another one's answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.lifecycle.support import build, factory, message
from tests.once.caches import WatchedCache
from tests.once.support import BOTH, HEADERS, ask, is_replay, opened, post
from tests.once.urls import runs
from tests.support.client import Peer, connect
from tests.support.memory import connection
from tests.support.server import ServerThread
from wsrequest import WebSocketRequest
from wsrequest.lifecycle.scope import fingerprint_of, scope_of


@pytest.fixture(scope="module", autouse=True)
def bob(database: None, django_db_blocker: DjangoDbBlocker) -> None:
    get_user_model().objects.create_user("bob")


async def log_in(peer: Peer, name: str) -> None:
    assert (await ask(peer, f"/log-in/{name}/", key=None))["status"] == 302


@pytest.mark.parametrize("prefix", BOTH)
async def test_each_user_has_keys_of_his_own(server: ServerThread, prefix: str) -> None:
    async with opened(server) as ada, opened(server) as bob, opened(server) as nobody:
        await log_in(ada, "ada")
        await log_in(bob, "bob")
        for peer in (ada, bob, nobody):
            assert not is_replay(await ask(peer, f"{prefix}run/x/"))
        for peer in (ada, bob, nobody):
            assert is_replay(await ask(peer, f"{prefix}run/x/"))
    assert runs["x"] == 3


@pytest.mark.parametrize("view", ["api", "set", "function"])
async def test_a_user_of_rest_framework_is_whom_its_authenticators_find(
    server: ServerThread, view: str
) -> None:
    async with opened(server) as peer, opened(server) as other:
        ada = await ask(peer, f"/{view}/x/", token="ada", data={"a": 1})
        bob = await ask(peer, f"/{view}/x/", token="bob", data={"a": 1})
        again = await ask(other, f"/{view}/x/", token="ada", data={"a": 1})
        assert (ada["data"]["user"], bob["data"]["user"]) == ("ada", "bob")
        assert (is_replay(ada), is_replay(bob), is_replay(again)) == (False, False, True)
        assert again["data"] == ada["data"]
        refused = await ask(peer, f"/{view}/x/", token="nobody", data={"a": 1})
        assert refused["status"] == (403 if view == "api" else 401)
    assert runs["x"] == 2


async def test_the_view_finds_the_request_as_it_was(server: ServerThread) -> None:
    """Its SessionAuthentication must not find the token's user in the place of the session's."""
    async with opened(server) as peer:
        answer = await ask(peer, "/api/x/", token="ada")
        assert answer["data"] == {"run": 1, "user": "ada", "auth": "ada"}
        answer = await ask(peer, "/set/x/", token="ada", data={"a": [1]}, key="other")
        assert answer["data"] == {"user": "ada", "data": {"a": [1]}, "action": "create"}


async def test_a_session_and_a_token_may_name_the_same_user(server: ServerThread) -> None:
    async with opened(server) as by_session, opened(server) as by_token:
        await log_in(by_session, "ada")
        assert (await ask(by_session, "/api/x/"))["data"]["auth"] is None
        assert is_replay(await ask(by_token, "/api/x/", token="ada"))


@pytest.fixture
def browser(database: None, django_db_blocker: DjangoDbBlocker) -> dict[str, str]:
    """The cookies of a browser in which ada has logged in."""
    client = Client()
    client.force_login(get_user_model().objects.get(username="ada"))
    return {"sessionid": client.cookies["sessionid"].value, "csrftoken": "a" * 32}


async def test_a_refusal_is_not_what_the_key_is_known_for(
    server: ServerThread, browser: dict[str, str]
) -> None:
    """A connection without an Origin: REST framework wants a CSRF token of who comes with a session."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.items())
    async with connect(server.ws, headers={"cookie": cookies}) as peer:
        assert (await ask(peer, "/api/x/"))["status"] == 403
        token = {"x-csrftoken": browser["csrftoken"]}
        assert (await ask(peer, "/api/x/", headers=token))["data"]["user"] == "ada"
        assert is_replay(await ask(peer, "/api/x/", headers=token))


async def test_without_a_user_the_token_counts(server: ServerThread) -> None:
    """A plain view has no authenticators; the tokens may mean something to it."""
    async with opened(server) as peer:
        assert not is_replay(await ask(peer, "/run/x/", token="one"))
        assert not is_replay(await ask(peer, "/run/x/", headers={"authorization": "JWT two"}))
        assert is_replay(await ask(peer, "/run/x/", token="two"))


async def test_without_any_the_sessions_of_the_handshakes_count(server: ServerThread) -> None:
    one, two = ({"cookie": f"sessionid={letter * 32}"} for letter in "ab")
    async with (
        opened(server, headers=one) as first,
        opened(server, headers=two) as second,
        opened(server, headers=one) as again,
    ):
        assert [is_replay(await ask(peer, "/run/x/")) for peer in (first, second, again)] == [
            False,
            False,
            True,
        ]


async def test_and_at_last_the_network_address(database: None) -> None:
    async def replays(address: str) -> bool:
        async with connection(headers=HEADERS, client=(address, 5000)) as peer:
            peer.transport.push(post("/run/x/"))
            return is_replay(await peer.transport.pull())

    assert [await replays(address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [
        False,
        False,
        True,
    ]


async def test_hosts_may_be_tenants(database: None, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = [".example.org"]
    for host in (b"a.example.org", b"b.example.org"):
        headers = ((b"host", host), (b"origin", b"http://" + host))
        async with connection(headers=headers) as peer:
            peer.transport.push(post("/run/x/"))
            assert not is_replay(await peer.transport.pull())


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_login_that_is_repeated_logs_in(server: ServerThread, prefix: str) -> None:
    url = f"{prefix}log-in/ada/"
    async with opened(server) as peer, opened(server) as later:
        first = await ask(peer, url)
        again = await ask(later, url)
        assert is_replay(again)
        assert again["cookies"] == first["cookies"]
        assert again["headers"]["location"] == "/whoami/"
        theme = 'da"rk' if prefix == "/" else None
        assert (await ask(later, "/whoami/", method="GET"))["data"] == {
            "user": "ada",
            "theme": theme,
        }
        # On the first connection it is repeated by a user: who was nobody before.
        assert is_replay(await ask(peer, url))
    assert runs["ada"] == 1


async def test_a_connection_learns_its_user_from_a_repeated_login(database: None) -> None:
    ada = await get_user_model().objects.aget(username="ada")
    for replay in (False, True):
        async with connection(headers=HEADERS) as peer:
            assert peer.session.identity is None
            peer.transport.push(post("/log-in/ada/"))
            assert is_replay(await peer.transport.pull()) is replay
            assert peer.session.identity == str(ada.pk)


async def test_a_key_that_the_user_had_used_already_stays_his(server: ServerThread) -> None:
    async with opened(server) as peer, opened(server) as other:
        await log_in(other, "ada")
        await ask(other, "/run/x/")
        await ask(peer, "/log-in/ada/")
        assert is_replay(await ask(peer, "/run/x/"))


@pytest.mark.django_db
def test_the_key_is_taken_outside_of_the_views_transaction(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others must see it at once, in a cache that is a database, too."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    before = connections["default"].in_atomic_block
    response = WebSocketRequest(
        '{"method": "POST", "url": "/transaction/x/", "key": "k"}'
    ).get_response()
    assert response.content == b'{"atomic": true}'
    assert set(WatchedCache.in_transaction) == {before}


# --- the rules by themselves -------------------------------------------------------------------------


class Stateless:
    """A user that is in no database, as some packages have it."""

    is_authenticated = True

    def __init__(self, pk: Any) -> None:
        self.pk = pk


def scope(*, user: Any = None, token: str | None = None, cookie: str = "") -> str:
    request = build("/run/x/", "POST", token=token)
    request.user = user or AnonymousUser()
    return scope_of(request, lambda request: None, (), {}, cookie)


def test_scopes() -> None:
    kind = f"{__name__}.Stateless"
    assert scope(user=Stateless(5), token="t") == f"user {kind} 5"
    assert scope(user=Stateless(None), token="t") == "authorization JWT t"
    assert scope(cookie="a=b; sessionid=c") == "session c"
    assert scope(cookie="a=b") == "address "


def test_a_project_without_users_has_scopes() -> None:
    request = factory(client=("192.0.2.1", 5)).build(message("/run/x/", "POST"), "", trusted=True)
    assert scope_of(request, None, (), {}, "") == "address 192.0.2.1"


def fingerprint(url: str = "/run/x/", method: str = "POST", **fields: Any) -> str:
    asked = message(url, method, **fields)
    return fingerprint_of(factory().build(asked, "", trusted=True), asked)


def test_what_a_request_is() -> None:
    assert fingerprint() != fingerprint(data=None)
    assert fingerprint(data={"a": 1, "b": 2}) == fingerprint(data={"b": 2, "a": 1})
    assert fingerprint(data=1) != fingerprint(data="1")
    assert fingerprint(token="a", headers={"x-a": "1"}) == fingerprint(token="b")
    assert fingerprint("/caf%C3%A9/") == fingerprint("/café/")
    assert fingerprint("/run/x/?a=1") != fingerprint("/run/x/?a=2")
    huge = int("9" * 4000)
    assert fingerprint(data=huge) != fingerprint(data=huge - 1)


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("name", ["X-Api-Key", "x-tenant", "X-Auth-Token"])
async def test_headers_tell_clients_apart(server: ServerThread, prefix: str, name: str) -> None:
    async with opened(server) as peer, opened(server) as other:
        url = f"{prefix}run/x/"
        assert not is_replay(await ask(peer, url, headers={name: "one"}))
        assert not is_replay(await ask(other, url, headers={name: "two"}))
        assert is_replay(await ask(other, url, headers={name: "one"}))
    assert runs["x"] == 2


@pytest.mark.parametrize("name", ["traceparent", "X-Request-Id", "X-CSRFToken"])
async def test_other_headers_don_t(server: ServerThread, name: str) -> None:
    async with opened(server) as peer:
        assert not is_replay(await ask(peer, "/run/x/", headers={name: "one"}))
        assert is_replay(await ask(peer, "/run/x/", headers={name: "two"}))
    assert runs["x"] == 1
