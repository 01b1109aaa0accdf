"""Cookies that were set on a connection, given to the browser by a ticket over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from django.core import signing
from django.core.cache import caches
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from tests.support.client import Peer, connect
from tests.support.server import ServerThread
from wsrequest.contrib.cookies import CookieHandover

URL = "/cookies/hand-over/"
FORM = {"content-type": "application/x-www-form-urlencoded"}
ADA = {"method": "POST", "headers": FORM, "data": {"name": "ada", "word": "secret"}}
AGENT = "Browser/1.0"


class Browser:
    """A client with a cookie store of its own, which speaks HTTP and opens sockets."""

    def __init__(self, server: ServerThread, agent: str = AGENT) -> None:
        self.server = server
        self.http = httpx.AsyncClient(
            base_url=server.http,
            trust_env=False,
            verify=False,
            headers={"user-agent": agent, "origin": server.http},
        )
        self.agent = agent

    async def visit(self) -> None:
        """Open a page that has a CSRF cookie."""
        self.token = (await self.http.get("/csrf-token/")).text

    def socket(self, **options: Any) -> Any:
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)
        return connect(
            self.server.ws,
            origin=self.server.http,
            headers={"Cookie": cookies} if cookies else None,
            user_agent_header=self.agent,
            **options,
        )

    async def redeem(self, ticket: Any, **options: Any) -> httpx.Response:
        options.setdefault("json", {"ticket": ticket})
        headers = {"x-csrftoken": self.token} | options.pop("headers", {})
        return await self.http.post(options.pop("url", URL), headers=headers, **options)

    async def user(self) -> str:
        return str((await self.http.get("/whoami/")).json()["user"])


@pytest.fixture
async def browser(server: ServerThread) -> AsyncIterator[Browser]:
    made = Browser(server)
    async with made.http:
        await made.visit()
        yield made


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    yield
    caches["default"].clear()


async def ticket(peer: Peer) -> str:
    answer = await peer.request(URL, method="POST")
    assert answer["status"] == 200
    assert answer["headers"]["cache-control"] == "no-store"
    assert answer["data"]["expires_in"] == 60
    return str(answer["data"]["ticket"])


async def test_a_login_over_the_socket_becomes_the_browsers(browser: Browser) -> None:
    async with browser.socket() as peer:
        answer = await peer.request("/log-in/", **ADA)
        assert "value" not in answer["cookies"]["sessionid"]
        assert await browser.user() == "AnonymousUser"
        handed = await browser.redeem(await ticket(peer))
        assert (handed.status_code, handed.content) == (204, b"")
        assert handed.headers["cache-control"] == "no-store"
        assert "content-type" not in handed.headers
        assert await browser.user() == "ada"
        # The next connection bears it from the handshake on.
        async with browser.socket() as again:
            assert (await again.request("/whoami/"))["data"]["user"] == "ada"


async def test_each_cookie_comes_as_it_was_set(browser: Browser) -> None:
    async with browser.socket() as peer:
        await peer.request("/cookies/set/")
        handed = await browser.redeem(await ticket(peer))
        over_http = await browser.http.get("/cookies/set/")
        expected = sorted(over_http.headers.get_list("set-cookie"))
        assert without_clock(handed.headers.get_list("set-cookie")) == without_clock(expected)


def without_clock(lines: list[str]) -> list[list[str]]:
    """The attributes, but for what depends on the second."""
    return sorted(
        [part for part in line.split("; ") if not part.lower().startswith(("expires", "max-age"))]
        for line in lines
    )


async def test_a_logout_takes_the_browsers_cookie_away(browser: Browser) -> None:
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        await browser.redeem(await ticket(peer))
    # The login has changed the token, as it does over HTTP.
    await browser.visit()
    assert "sessionid" in browser.http.cookies
    async with browser.socket() as peer:
        await peer.request("/log-out/")
        handed = await browser.redeem(await ticket(peer))
        assert "Max-Age=0" in handed.headers["set-cookie"]
        assert "sessionid" not in browser.http.cookies


async def test_nothing_was_set(browser: Browser) -> None:
    async with browser.socket() as peer:
        handed = await browser.redeem(await ticket(peer))
        assert (handed.status_code, "set-cookie" in handed.headers) == (204, False)


async def refused(response: httpx.Response) -> None:
    assert response.status_code == 403
    assert response.json()["code"] == "bad_ticket"
    assert response.headers["cache-control"] == "no-store"
    assert "set-cookie" not in response.headers


async def test_it_is_good_once(browser: Browser) -> None:
    async with browser.socket() as peer:
        await peer.request("/count/")  # a session, and no new CSRF token
        one = await ticket(peer)
        handed = await browser.redeem(one)
        assert (handed.status_code, "sessionid" in handed.headers["set-cookie"]) == (204, True)
        await refused(await browser.redeem(one))


async def test_of_many_at_once_one_gets_it(browser: Browser) -> None:
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        one = await ticket(peer)
        answers = await asyncio.gather(*(browser.redeem(one) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [204] + 7 * [403]
        assert sum("set-cookie" in answer.headers for answer in answers) == 1


@pytest.mark.parametrize(
    "backend",
    [
        "django.core.cache.backends.locmem.LocMemCache",
        "django.core.cache.backends.filebased.FileBasedCache",
    ],
)
async def test_whatever_the_cache_is(
    browser: Browser, settings: Settings, tmp_path: Any, backend: str
) -> None:
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(tmp_path)}}
    async with browser.socket() as peer:
        one = await ticket(peer)
        answers = await asyncio.gather(*(browser.redeem(one) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [204] + 4 * [403]


async def test_a_cache_that_keeps_nothing(browser: Browser, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    async with browser.socket() as peer:
        await refused(await browser.redeem(await ticket(peer)))


@pytest.mark.parametrize(("age", "status"), [(59, 204), (61, 403)])
async def test_it_is_good_for_a_minute(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, age: int, status: int
) -> None:
    """By its signature, even where the cache should keep it for longer."""
    async with browser.socket() as peer:
        one = await ticket(peer)
        clock = signing.time.time
        monkeypatch.setattr(CookieHandover, "_taken", at(clock() + age))
        assert (await browser.redeem(one)).status_code == status


def at(now: float) -> Any:
    """Redeems as of this time; the cache's own clock stands still."""
    taken = CookieHandover._taken

    def later(view: Any, *args: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing.time, "time", lambda: now)
            patch.setattr(caches["default"], "_has_expired", lambda key: False)
            return taken(view, *args)

    return later


