"""Several tokens at once: the nearest to the request counts. A cookie stands beside them all."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.identity.conftest import Configure
from tests.identity.ways import opened, replace_token, token_entry
from tests.support.client import SUBPROTOCOL, Peer, connect
from tests.support.server import ServerProcess

PASSWORD = {"username": "ada", "password": "secret"}


async def authorization(peer: Peer, **message: Any) -> str | None:
    answer: str | None = (await peer.request("/who/", **message))["data"]["authorization"]
    return answer


async def test_the_order(packages: ServerProcess) -> None:
    async with opened(packages, handshake="a", subprotocol="b") as peer:
        assert await authorization(peer) == "JWT b"
        await replace_token(peer, "c")
        assert await authorization(peer) == "JWT c"
        assert await authorization(peer, token="d") == "JWT d"
        header = {"authorization": "Other e"}
        assert await authorization(peer, headers=header) == "Other e"
        both = await peer.request("/who/", token="d", headers=header)
        assert (both["status"], both["data"]["field"]) == (400, "token")
        # What a message brought was its own.
        assert await authorization(peer) == "JWT c"


async def test_a_handshake_without_an_entry(packages: ServerProcess) -> None:
    async with opened(packages, handshake="a") as peer:
        assert await authorization(peer) == "JWT a"
        await replace_token(peer, "b")
        assert await authorization(peer) == "JWT b"


@pytest.mark.parametrize("tokens", [{"handshake": "a"}, {"subprotocol": "a"}, {}])
async def test_null_empties_the_slot_whoever_filled_it(
    packages: ServerProcess, tokens: dict[str, str]
) -> None:
    async with opened(packages, **tokens) as peer:
        await replace_token(peer, "b")
        await replace_token(peer, None)
        assert await authorization(peer) is None
        assert await authorization(peer, token="c") == "JWT c"
        await replace_token(peer, "d")
        assert await authorization(peer) == "JWT d"


async def test_the_scheme_of_a_handshake_header_is_its_own(packages: ServerProcess) -> None:
    async with connect(packages.ws, headers={"Authorization": "Basic YTpi"}) as peer:
        assert await authorization(peer) == "Basic YTpi"


async def test_a_request_bears_what_held_when_it_arrived(packages: ServerProcess) -> None:
    async with opened(packages, handshake="a") as peer:
        await peer.send(
            {"id": 1, "url": "/who/"},
            {"id": 2, "auth": "b"},
            {"id": 3, "url": "/who/"},
            {"id": 4, "auth": None},
            {"id": 5, "url": "/who/"},
        )
        borne = [(await peer.answer(each))["data"]["authorization"] for each in (1, 3, 5)]
        assert borne == ["JWT a", "JWT b", None]


async def test_a_token_does_not_take_the_cookie_away(
    packages: ServerProcess, configure: Configure
) -> None:
    """Each authentication class looks for its own; so it is over HTTP."""
    await configure(TOKEN_SCHEME="Key")
    async with opened(packages) as peer:
        await peer.request("/log-in/", method="POST", data=PASSWORD)
        await replace_token(peer, "bob")
        assert (await peer.request("/who/"))["data"]["user"] == "bob"
        assert (await peer.request("/who/async/"))["data"]["user"] == "ada"
        await replace_token(peer, None)
        assert (await peer.request("/who/"))["data"]["user"] == "ada"


async def test_a_seed_connection_has_a_slot_too(packages: ServerProcess) -> None:
    async with connect(packages.ws, seed=True, headers={"Authorization": "JWT a"}) as peer:
        assert (await peer.plain("/who/"))["data"]["authorization"] == "JWT a"
        assert (await peer.plain("/who/", token="b"))["data"]["authorization"] == "JWT b"
        await replace_token(peer, "c")
        assert (await peer.plain("/who/"))["data"]["authorization"] == "JWT c"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"auth": "b"}, "id"),
        ({"id": 2, "auth": "b\r\nX-Admin: yes"}, "auth"),
        ({"id": 2, "auth": "b\0"}, "auth"),
        ({"id": 2, "auth": 5}, "auth"),
        ({"id": 2, "auth": ["b"]}, "auth"),
        ({"id": 0, "auth": "b"}, "id"),
    ],
)
async def test_an_auth_that_is_refused_changes_nothing(
    packages: ServerProcess, message: dict[str, Any], field: str
) -> None:
    async with opened(packages, handshake="a") as peer:
        await peer.send(message)
        answer = await peer.next()
        assert (answer["status"], answer["data"]["field"]) == (400, field)
        assert await authorization(peer) == "JWT a"


async def test_the_id_of_an_auth_must_be_free(packages: ServerProcess) -> None:
    async with opened(packages) as peer:
        await peer.send({"id": 1, "url": "/who/"}, {"id": 1, "auth": "b"})
        refusal = await peer.first(lambda message: message.get("id") is None)
        assert (refusal["status"], refusal["data"]["id"]) == (409, 1)
        assert (await peer.answer(1))["data"]["authorization"] is None
        assert await authorization(peer) is None


async def test_a_token_entry_is_no_subprotocol(packages: ServerProcess) -> None:
    """It is never chosen, nor named back to the client."""
    offered = [token_entry("a"), SUBPROTOCOL]
    async with connect(packages.ws, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == SUBPROTOCOL
        assert await authorization(peer) == "JWT a"
    offered = [token_entry("a"), "wsrequest.v9.json"]
    async with connect(packages.ws, seed=True, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == "wsrequest.v9.json"
        assert await peer.close_code() == 4001
    async with connect(packages.ws, seed=True, subprotocols=[token_entry("a")]) as peer:
        assert peer.socket.subprotocol is None
        assert await peer.close_code() == 4001


async def test_an_entry_that_holds_no_token(packages: ServerProcess) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(packages.ws, subprotocols=[SUBPROTOCOL, "wsrequest.token.a"]):
            pass
    assert caught.value.response.status_code == 400
