"""The packages that people log in with, over a real server: each by its own views, each token brought in every way."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.identity.conftest import Configure
from tests.identity.ways import WAYS, ask, opened, replace_token
from tests.support.client import Peer
from tests.support.server import ServerProcess

PASSWORD = {"username": "ada", "password": "secret"}


class Package(NamedTuple):
    name: str
    scheme: str
    field: str  # of the answer to a login
    refusal: str  # what it says to a token that is none


PACKAGES = [
    Package("drf-token", "Token", "token", "Invalid token."),
    Package("simplejwt", "Bearer", "access", "Given token not valid for any token type"),
    Package("drf-jwt", "JWT", "token", "Error decoding token."),
]
each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


async def log_in(peer: Peer, package: Package) -> str:
    answer = await peer.request(f"/{package.name}/", id="login", method="POST", data=PASSWORD)
    assert answer["status"] in (200, 201), answer
    return str(answer["data"][package.field])


async def a_token(packages: ServerProcess, package: Package) -> str:
    """By the package's own view, over the socket, from a client that is no browser."""
    async with opened(packages, origin=None) as peer:
        return await log_in(peer, package)


@each_package
@pytest.mark.parametrize("way", WAYS)
async def test_a_token_says_who_it_is(
    packages: ServerProcess, configure: Configure, package: Package, way: str
) -> None:
    token = await a_token(packages, package)
    await configure(TOKEN_SCHEME=package.scheme)
    answer = await ask(packages, way, package.scheme, token, f"/who/{package.name}/")
    assert answer["data"] == {"user": "ada", "authorization": f"{package.scheme} {token}"}


@each_package
@pytest.mark.parametrize("way", WAYS)
async def test_a_bad_token_is_the_packages_business(
    packages: ServerProcess, configure: Configure, package: Package, way: str
) -> None:
    await configure(TOKEN_SCHEME=package.scheme)
    answer = await ask(packages, way, package.scheme, "no.such.token", f"/who/{package.name}/")
    assert (answer["status"], answer["data"]["detail"]) == (401, package.refusal)
    assert answer["headers"]["www-authenticate"].startswith(package.scheme)


@each_package
async def test_without_a_token_it_is_nobody(packages: ServerProcess, package: Package) -> None:
    async with opened(packages) as peer:
        answer = await peer.request(f"/who/{package.name}/")
        assert answer["data"] == {"user": None, "authorization": None}


@each_package
async def test_another_scheme_is_not_listened_to(
    packages: ServerProcess, configure: Configure, package: Package
) -> None:
    token = await a_token(packages, package)
    await configure(TOKEN_SCHEME="Other")
    answer = await ask(packages, "token", "Other", token, f"/who/{package.name}/")
    assert answer["data"] == {"user": None, "authorization": f"Other {token}"}


@each_package
async def test_a_token_that_was_fetched_by_this_connection(
    packages: ServerProcess, configure: Configure, package: Package
) -> None:
    """The whole life of a client without cookies, on one connection."""
    await configure(TOKEN_SCHEME=package.scheme)
    url = f"/who/{package.name}/"
    async with opened(packages, origin=None) as peer:
        assert (await peer.request(url))["data"]["user"] is None
        await replace_token(peer, await log_in(peer, package))
        assert (await peer.request(url))["data"]["user"] == "ada"
        assert (await peer.request("/connection/"))["data"] == {"user": "ada"}
        await replace_token(peer, None)
        assert (await peer.request(url))["data"]["user"] is None
        assert (await peer.request("/connection/"))["data"] == {"user": None}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", ["/who/", "/who/async/"])
async def test_a_middleware_of_the_projects_own(
    packages: ServerProcess, configure: Configure, way: str, url: str
) -> None:
    """An asynchronous view that asks for ``auser`` hears of the session only, as over HTTP."""
    await configure(TOKEN_SCHEME="Key")
    known = await ask(packages, way, "Key", "ada", url)
    assert known["data"] == {
        "user": "ada" if url == "/who/" else None,
        "authorization": "Key ada",
    }
    refused = await ask(packages, way, "Key", "nobody", url)
    assert (refused["status"], refused["data"]) == (401, "no such key")


SESSION_VIEWS = ["/who/", "/who/async/", "/who/drf-session/"]


async def test_a_session_of_djangos_own_login(packages: ServerProcess) -> None:
    async with opened(packages) as peer:
        assert (await peer.request("/log-in/", method="POST", data=PASSWORD))["data"] == "welcome"
        for url in SESSION_VIEWS:
            assert (await peer.request(url))["data"]["user"] == "ada"
        assert (await peer.request("/who/simplejwt/"))["data"]["user"] is None
        assert (await peer.request("/connection/"))["data"] == {"user": "ada"}


async def test_a_session_of_allauth(packages: ServerProcess) -> None:
    async with opened(packages) as peer:
        session = "/_allauth/browser/v1/auth/session"
        assert (await peer.request(session))["status"] == 401
        wrong = PASSWORD | {"password": "guess"}
        login = "/_allauth/browser/v1/auth/login"
        assert (await peer.request(login, method="POST", data=wrong))["status"] == 400
        answer = await peer.request(login, method="POST", data=PASSWORD)
        assert answer["data"]["data"]["user"]["username"] == "ada"
        assert "value" not in answer["cookies"]["sessionid"]
        assert (await peer.request(session))["data"]["meta"] == {"is_authenticated": True}
        for url in SESSION_VIEWS:
            assert (await peer.request(url))["data"]["user"] == "ada"
        assert (await peer.request("/connection/"))["data"] == {"user": "ada"}
        # It answers 401 to a logout, and so says that there is nobody now.
        assert (await peer.request(session, method="DELETE"))["status"] == 401
        for url in SESSION_VIEWS:
            assert (await peer.request(url))["data"]["user"] is None
        assert (await peer.request("/connection/"))["data"] == {"user": None}


async def test_a_session_token_of_allauths_app_client(packages: ServerProcess) -> None:
    """It stands in a header of allauth's own, which each message brings."""
    async with opened(packages, origin=None) as peer:
        login = "/_allauth/app/v1/auth/login"
        answer = await peer.request(login, method="POST", data=PASSWORD)
        headers = {"X-Session-Token": answer["data"]["meta"]["session_token"]}
        session = "/_allauth/app/v1/auth/session"
        assert (await peer.request(session, headers=headers))["status"] == 200
        assert (await peer.request(session))["status"] == 401
