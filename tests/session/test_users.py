"""Cookies of a connection, and when CSRF is enforced."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from tests.support.client import Peer, connect
from tests.support.server import ServerThread

FORM = {"content-type": "application/x-www-form-urlencoded"}
ADA = {"method": "POST", "headers": FORM, "data": {"name": "ada", "word": "secret"}}


async def user(peer: Peer) -> str:
    return str((await peer.request("/whoami/"))["data"]["user"])


@pytest.mark.parametrize("prefix", ["", "a"])
async def test_a_login_holds_for_the_next_message(server: ServerThread, prefix: str) -> None:
    async with connect(server.ws, origin=server.http) as peer, connect(server.ws) as other:
        answer = await peer.request(f"/{prefix}log-in/", **ADA)
        assert answer["data"] == "welcome ada"
        assert await user(peer) == "ada"
        assert await user(other) == "AnonymousUser"
        await peer.request(f"/{prefix}log-out/")
        assert await user(peer) == "AnonymousUser"


async def test_the_session_key_is_not_told(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        answer = await peer.request("/log-in/", **ADA)
        assert "set-cookie" not in answer["headers"]
        session = answer["cookies"]["sessionid"]
        assert session["httponly"] is True
        assert "value" not in session
        assert answer["cookies"]["csrftoken"]["value"]


async def test_a_login_holds_for_messages_of_the_same_frame_in_order(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        await peer.send(
            {"url": "/log-in/", **ADA},
            {"url": "/whoami/"},
            {"url": "/log-out/"},
            {"url": "/whoami/"},
        )
        answers = [await peer.next() for _ in range(4)]
        assert answers[1]["data"]["user"] == "ada"
        assert answers[3]["data"]["user"] == "AnonymousUser"


async def test_a_message_can_bring_no_cookie(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        refused = await peer.request("/whoami/", headers={"cookie": "sessionid=x"})
        assert refused["status"] == 400
        assert "cookie" in refused["data"]["error"]


async def test_with_a_verified_origin_no_token_is_needed(server: ServerThread) -> None:
    async with connect(server.ws, origin=server.http) as peer:
        assert (await peer.request("/echo/", method="POST", data={}))["status"] == 200


async def test_without_an_origin_csrf_is_enforced(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request("/echo/", method="POST", data={}))["status"] == 403
        assert (await peer.request("/exempt/", method="POST", data={}))["status"] == 200
        token = (await peer.request("/csrf-token/"))["data"]
        right, wrong = {"x-csrftoken": token}, {"x-csrftoken": token[::-1]}
        assert (await peer.request("/echo/", method="POST", data={}, headers=right))[
            "status"
        ] == 200
        assert (await peer.request("/echo/", method="POST", data={}, headers=wrong))[
            "status"
        ] == 403


async def test_a_trusted_origin_counts_as_verified(
    server: ServerThread, settings: Settings
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.trusted.example"]
    async with connect(server.ws, origin="https://www.trusted.example") as peer:
        assert (await peer.request("/echo/", method="POST", data={}))["status"] == 200
