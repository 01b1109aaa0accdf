"""A connection's jar sends what a browser would have sent."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.http import HttpResponse
from django.http.cookie import parse_cookie
from hypothesis import given
from hypothesis import strategies as st

from wsrequest.lifecycle.cookies import MOST_SET, CookieJar, public_cookies
from wsrequest.lifecycle.websocket import WebSocket

PAST = datetime.now(UTC) - timedelta(days=1)


def sent(jar, url="/", *, secure=False):
    return parse_cookie(jar.header_for(url, secure=secure))


def answer(jar, *cookies, **attributes):
    """A response that sets these names to "new"; attributes are as Django's."""
    response = HttpResponse()
    for name in cookies:
        response.set_cookie(name, "new", **attributes)
    jar.update(response.cookies)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "a=b",
        "a=b; c=d",
        "a=b;c=d",
        " a = b ;",
        "a=b=c",
        "a=",
        "=b",
        "b",
        ";;",
        "a=1; a=2",
        'a="x y"',
        "a=ü",
        "a=b; Path=/x",
        "=",
    ],
)
def test_the_handshakes_cookies_are_understood_as_django_understands_them(header):
    assert sent(CookieJar(header)) == parse_cookie(header)


@given(st.text(st.sampled_from("ab=; \"'\\\xfc"), max_size=12))
def test_so_is_any_header(header):
    assert sent(CookieJar(header), "/x?y", secure=True) == parse_cookie(header)


def test_a_response_adds_and_replaces():
    jar = CookieJar("a=old; b=old")
    answer(jar, "a", "c")
    assert sent(jar) == {"a": "new", "b": "old", "c": "new"}


def test_a_response_replaces_the_handshakes_cookie_whatever_its_path():
    jar = CookieJar("a=old")
    answer(jar, "a", path="/x/")
    assert sent(jar) == {}
    assert sent(jar, "/x/y") == {"a": "new"}


@pytest.mark.parametrize(
    "attributes", [{"max_age": 0}, {"max_age": -5}, {"expires": PAST}, {"max_age": 0, "path": "/"}]
)
def test_a_past_expiry_deletes(attributes):
    jar = CookieJar("a=old")
    answer(jar, "a")
    answer(jar, "a", **attributes)
    assert jar.header_for("/", secure=True) == ""


def test_delete_cookie_deletes():
    jar = CookieJar("sessionid=x; other=y")
    response = HttpResponse()
    response.delete_cookie("sessionid")
    jar.update(response.cookies)
    assert sent(jar) == {"other": "y"}


def test_deletion_at_another_path_leaves_the_cookie():
    jar = CookieJar()
    answer(jar, "a", path="/")
    answer(jar, "a", path="/x", max_age=0)
    assert sent(jar, "/x") == {"a": "new"}


