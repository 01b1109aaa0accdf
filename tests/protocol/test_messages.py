"""The rules for a single request: url, method, token, headers."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.support import CODEC, decoded, refusal, request
from wsrequest.errors import InvalidField, MissingURL
from wsrequest.protocol.codec import Limits
from wsrequest.protocol.messages import (
    DENIED_HEADERS,
    DENIED_PREFIXES,
    HeaderRules,
    Request,
    Since,
    checked,
)

PROXY = Limits(header_rules=HeaderRules(frozenset({"x-proxy-user"})))


def refused(limits=PROXY, **fields):
    return refusal(json.dumps({"id": 1, "url": "/", **fields}), limits)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/a/?b=c&d",
        "/ü/?ü",
        "/%2Fhost",
        "/a//b",
        "/a:b",
        "a/b",
        "?a",
        "/ /",
        "/\u2028",
        "/#x",
        "/../..",
        "/\\",
        "./a:b",
        "1:2",
    ],
)
def test_a_url_stays_as_it_was_sent(url):
    assert request(url=url).url == url


@pytest.mark.parametrize(
    "url", ["//host/path", "//", "///", "http://host/", "HTTPS:/x", "javascript:0", "a+.-1:b", "x:"]
)
def test_a_url_with_scheme_or_domain_is_refused(url):
    error = refused(url=url)
    assert type(error) is InvalidField
    assert (error.field, error.id) == ("url", 1)


@pytest.mark.parametrize("code", [*range(0x20), 0x7F])
def test_a_url_with_a_control_character_is_refused(code):
    error = refused(url=f"/a{chr(code)}b")
    assert (error.field, str(error)) == ("url", "Invalid url: percent-encode control characters")


def test_a_request_without_a_url_is_refused_by_checked_too():
    with pytest.raises(MissingURL):
        checked(Request(id=1), HeaderRules())


@pytest.mark.parametrize("method", ["GET", "get", "Trace", "propfind", "X"])
def test_methods_are_letters_in_any_case(method):
    assert request(method=method).method == method.upper()


def test_get_is_the_default():
    assert request().method == "GET"


@pytest.mark.parametrize(
    "method", ["", " ", "GET ", "M-SEARCH", "G3T", "GÉT", "\u017f", "GET\n", "*"]
)
def test_any_other_method_is_refused(method):
    assert (refused(method=method).field, refused(method=method).id) == ("method", 1)


@pytest.mark.parametrize("method", ["SUBSCRIBE", "subscribe"])
@pytest.mark.parametrize("id", [1, "a"])
def test_subscribe(method, id):
    message = request(method=method, id=id, since={"epoch": "e", "offset": 7}, presence=True)
    assert (message.method, message.id) == ("SUBSCRIBE", id)
    assert (message.since, message.presence) == (Since("e", 7), True)
    assert (request(method=method, id=id).since, request(method=method, id=id).presence) == (
        None,
        False,
    )


def test_subscribe_needs_an_id():
    error = refusal('{"method": "SUBSCRIBE", "url": "/"}', PROXY)
    assert (error.field, error.id) == ("id", None)
    assert str(error) == "Invalid id: SUBSCRIBE needs one"
    assert request(method="GET").id is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("since", 7),
        ("since", {"epoch": "e"}),
        ("since", {"offset": 7}),
        ("since", {"epoch": None, "offset": 7}),
        ("since", {"epoch": "e" * 65, "offset": 7}),
        ("since", {"epoch": "e", "offset": -1}),
        ("since", {"epoch": "e", "offset": 2**53}),
        ("since", {"epoch": "e", "offset": "7"}),
        ("presence", 1),
        ("live", "yes"),
    ],
)
def test_what_is_said_of_a_subscription_is_of_its_type(field, value):
    error = refused(method="SUBSCRIBE", **{field: value})
    assert type(error) is InvalidField
    assert (error.field, error.id) == (field, 1)


@pytest.mark.parametrize("offset", [0, 2**53 - 1])
def test_since_at_its_limits(offset):
    since = {"epoch": "e" * 64, "offset": offset, "colour": "red"}
    assert request(method="SUBSCRIBE", id=1, since=since).since == Since("e" * 64, offset)


# --- headers ------------------------------------------------------------------------------------------


def test_names_are_lower_case_and_repeated_values_are_joined():
    headers = {"Accept": "a", "X-B": "", "ACCEPT": "b", "accept": "c"}
    assert request(headers=headers).headers == {"accept": "a, b, c", "x-b": ""}
    assert request(headers={}).headers == {}


@pytest.mark.parametrize(
    "name",
    sorted(DENIED_HEADERS) + [f"{prefix}for" for prefix in DENIED_PREFIXES] + ["x-proxy-user"],
)
@pytest.mark.parametrize("change", [str.lower, str.title, str.upper], ids=lambda f: f.__name__)
def test_what_belongs_to_the_connection_is_refused(name, change):
    error = refused(headers={"x-a": "b", change(name): "c"})
    assert (error.field, error.id) == ("headers", 1)
    assert change(name) in str(error)


def test_the_projects_own_names_are_denied_in_that_project_only():
    assert request(headers={"x-proxy-user": "me"}).headers == {"x-proxy-user": "me"}


@pytest.mark.parametrize(
    "name",
    [
        "Referer",
        "If-None-Match",
        "Range",
        "Accept-Encoding",
        "X-CSRFToken",
        "Authorization",
        "X-Forward",
        "Real-IP",
        "Hosts",
        "Cookies",
        "Content-Type",
        "X!#$%&'*+.^`|~-1",
    ],
)
def test_any_other_name_is_taken(name):
    assert request(headers={name: "é"}).headers == {name.lower(): "é"}


@pytest.mark.parametrize(
    "name", ["", " ", "a_b", "a b", "a:", "é", "a\r\nb", "a\0", "(", "x" * 99 + "@"]
)
def test_what_is_no_header_name_is_refused_and_named(name):
    error = refused(headers={name: "b"})
    assert str(error).startswith(f"Invalid headers: {name[:64]!r} is not a header name")


def test_a_name_that_only_looks_like_another_is_no_way_round():
    """The Kelvin sign's lower case is an ASCII k."""
    assert refused(headers={"coo\u212aie": "a=b"}).field == "headers"


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n", "a\r\nSet-Cookie: b=c"])
def test_no_value_ends_its_line(value):
    assert (refused(headers={"x-a": value}).field, refused(token=value).field) == (
        "headers",
        "token",
    )


