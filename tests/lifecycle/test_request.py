"""The request of a message, where it knows more than an ASGIRequest."""

from __future__ import annotations

import pytest
from django.core.exceptions import DisallowedHost

from wsrequest.conf import get_settings
from wsrequest.lifecycle.opening import verify_opening
from wsrequest.lifecycle.request import RequestFactory, SocketRequest
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.messages import Request


def opened() -> RequestFactory:
    factory = RequestFactory(
        Handshake("/ws/", headers=((b"host", b"testserver:8000"),)), get_settings()
    )
    verify_opening(factory)
    return factory


def request_of(factory: RequestFactory) -> SocketRequest:
    return factory.build(Request(url="/", method="GET"), "", trusted=False)


def test_the_host_that_was_checked_at_the_handshake_holds() -> None:
    assert request_of(opened()).get_host() == "testserver:8000"


@pytest.mark.parametrize("key", ["HTTP_HOST", "SERVER_NAME"])
def test_a_host_that_a_middleware_changed_is_checked_again(key: str) -> None:
    request = request_of(opened())
    if key == "SERVER_NAME":
        del request.META["HTTP_HOST"]
    request.META[key] = "elsewhere.example"
    with pytest.raises(DisallowedHost):
        request.get_host()
    request.META[key] = "localhost"
    assert request.get_host().startswith("localhost")


def test_without_a_handshake_that_was_checked_django_is_asked() -> None:
    factory = RequestFactory(
        Handshake("/ws/", headers=((b"host", b"elsewhere.example"),)), get_settings()
    )
    with pytest.raises(DisallowedHost):
        request_of(factory).get_host()
