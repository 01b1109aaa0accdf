"""Run a case over HTTP, then over the socket, and compare step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from tests.project.models import Note
from tests.same.cases import Case
from tests.same.compare import Answer, OverHTTP, OverMsgpack, OverSocket, Step
from tests.support.server import ServerThread


def renew_rows() -> None:
    Session.objects.all().delete()
    Note.objects.all().delete()
    Note.objects.create(slug="first", text="one")
    Note.objects.create(slug="second", text="zwei\u00df")


#: Over each subprotocol.
over_each = pytest.mark.parametrize("over", [OverSocket, OverMsgpack], ids=["json", "msgpack"])


def assert_same(case: Case, server: ServerThread, over: type[OverSocket]) -> list[Answer]:
    """The answers over HTTP, which are those over the socket."""
    socket = over(server.ws, server.http)
    over_http = _run([socket.over_http(step) for step in case.steps], OverHTTP(server.http))
    over_socket = _run(case.steps, socket)
    for step, http, message in zip(case.steps, over_http, over_socket, strict=True):
        one, other = socket.comparable(http), socket.comparable(message)
        if one != other:
            raise AssertionError("\n".join([f"{step.method} {step.url}", *differences(one, other)]))
        http.streamed = message.streamed
    return over_http


def differences(http: Answer, message: Answer) -> Iterator[str]:
    for part in ("status", "headers", "cookies", "body"):
        one, other = getattr(http, part), getattr(message, part)
        if part == "body":
            one, other = _readable(one), _readable(other)
        if isinstance(one, dict) and isinstance(other, dict):
            for key in sorted(one.keys() | other.keys()):
                if one.get(key) != other.get(key):
                    yield f"  {part} {key!r}:\n    HTTP   {one.get(key)}\n    socket {other.get(key)}"
        elif one != other:
            yield f"  {part}:\n    HTTP   {one}\n    socket {other}"


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body[:2000]


def _run(steps: Sequence[Step], way: OverHTTP | OverSocket) -> list[Answer]:
    renew_rows()
    with way:
        return [way.send(step) for step in steps]


def assert_as_expected(case: Case, answers: list[Answer]) -> None:
    """What both ways agree on is what the case says; two equal error pages are no success."""
    for step, answer in zip(case.steps, answers, strict=True):
        assert step.status in (None, answer.status), (
            f"{step.url}: {answer.status} {answer.body[:300]!r}"
        )
        assert step.contains in answer.body.decode(errors="replace"), answer.body[:1000]
        if case.streamed is not None:
            assert answer.streamed is case.streamed
