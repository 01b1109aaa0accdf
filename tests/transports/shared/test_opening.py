"""How a connection is opened, and how it is refused."""

from __future__ import annotations

import pytest

from tests.transports.shared.carrier import Carrier, Site
from tests.transports.shared.conftest import Connect


def refused_with(carrier: Carrier, status: int) -> tuple[int | None, int | None]:
    """What a client hears of a refusal with this status: it, or a close code, or neither."""
    if carrier.has("status"):
        return status, None
    return None, 4003 if carrier.has("codes") else 1005


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
async def test_a_foreign_origin(carrier: Carrier, site: Site, origin: str) -> None:
    assert await carrier.refusal(site, origin=origin) == refused_with(carrier, 403)


@pytest.mark.parametrize("origin", [None, "own", "https://trusted.example"])
async def test_a_good_origin(connect: Connect, site: Site, origin: str | None) -> None:
    async with connect(origin=site.http if origin == "own" else origin) as peer:
        await peer.still_answers()


async def test_another_host(carrier: Carrier, site: Site) -> None:
    headers = {"Host": "evil.example"}
    assert await carrier.refusal(site, headers=headers) == refused_with(carrier, 403)


async def test_what_the_handshake_said_holds_for_each_request(
    connect: Connect, carrier: Carrier
) -> None:
    headers = {
        "Accept-Language": "de",
        "Authorization": "JWT ada",
        "Cookie": "one=1; two=2",
        "User-Agent": "a peer",
    }
    async with connect(headers=headers) as peer:
        seen = (await peer.request("/echo/", id=1))["data"]
        assert (seen["meta"].get("HTTP_ACCEPT_LANGUAGE") == "de") is carrier.has("headers")
        assert (seen["cookies"] == {"one": "1", "two": "2"}) is carrier.has("headers")
        assert (seen["meta"].get("HTTP_AUTHORIZATION") == "JWT ada") is carrier.has("headers")
        assert seen["address"] == "127.0.0.1"
        # DRF's authentication, by the handshake's token.
        note = {"slug": f"by-{carrier.name}", "text": "x"}
        written = await peer.request("/api/notes/", id=2, method="POST", data=note)
        assert written["status"] == (201 if carrier.has("headers") else 401)


async def test_without_an_origin_django_checks_for_forgery(connect: Connect, site: Site) -> None:
    login = {"name": "ada", "word": "secret"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with connect() as peer:
        answer = await peer.request("/log-in/", method="POST", data=login, headers=form)
        assert answer["status"] == 403
    async with connect(origin=site.http) as peer:
        answer = await peer.request("/log-in/", method="POST", data=login, headers=form)
        assert answer["data"] == "welcome ada"
        assert (await peer.request("/whoami/"))["data"]["user"] == "ada"
