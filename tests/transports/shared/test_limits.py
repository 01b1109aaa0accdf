"""Too much of anything is answered, or closes the connection."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.client import Peer
from tests.transports.shared.carrier import Carrier, Site
from tests.transports.shared.conftest import Connect
from tests.transports.shared.site.limits import (
    MAX_CONNECTIONS_PER_USER,
    MAX_MESSAGE_BYTES,
    MAX_SUBSCRIPTIONS,
)


@pytest.mark.parametrize("over", [0, 1])
async def test_a_large_message(peer: Peer, over: int) -> None:
    head, tail = '{"id": 1, "method": "POST", "url": "/exempt/", "data": "', '"}'
    body = "x" * (MAX_MESSAGE_BYTES - len(head) - len(tail) + over)
    await peer.send_text(f"{head}{body}{tail}")
    answer = await peer.next()
    assert answer["status"] == (413 if over else 200)
    await peer.still_answers()


BROKEN: list[tuple[str, str]] = [
    ("{", "invalid_message"),
    ('"text"', "invalid_message"),
    ('{"id": 1}', "missing_url"),
    ('{"url": "/hello/", "method": 1}', "invalid_field"),
    ('{"url": "/hello/", "data": ' + "[" * 70 + "]" * 70 + "}", "too_deep"),
]


@pytest.mark.parametrize(("text", "code"), BROKEN, ids=[code for _, code in BROKEN])
async def test_what_is_no_message(peer: Peer, carrier: Carrier, text: str, code: str) -> None:
    if code.startswith("invalid_") and not carrier.has("seed"):
        with pytest.raises(ValueError, match=r"event|Expecting"):  # its client can't say it
            await peer.send_text(text)
    else:
        await peer.send_text(text)
        answer = await peer.next()
        assert (answer["status"], answer["data"]["code"]) == (400, code)
    await peer.still_answers()


async def test_too_many_subscriptions(peer: Peer) -> None:
    statuses: list[Any] = []
    for number in range(1, MAX_SUBSCRIPTIONS + 2):
        answer = await peer.request(f"/log/many-{number}/", id=number, method="SUBSCRIBE")
        statuses.append(answer["status"])
    assert statuses[-1] == 429
    assert 429 not in statuses[:-1]


async def test_too_many_connections_of_a_user(
    connect: Connect, carrier: Carrier, site: Site
) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    login = {"name": "bob", "word": "secret"}  # nobody else does
    async with AsyncExitStack() as stack:
        for number in range(MAX_CONNECTIONS_PER_USER + 1):
            peer = await stack.enter_async_context(connect(origin=site.http))
            message = {"url": "/log-in/", "method": "POST", "data": login, "headers": form}
            await peer.send({"id": 1, **message})
            if number < MAX_CONNECTIONS_PER_USER:
                assert (await peer.answer(1))["data"] == "welcome bob"
        assert await peer.close_code() == (4101 if carrier.has("codes") else 1005)
