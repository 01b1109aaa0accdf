"""The tree of errors: what its docstring shows is what is there, and each says what a peer may read."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from wsrequest import errors
from wsrequest.errors import (
    ConfigurationError,
    DuplicateId,
    ExchangeError,
    GoingAway,
    HandshakeRefused,
    HookRefused,
    InvalidField,
    MessageError,
    MessageTooLarge,
    RateLimited,
    StreamTooLong,
    TooDeep,
    TooManyKeys,
    WSRequestError,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, WSRequestError) and not kind.__name__.startswith("_")
]

#: How to make those that need something; the others take nothing.
MADE = {
    InvalidField: lambda: InvalidField("url", "it is wrong", 5),
    TooDeep: lambda: TooDeep(64, 5),
    TooManyKeys: lambda: TooManyKeys(10, 5),
    MessageTooLarge: lambda: MessageTooLarge(100),
    DuplicateId: lambda: DuplicateId("a"),
    StreamTooLong: lambda: StreamTooLong(100),
    RateLimited: lambda: RateLimited(2, 5),
    GoingAway: lambda: GoingAway(3, 5),
    HookRefused: lambda: HookRefused(418),
    ConfigurationError: lambda: ConfigurationError("A key is wrong."),
}


def made(kind):
    return MADE.get(kind, kind)()


def lines_of_the_tree():
    return re.findall(r"[├└]── (\w+) +(.*)", inspect.getdoc(errors))


def test_the_tree_in_the_docstring_is_the_tree():
    assert {name for name, _ in lines_of_the_tree()} | {"WSRequestError"} == {
        kind.__name__ for kind in ALL
    }


@pytest.mark.parametrize(("name", "text"), lines_of_the_tree())
def test_the_numbers_in_the_docstring_are_the_errors_own(name, text):
    kind = getattr(errors, name)
    numbers = re.match(r"(\d{3})(?: / (\d{4}))?  ?", text)
    if numbers:
        assert kind.status == int(numbers[1])
    if numbers and numbers[2]:
        assert kind.close_code == int(numbers[2])


@pytest.mark.parametrize("kind", ALL)
def test_each_is_data_that_can_be_sent(kind):
    error = made(kind)
    assert isinstance(error, WSRequestError)
    assert 400 <= error.status <= 599
    data = json.loads(json.dumps(error.as_data()))
    assert data["error"] == str(error)
    assert data["error"].strip()
    assert re.fullmatch("[a-z_]+", data["code"])
    assert data.keys() - {"error", "code"} == error.facts().keys()


@pytest.mark.parametrize("kind", [kind for kind in ALL if issubclass(kind, HandshakeRefused)])
def test_a_refused_handshake_has_a_close_code(kind):
    assert 4000 <= kind.close_code <= 4299


def test_only_these_end_a_connection():
    ending = {kind for kind in ALL if kind.close_code is not None}
    assert ending == {kind for kind in ALL if issubclass(kind, HandshakeRefused)}


def test_codes_are_unique_among_what_is_sent():
    leaves = [kind for kind in ALL if not kind.__subclasses__()]
    codes = [kind.code for kind in leaves]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", [kind for kind in ALL if issubclass(kind, MessageError)])
def test_a_messages_error_knows_its_id(kind):
    assert made(kind).id == (
        5 if kind in (GoingAway, InvalidField, RateLimited, TooDeep, TooManyKeys) else None
    )


def test_facts():
    assert DuplicateId(3).as_data() == {
        "error": "An exchange with this id has not ended yet; choose another id.",
        "code": "duplicate_id",
        "id": 3,
    }
    assert TooDeep(64).as_data() == {
        "error": "The message is nested deeper than 64 levels.",
        "code": "too_deep",
        "limit": 64,
    }
    assert InvalidField("url", "no").facts() == {"field": "url"}
    assert ConfigurationError("x").problem == "x"
    assert issubclass(errors.Cancelled, ExchangeError)
