"""What is read off a token without a key, and the token among the subprotocols."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrequest.errors import BadToken
from wsrequest.protocol.tokens import TOKEN_ENTRY, expiry, token_among, without_tokens


def base64url(data: bytes, *, padded: bool = False) -> str:
    text = base64.urlsafe_b64encode(data).decode()
    return text if padded else text.rstrip("=")


def token(claims: Any, *, padded: bool = False) -> str:
    return f"head.{base64url(json.dumps(claims).encode(), padded=padded)}.signature"


def raw(payload: bytes) -> str:
    return f"head.{base64url(payload)}.signature"


# --- expiry --------------------------------------------------------------------------------------


@pytest.mark.parametrize("exp", [0, 1, -5, 1_700_000_000, 1_700_000_000.25, 10**15])
@pytest.mark.parametrize("padded", [False, True])
def test_a_jwt_says_when_it_expires(exp: float, padded: bool) -> None:
    assert expiry(token({"sub": "7", "exp": exp, "more": [{"exp": 3}]}, padded=padded)) == exp


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "a.b",
        "..",
        "a.b.c.d",
        token({}),
        token({"exp": None}),
        token({"exp": "1700000000"}),
        token({"exp": True}),
        token({"exp": [1]}),
        token([1]),
        token("exp"),
        raw(b"not json"),
        raw(b'{"exp": 1e400}'),
        raw(b'{"exp": NaN}'),
        raw(b'{"exp": 1' + b"0" * 400 + b"}"),
        raw(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "exp": 1}'),
        "head.not base64!.signature",
        "head.é.signature",
        "head.a.signature",
    ],
)
def test_anything_else_says_nothing(text: str) -> None:
    assert expiry(text) is None


@given(st.text() | st.binary().map(raw) | st.lists(st.text()).map(".".join))
def test_no_text_is_too_strange(text: str) -> None:
    assert expiry(text) is None or isinstance(expiry(text), float)


# --- the token among the subprotocols ------------------------------------------------------------


def entry(text: str, *, padded: bool = False) -> str:
    return TOKEN_ENTRY + base64url(text.encode(), padded=padded)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_the_entry_holds_the_token(text: str) -> None:
    if text.isprintable():
        assert token_among(("wsrequest.v1.json", entry(text))) == text
        assert token_among((entry(text, padded=True), "wsrequest.v1.json")) == text


def test_no_entry_is_no_token() -> None:
    assert token_among(()) is None
    assert token_among(("wsrequest.v1.json", "wsrequest.token", "chat")) is None


def test_the_first_of_several_counts() -> None:
    assert token_among((entry("one"), entry("two"))) == "one"


@pytest.mark.parametrize(
    "text",
    [
        TOKEN_ENTRY,
        f"{TOKEN_ENTRY}a",
        f"{TOKEN_ENTRY}!!!!",
        f"{TOKEN_ENTRY}é",
        TOKEN_ENTRY + base64url(b"\xff\xfe"),
        entry("a\r\nX-Admin: yes"),
        entry("a\x00b"),
        entry("\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")),
    ],
)
def test_an_entry_that_holds_none_is_refused(text: str) -> None:
    with pytest.raises(BadToken) as caught:
        token_among(("wsrequest.v1.json", text))
    assert (caught.value.status, caught.value.close_code) == (400, 4000)


@pytest.mark.parametrize(
    ("header", "left"),
    [
        ("a, b", "a, b"),
        (f"{TOKEN_ENTRY}YWJj", ""),
        (f"{TOKEN_ENTRY}YWJj,a ,{TOKEN_ENTRY}ZGVm, b", "a, b"),
        ("", ""),
    ],
)
def test_what_a_header_offers_besides_tokens(header: str, left: str) -> None:
    assert without_tokens(header) == left
