"""A plain call honours the key too, in its caller's thread or on his loop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import RequestFactory

from tests.once.caches import WatchedCache
from tests.once.support import BOTH, KEY, REPLAYED
from tests.once.urls import runs
from wsrequest import WebSocketRequest
from wsrequest.lifecycle import once

pytestmark = pytest.mark.django_db(transaction=True)


def text(url: str, **fields: Any) -> str:
    return json.dumps({"method": "POST", "url": url, "key": KEY, **fields})


@pytest.mark.parametrize("prefix", BOTH)
def test_a_plain_call(prefix: str) -> None:
    first = WebSocketRequest(text(f"{prefix}run/x/")).get_response()
    again = WebSocketRequest(text(f"{prefix}run/x/")).get_response()
    assert again.status_code == first.status_code == 201
    assert again.content == first.content == b'{"run": 1}'
    assert dict(again.headers) == {**first.headers, "Idempotency-Replayed": "true"}
    refused = WebSocketRequest(text(f"{prefix}run/x/", data=1)).get_response()
    assert (refused.status_code, json.loads(refused.content)["code"]) == (422, "key_reused")


@pytest.mark.parametrize("prefix", BOTH)
async def test_on_a_loop(prefix: str) -> None:
    for number in range(2):
        response = await WebSocketRequest(text(f"{prefix}run/x/")).aget_response()
        assert (response.content, "Idempotency-Replayed" in response.headers) == (
            b'{"run": 1}',
            number == 1,
        )
    response = await WebSocketRequest(text(f"{prefix}stream/x/", key="s")).aget_response()
    assert b"".join([part async for part in response]) == b"run 2"
    assert once._leaders == {}


def test_a_view_that_raises() -> None:
    for _ in range(2):
        with pytest.raises(SystemExit):
            WebSocketRequest(text("/leave/x/")).get_response()
    assert runs["x"] == 2


def test_whose_key_it_is_is_said_by_what_the_caller_adds() -> None:
    def replayed(**meta: str) -> bool:
        return REPLAYED in WebSocketRequest(text("/run/x/"), meta).get_response().headers

    one = {"HTTP_COOKIE": "sessionid=one"}
    assert [replayed(), replayed(**one), replayed(**one), replayed(REMOTE_ADDR="192.0.2.1")] == [
        False,
        False,
        True,
        False,
    ]


def test_a_factory_of_a_subclass() -> None:
    class Own(WebSocketRequest):
        def get_factory(self) -> RequestFactory:
            return RequestFactory(HTTP_X_OWN="1")

    for number in range(2):
        response = Own(text("/run/x/")).get_response()
        assert (REPLAYED in response.headers) is (number == 1)


def test_the_whole_response_comes_back() -> None:
    for replayed in (False, True):
        response = WebSocketRequest(text("/picture/x/")).get_response()
        assert (REPLAYED in response.headers) is replayed
        assert response.content == b"\x89PNG"
        assert response.reason_phrase == "Painted"
        assert response.headers["Content-Type"] == "image/png"


def test_a_cache_that_is_gone_runs_nothing() -> None:
    WatchedCache.broken.add("add")
    assert WebSocketRequest(text("/run/x/")).get_response().status_code == 500
    assert runs["x"] == 0