@pytest.mark.parametrize(
    ("cookie_path", "url", "expected"),
    [
        ("/", "/", True),
        ("/", "/a?b", True),
        ("/a", "/a", True),
        ("/a", "/a/", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a", "/", False),
        ("/a/", "/a", False),
        ("/a/", "/a/b", True),
        ("/a", "/a?b=/c", True),
        ("/a", "/a#b", True),
        ("/a", "/?/a", False),
        ("/a/b", "/a?/a/b", False),
        ("", "/a", True),
        ("a", "/b", True),
    ],
)
def test_paths(cookie_path, url, expected):
    jar = CookieJar()
    answer(jar, "c", path=cookie_path)
    assert ("c" in sent(jar, url)) is expected


def test_the_longest_path_goes_first():
    jar = CookieJar("z=1")
    for path in ("/", "/a/b", "/a"):
        response = HttpResponse()
        response.set_cookie("c", path.replace("/", "-"), path=path)
        jar.update(response.cookies)
    assert jar.header_for("/a/b", secure=False) == "c=-a-b; c=-a; c=-; z=1"


def test_secure_cookies_are_for_https():
    jar = CookieJar("a=b")
    answer(jar, "s", secure=True)
    assert sent(jar) == {"a": "b"}
    assert sent(jar, secure=True) == {"a": "b", "s": "new"}


@pytest.mark.parametrize("path", ["/", "/a"])
def test_a_cookie_ends_at_its_time(path, monkeypatch):
    jar = CookieJar("a=b")
    answer(jar, "c", path=path, max_age=60)
    answer(jar, "d", path=path, expires=datetime.now(UTC) + timedelta(seconds=30))
    now = time.time()
    for after, names in ((0, "acd"), (40, "ac"), (70, "a")):
        monkeypatch.setattr(time, "time", lambda after=after: now + after)
        assert set(sent(jar, "/a")) == set(names)


def test_max_age_goes_before_expires():
    jar = CookieJar()
    answer(jar, "a", max_age=60, expires="Thu, 01 Jan 1970 00:00:00 GMT")
    assert sent(jar) == {"a": "new"}


@pytest.mark.parametrize(
    ("attribute", "value", "kept"),
    [
        ("expires", "never", True),
        ("expires", "Mon, 01 Jan 99999 00:00:00 GMT", True),
        ("expires", "Thu, 01-Jan-1970 00:00:00 GMT", False),
        ("expires", "Thu, 01 Jan 1970 00:00:00 -0000", False),
        ("max-age", "9" * 5000, True),
        ("max-age", "-" + "9" * 5000, False),
        ("max-age", "²", True),
        ("max-age", "soon", True),
        ("max-age", 7, True),
        ("path", "no slash", True),
    ],
)
def test_what_a_view_writes_into_an_attribute_never_raises(attribute, value, kept):
    jar = CookieJar()
    response = HttpResponse()
    response.cookies["a"] = "new"
    response.cookies["a"][attribute] = value
    jar.update(response.cookies)
    assert ("a" in sent(jar)) is kept


def test_values_go_back_as_they_were_written():
    jar = CookieJar()
    response = HttpResponse()
    response.set_cookie("a", 'b;"c" d')
    jar.update(response.cookies)
    assert sent(jar) == {"a": 'b;"c" d'}


def test_a_login_rotates_the_session():
    jar = CookieJar("csrftoken=1; sessionid=old")
    answer(jar, "sessionid", max_age=1209600, httponly=True, samesite="Lax")
    answer(jar, "csrftoken", max_age=31449600)
    assert sent(jar) == {"sessionid": "new", "csrftoken": "new"}


def test_a_deleted_cookie_takes_no_room():
    jar = CookieJar()
    for number in range(50):
        answer(jar, f"n{number}", max_age=0)
    answer(jar, "kept")
    assert jar.header_for("/", secure=False) == "kept=new"
    assert len(jar._cookies) == 1


# --- what the client is told --------------------------------------------------------------------------


def test_attributes_and_values_are_told_but_no_httponly_value():
    response = HttpResponse()
    response.set_cookie("open", "a;b", max_age=10, samesite="Lax", secure=True, domain="d")
    response.set_cookie("closed", "secret", httponly=True)
    response.set_cookie("empty", "")
    told = public_cookies(response.cookies)
    expires = told["open"].pop("expires")
    assert expires.endswith("GMT")
    assert told == {
        "open": {
            "value": "a;b",
            "max-age": 10,
            "samesite": "Lax",
            "secure": True,
            "path": "/",
            "domain": "d",
        },
        "closed": {"path": "/", "httponly": True},
        "empty": {"path": "/", "value": ""},
    }
    assert "secret" not in json.dumps(told)


def test_a_deletion_is_told():
    response = HttpResponse()
    response.delete_cookie("a")
    assert public_cookies(response.cookies)["a"]["max-age"] == 0


def test_what_is_false_is_not_told():
    response = HttpResponse()
    response.cookies["a"] = "b"
    response.cookies["a"]["secure"] = False
    assert public_cookies(response.cookies) == {"a": {"value": "b"}}


def test_half_an_emoji_is_not_told_as_nobody_could_read_it():
    response = HttpResponse()
    response.set_cookie("a", "\ud83d", path="/\ud83d", max_age=5)
    assert set(public_cookies(response.cookies)["a"]) == {"max-age", "expires"}


# --- what was set since the handshake ----------------------------------------------------------------


def told(jar):
    return [morsel.OutputString() for morsel in jar.set_since_handshake()]


def test_the_handshakes_own_are_not_told():
    jar = CookieJar("a=1; sessionid=x")
    assert told(jar) == []
    answer(jar, "b", httponly=True, samesite="Lax", path="/x", domain="example.org", secure=True)
    assert told(jar) == [
        "b=new; Domain=example.org; HttpOnly; Path=/x; SameSite=Lax; Secure",
    ]


def test_the_last_word_is_told_and_a_deletion_is_one():
    jar = CookieJar("a=1")
    answer(jar, "a", "b")
    response = HttpResponse()
    response.set_cookie("b", "newer")
    response.delete_cookie("a")
    jar.update(response.cookies)
    newer, deleted = sorted(told(jar), reverse=True)
    assert newer == "b=newer; Path=/"
    assert deleted.startswith('a=""; expires=Thu, 01 Jan 1970')
    assert "Max-Age=0" in deleted


def test_cookies_of_one_name_are_told_by_path_and_domain():
    jar = CookieJar()
    for attributes in ({}, {"path": "/x"}, {"domain": "example.org"}, {"domain": "EXAMPLE.org"}):
        answer(jar, "a", **attributes)
    assert told(jar) == [
        "a=new; Path=/",
        "a=new; Path=/x",
        "a=new; Domain=EXAMPLE.org; Path=/",
    ]


def test_a_lifetime_is_what_is_left_of_it(monkeypatch):
    jar, now = CookieJar(), time.time()
    response = HttpResponse()
    response.cookies["whole"] = "1"
    response.cookies["whole"]["max-age"] = "100"
    response.cookies["relative"] = "1"
    response.cookies["relative"]["expires"] = 100
    response.cookies["short"] = "1"
    response.cookies["short"]["max-age"] = 5
    response.cookies["odd"] = "1"
    response.cookies["odd"]["max-age"] = "soon"
    jar.update(response.cookies)
    monkeypatch.setattr(time, "time", lambda: now + 60.5)
    whole, relative, short, odd = jar.set_since_handshake()
    assert whole["max-age"] in (39, 40)
    assert relative["expires"] == 40
    assert short["max-age"] == 0
    assert odd["max-age"] == "soon"
    # Asked twice, it says the same.
    assert jar.set_since_handshake()[0]["max-age"] in (39, 40)


def test_no_more_are_remembered_than_a_browser_would():
    jar = CookieJar()
    for number in range(MOST_SET + 1):
        answer(jar, f"c{number}", max_age=0)
    names = [morsel.key for morsel in jar.set_since_handshake()]
    assert (len(names), names[0], names[-1]) == (MOST_SET, "c1", f"c{MOST_SET}")


def test_a_plain_call_has_no_jar():
    assert WebSocket("id", "json", None).cookies_set() == []
