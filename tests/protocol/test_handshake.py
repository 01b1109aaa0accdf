"""Opening a connection: headers, the choice of a subprotocol, and Django's own rule about origins."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory, override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from wsrequest.errors import NoCommonVersion, OriginRefused
from wsrequest.protocol.handshake import Handshake, check_origin, choose_subprotocol


def test_headers_are_found_by_name_and_repeated_ones_joined():
    handshake = Handshake(
        "/ws/",
        (
            (b"host", b"h"),
            (b"origin", b"https://a"),
            (b"cookie", b"a=b"),
            (b"origin", b"\xfc"),
            (b"cookie", b"c=d"),
        ),
    )
    assert handshake.header(b"host") == "h"
    assert handshake.header(b"origin") == "https://a,ü"
    assert handshake.header(b"cookie") == "a=b; c=d"
    assert handshake.header(b"upgrade") is None


SPOKEN = ("wsrequest.v1.json", "wsrequest.v2.json")


def test_a_client_that_offers_none_gets_none():
    assert choose_subprotocol((), SPOKEN) is None


@given(st.lists(st.sampled_from([*SPOKEN, "graphql-ws", "wsrequest.token.abc"]), min_size=1))
def test_the_first_offered_that_is_spoken_is_chosen(offered):
    known = [name for name in offered if name in SPOKEN]
    if known:
        assert choose_subprotocol(offered, iter(SPOKEN)) == known[0]
    else:
        with pytest.raises(NoCommonVersion) as refusal:
            choose_subprotocol(offered, SPOKEN)
        assert (refusal.value.status, refusal.value.close_code) == (400, 4001)


hosts = st.sampled_from(
    [
        "example.com",
        "a.example.com",
        "a.b.example.com",
        "xexample.com",
        "EXAMPLE.com",
        ".example.com",
        "example.com.",
        "*.example.com",
        "evil.com",
        "localhost",
        "[::1]",
        "[",
        "",
        "a@example.com",
    ]
)
ports = st.sampled_from(["", ":443", ":80", ":8443", ":"])
schemes = st.sampled_from(["http", "https", "HTTPS", "ws", "null", ""])
origins = st.builds("{}://{}{}".format, schemes, hosts, ports) | st.sampled_from(
    ["null", "", "https://example.com/", "https://example.com/a", "https:example.com", "a,b", "://"]
)
trusted_lists = st.lists(
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https", "HTTPS"]),
        st.sampled_from(
            [
                "example.com",
                "*.example.com",
                "*.Example.com",
                "*",
                "a.example.com",
                "*example.com",
                "**.example.com",
                "example.*",
                "*.",
                "*.com",
            ]
        ),
        ports,
    ),
    max_size=3,
)


@given(origin=origins, trusted=trusted_lists, host=st.sampled_from(["example.com", "h:8443"]))
@example(origin="https://h:8443", trusted=[], host="h:8443")
@example(origin="https://example.com", trusted=["https://example.com"], host="h:8443")
@example(origin="https://[", trusted=["https://*.example.com"], host="h:8443")
@example(origin="https://a.example.com", trusted=["https://*.Example.com"], host="h:8443")
@example(origin="https://*", trusted=["https://*"], host="h:8443")
@example(origin="https://", trusted=["https://*"], host="h:8443")
def test_an_origin_is_verified_as_django_verifies_it(origin, trusted, host):
    with override_settings(CSRF_TRUSTED_ORIGINS=trusted, ALLOWED_HOSTS=["*"]):
        request = RequestFactory().get("/", secure=True, HTTP_HOST=host, HTTP_ORIGIN=origin)
        verified = CsrfViewMiddleware(lambda request: HttpResponse())._origin_verified(request)
    if verified:
        assert check_origin(origin, f"https://{host}", trusted)
    else:
        with pytest.raises(OriginRefused) as refusal:
            check_origin(origin, f"https://{host}", trusted)
        assert (refusal.value.status, refusal.value.close_code) == (403, 4003)


@pytest.mark.parametrize(
    "origin", ["https://h:8443", "https://a.example.com", "https://example.com", "http://plain.org"]
)
def test_an_origin_that_is_ones_own_or_trusted_passes(origin):
    assert check_origin(origin, "https://h:8443", ["https://*.Example.com", "http://plain.org"])


@pytest.mark.parametrize(
    "origin",
    ["https://[", "http://a.example.com", "https://aexample.com", "https://plain.org", "null"],
)
def test_any_other_is_refused(origin):
    trusted = ["http://plain.org", "https://*.example.com", "https://*"]
    with pytest.raises(OriginRefused):
        check_origin(origin, "https://h:8443", trusted)


def test_a_client_without_an_origin_is_not_verified_and_not_refused():
    assert check_origin(None, "https://example.com", ["https://*.example.com"]) is False
