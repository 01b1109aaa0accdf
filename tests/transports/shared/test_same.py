"""What a message is answered is what HTTP answers: a sample of the cases of :mod:`tests.same`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import httpx
import pytest

from tests.same.cases import CASES, Case
from tests.same.compare import CSRF, USER_AGENT, Answer, OverHTTP, OverSocket, Step, by_value
from tests.same.run import assert_as_expected, differences
from tests.transports.shared.carrier import Carrier, Site, Wire
from tests.transports.shared.carriers import CARRIERS
from tests.transports.shared.conftest import Connect
from tests.transports.shared.serving import Serving

PATIENCE = 30

SAMPLE = """
    plain-sync echo-async head-sync unknown-method-sync percent-path query-order headers header-not-ascii 404
    append-slash-query redirect-302 status-204 status-418 not-modified many-headers template-response-async
    json-post json-surrogate json-exact text-charset binary get-with-body form multipart-files
    odd-nan odd-latin-1 odd-surrogate odd-png stream-large astream-language mixed-stream-split file-download
    fail-500 afail-404 cookies login-sync messages database-a api-write api-broken-json language-left-behind etag-same
""".split()

#: Views that tell how the JSON was written that they were sent.
OF_TEXT = {"json-post"}

BY_NAME = {case.name: case for case in CASES}


class OverWire(OverSocket):
    """Over an open connection, from another thread than the one that has it."""

    def __init__(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = Blocking(wire, loop)
        self._arrived = []
        self._csrf = CSRF


class Blocking:
    def __init__(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self._wire = wire
        self._loop = loop

    def send(self, frame: str | bytes) -> None:
        asyncio.run_coroutine_threadsafe(self._wire.send(frame), self._loop).result(PATIENCE)

    def recv(self, timeout: float) -> str | bytes:
        return asyncio.run_coroutine_threadsafe(self._wire.recv(), self._loop).result(timeout)


@pytest.fixture(scope="session")
def over_http(surroundings: dict[str, str]) -> dict[str, list[Answer]]:
    """What HTTP answers to each case, without the port: asked once."""
    server, answers = Serving(CARRIERS["uvicorn"], surroundings), {}
    site = server.site()
    try:
        for name in SAMPLE:
            renew(site)
            with OverHTTP(site.http) as way:
                answers[name] = [placed(answer, site) for answer in run(BY_NAME[name], way)]
    finally:
        server.close()
    return answers


def renew(site: Site) -> None:
    httpx.get(f"{site.http}/renew/", trust_env=False, verify=False)


def run(case: Case, way: Any) -> list[Answer]:
    return [way.send(step) for step in case.steps]


async def over_wire(case: Case, connect: Connect, site: Site) -> list[Answer]:
    headers = {"Cookie": f"csrftoken={CSRF}", "User-Agent": USER_AGENT}
    async with connect(origin=site.http, headers=headers) as peer:
        way = OverWire(peer.socket, asyncio.get_running_loop())
        return await asyncio.to_thread(run, case, way)


def placed(answer: Answer, site: Site) -> Answer:
    """Without the port, which may also be a part of a digest by chance."""
    port = re.compile(rf"(?<![0-9a-f]){site.port}(?![0-9a-f])".encode())
    headers = {
        name: port.sub(b"PORT", value.encode()).decode() for name, value in answer.headers.items()
    }
    return replace(answer, headers=headers, body=port.sub(b"PORT", answer.body))


def wrong(step: Step, one: Answer, other: Answer) -> Iterator[str]:
    if one != other:
        yield f"{step.method} {step.url}"
        yield from differences(one, other)


async def test_messages_are_answered_as_http_is(
    connect: Connect, carrier: Carrier, site: Site, over_http: dict[str, list[Answer]]
) -> None:
    found: dict[str, list[str]] = {}
    async with connect() as helper:
        for name in SAMPLE:
            case = BY_NAME[name]
            await helper.request("/renew/")
            answers = [placed(answer, site) for answer in await over_wire(case, connect, site)]
            same = (lambda answer: answer) if carrier.has("exact") else by_value
            for step, one, other in zip(case.steps, over_http[name], answers, strict=True):
                if lines := [*wrong(step, same(one), same(other))]:
                    found.setdefault(name, []).extend(lines)
            # Texts are HTTP's, which has no streams that could be told from others.
            texts = zip(over_http[name], answers, strict=True)
            expected = [replace(one, streamed=other.streamed) for one, other in texts]
            assert_as_expected(case, expected)
    allowed = set() if carrier.has("exact") else OF_TEXT
    assert found.keys() == allowed, "\n".join(chain.from_iterable(found.values()))