@pytest.mark.parametrize("value", ["", "\t", "a\tb", "ü\u2028", "\x7f", "\U0001f600"])
def test_other_characters_pass(value):
    assert request(headers={"x-a": value}).headers == {"x-a": value}


def test_token_and_authorization_exclude_each_other():
    assert refused(token="t", headers={"Authorization": "Basic x"}).field == "token"
    assert request(token="t", headers={"x-a": "b"}).token == "t"
    assert request(headers={"Authorization": "Basic x"}).headers == {"authorization": "Basic x"}


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
def test_whatever_is_let_through_is_harmless(headers):
    [message] = decoded(json.dumps({"url": "/", "headers": headers}), PROXY)
    if not isinstance(message, Request):
        assert message.status == 400
        return
    for name, value in message.headers.items():
        assert re.fullmatch(r"[!-~]+", name)
        assert name == name.lower()
        assert "_" not in name
        assert not set(value) & set("\0\r\n")
        assert name not in DENIED_HEADERS | {"x-proxy-user"}
        assert not name.startswith(DENIED_PREFIXES)


def test_a_checked_request_stays_as_it_is():
    message = request(method="put", headers={"X-A": "b"}, url="/a", token="t", id=1)
    before = json.loads(CODEC.encode(message))
    assert checked(message, HeaderRules()) is message
    assert json.loads(CODEC.encode(message)) == before