@pytest.mark.parametrize(
    "made_up",
    ["", "x", "a:b:c", None, 5, ["x"], {"a": 1}, "\0", "é" * 50, "x" * 100_000],
)
async def test_a_ticket_that_is_none(browser: Browser, made_up: Any) -> None:
    await refused(await browser.redeem(made_up))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"5", b"{", b"\xff", b"[" * 100_000, b'{"other": 1}'],
)
async def test_a_body_that_holds_none(browser: Browser, body: bytes) -> None:
    json_type = {"content-type": "application/json"}
    await refused(await browser.redeem("", json=None, content=body, headers=json_type))


async def test_a_signed_value_of_another_kind(browser: Browser) -> None:
    await refused(await browser.redeem(signing.dumps(["a", "b"])))


async def test_it_may_come_in_a_form(browser: Browser) -> None:
    async with browser.socket() as peer:
        form = {"ticket": await ticket(peer)}
        assert (await browser.redeem("", json=None, data=form)).status_code == 204


async def test_it_is_not_taken_from_a_url(browser: Browser) -> None:
    async with browser.socket() as peer:
        one = await ticket(peer)
        await refused(await browser.redeem("", json={}, url=f"{URL}?ticket={one}"))
        assert (await browser.http.get(f"{URL}?ticket={one}")).status_code == 405
        assert (await browser.redeem(one)).status_code == 204


