"""`manage.py check` says what is wrong before the first message does."""

from __future__ import annotations

import functools
import sys
import types

import pytest
from django.core.checks import Tags, run_checks
from django.db import transaction
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path
from django.views import View

from wsrequest.conf import NAMES


def found(prefix="wsrequest."):
    return [message for message in run_checks() if message.id.startswith(prefix)]


def test_sound_settings_are_passed():
    with override_settings(WSREQUEST={"PATH": "/ws/", "REQUEST_TIMEOUT": None}):
        assert found() == []


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("MAX_MESSAGE_SIZE", "MAX_MESSAGE_BYTES"),
        ("path", "PATH"),
        ("WORKER", "WORKERS"),
        ("TOKENSCHEME", "TOKEN_SCHEME"),
        ("PING_INTERVALL", "PING_INTERVAL"),
    ],
)
def test_e001_names_the_nearest_key(key, nearest):
    with override_settings(WSREQUEST={key: 1}):
        [error] = found()
    assert (error.id, error.level) == ("wsrequest.E001", 40)
    assert error.msg == f"WSREQUEST has no key {key!r}."
    assert error.hint == f"Did you mean {nearest!r}?"


@pytest.mark.parametrize("key", ["", "?", 5, None, "x" * 1000])
def test_e001_names_some_key_for_any_other(key):
    with override_settings(WSREQUEST={key: 1}):
        [error] = found()
    assert error.id == "wsrequest.E001"
    assert any(repr(name) in error.hint for name in NAMES)


def test_e002_says_what_is_wrong_with_a_value():
    with override_settings(WSREQUEST={"WORKERS": 0, "PATH": "ws", "SIZE": 1}):
        messages = {message.msg: message.id for message in found()}
    assert messages == {
        "WSREQUEST['PATH'] must begin with a slash.": "wsrequest.E002",
        "WSREQUEST['WORKERS'] must be an integer greater than 0.": "wsrequest.E002",
        "WSREQUEST has no key 'SIZE'.": "wsrequest.E001",
    }


def test_e002_for_what_is_no_dict():
    with override_settings(WSREQUEST=["PATH"]):
        [error] = found()
    assert (error.id, error.msg) == ("wsrequest.E002", "WSREQUEST must be a dict.")


# --- W001 ---------------------------------------------------------------------------------------------


async def asynchronous(request):
    return HttpResponse()


def synchronous(request):
    return HttpResponse()


@transaction.non_atomic_requests
async def excepted(request):
    return HttpResponse()


@transaction.non_atomic_requests(using="other")
async def excepted_elsewhere(request):
    return HttpResponse()


class ByClass(View):
    async def get(self, request):
        return HttpResponse()


@pytest.fixture
def checked(settings, monkeypatch):
    """The names of the views that W001 is about."""

    def check(*views, atomic=True, **other):
        urls = types.ModuleType("urls_of_a_check")
        inner = [path(f"{number}/", view) for number, view in enumerate(views)]
        urls.urlpatterns = [path("a/", include(inner)), path("plain/", synchronous)]
        monkeypatch.setitem(sys.modules, urls.__name__, urls)
        settings.ROOT_URLCONF = urls.__name__
        monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", atomic)
        messages = [message for message in run_checks(tags=[Tags.urls]) if "W001" in message.id]
        assert all(
            message.level == 30 and "non_atomic_requests" in message.hint for message in messages
        )
        return [message.msg for message in messages]

    return check


def test_w001_names_an_asynchronous_view_under_atomic_requests(checked):
    assert checked(asynchronous, synchronous) == [
        (
            f"{__name__}.asynchronous is asynchronous, and ATOMIC_REQUESTS of database 'default' is on: "
            "Django answers 500."
        )
    ]


def test_w001_is_silent_without_atomic_requests(checked):
    assert checked(asynchronous, atomic=False) == []


def test_w001_is_silent_where_the_view_is_excepted(checked):
    assert checked(excepted, synchronous) == []
    assert len(checked(excepted_elsewhere)) == 1


def test_w001_knows_views_that_are_classes_or_objects(checked):
    assert len(checked(ByClass.as_view())) == 1
    [message] = checked(functools.partial(asynchronous))
    assert "functools.partial" in message


def test_w001_needs_no_urls(checked, settings):
    assert len(checked(asynchronous)) == 1
    del settings.ROOT_URLCONF
    assert [message for message in run_checks() if message.id == "wsrequest.W001"] == []