# --- whose it is ---------------------------------------------------------------------------------


async def test_another_browser_gets_nothing_and_spoils_nothing(
    browser: Browser, server: ServerThread
) -> None:
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        one = await ticket(peer)
        thief = Browser(server)
        stranger = Browser(server, "Other/2.0")
        stranger.http.cookies.update(browser.http.cookies)
        stranger.token = browser.token
        async with thief.http, stranger.http:
            await thief.visit()
            await refused(await thief.redeem(one))
            await refused(await stranger.redeem(one))
        assert (await browser.redeem(one)).status_code == 204


async def test_another_host_gets_nothing(browser: Browser) -> None:
    async with browser.socket() as peer:
        one = await ticket(peer)
        host = {"host": "localhost", "origin": "http://localhost"}
        await refused(await browser.redeem(one, headers=host))


async def test_a_handshake_without_a_csrf_cookie(server: ServerThread) -> None:
    """The browser has got one since."""
    fresh = Browser(server)
    async with fresh.http, fresh.socket() as peer:
        one = await ticket(peer)
        await fresh.visit()
        assert (await fresh.redeem(one)).status_code == 204


@pytest.mark.parametrize("url", [URL, "/cookies/exempt-hand-over/"])
@pytest.mark.parametrize("middleware", [True, False])
async def test_without_a_csrf_token_nothing_is_handed_over(
    browser: Browser, settings: Settings, url: str, middleware: bool
) -> None:
    """Another site could log its visitor in as somebody else."""
    if not middleware:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        one = await ticket(peer)
        for headers in ({"x-csrftoken": ""}, {"origin": "http://evil.example"}):
            answer = await browser.redeem(one, headers=headers, url=url)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert (await browser.redeem(one, url=url)).status_code == 204


async def test_over_a_socket_without_an_origin_csrf_is_enforced(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request(URL, method="POST"))["status"] == 403


async def test_a_ticket_is_not_redeemed_over_a_socket(browser: Browser) -> None:
    """A frame can't set a cookie: whoever posts there gets another ticket."""
    async with browser.socket() as peer:
        one = await ticket(peer)
        answer = await peer.request(URL, method="POST", data={"ticket": one})
        assert answer["data"]["ticket"] != one
        assert "cookies" not in answer
        assert (await peer.request(URL))["status"] == 405


# --- middleware of the HTTP request --------------------------------------------------------------


async def test_an_old_session_of_the_browsers_gives_way(
    browser: Browser, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    await browser.http.get("/count/")
    old = browser.http.cookies["sessionid"]
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        handed = await browser.redeem(await ticket(peer))
        names = [line.split("=")[0] for line in handed.headers.get_list("set-cookie")]
        assert sorted(names) == ["csrftoken", "sessionid"]
        assert browser.http.cookies["sessionid"] != old
        assert await browser.user() == "ada"


async def test_a_login_is_not_asked_for(browser: Browser, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    async with browser.socket() as peer:
        assert (await browser.redeem(await ticket(peer))).status_code == 204


async def test_another_cookie_of_a_middleware_goes_along(
    browser: Browser, settings: Settings
) -> None:
    settings.MIDDLEWARE = ["tests.identity.test_handover.set_visited", *settings.MIDDLEWARE]
    async with browser.socket() as peer:
        await peer.request("/log-in/", **ADA)
        handed = await browser.redeem(await ticket(peer))
    cookies: SimpleCookie = SimpleCookie()
    for line in handed.headers.get_list("set-cookie"):
        cookies.load(line)
    assert sorted(cookies) == ["csrftoken", "sessionid", "visited"]


def set_visited(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        response: HttpResponse = get_response(request)
        response.set_cookie("visited", "1")
        return response

    return middleware
