"""Settings that can be used and should not be: `manage.py check` says so."""

from __future__ import annotations

import sys
import types

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from wsrequest.contrib.cookies import CookieHandover

SIMPLEJWT = "rest_framework_simplejwt.authentication.JWTAuthentication"
TOKEN = "rest_framework.authentication.TokenAuthentication"
SESSION = "rest_framework.authentication.SessionAuthentication"
DRF_JWT = "rest_framework_jwt.authentication.JSONWebTokenAuthentication"


def said(number, *, deploy=False, **settings):
    """What the check says under these settings: one sentence, or none."""
    with override_settings(**settings):
        messages = run_checks(include_deployment_checks=deploy)
    found = [message for message in messages if message.id == f"wsrequest.W{number:03}"]
    assert all(message.level == 30 for message in found)
    return [message.msg for message in found]


def test_the_test_project_is_safe():
    with override_settings(WSREQUEST={}):
        assert [message.id for message in run_checks() if "wsrequest" in message.id] == []


# --- W004 --------------------------------------------------------------------------------------


def test_w004_any_host():
    [sentence] = said(4, ALLOWED_HOSTS=["example.org", "*"])
    assert "DNS rebinding" in sentence
    assert said(4, ALLOWED_HOSTS=["*"], DEBUG=True) == []
    assert said(4, ALLOWED_HOSTS=["example.org", ".example.org"]) == []
    assert said(4, ALLOWED_HOSTS=[]) == []


# --- W005 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry", ["https://*", "https://*.", "http://*:8000", "https://*.com", "https://*.com:8443"]
)
def test_w005_a_wildcard_without_a_domain(entry):
    [sentence] = said(5, CSRF_TRUSTED_ORIGINS=["https://example.org", entry])
    assert repr(entry) in sentence


@pytest.mark.parametrize(
    "entry",
    [
        "https://*.example.org",
        "https://*.example.org:8443",
        "http://*.localhost",
        "https://example.org",
        "https://intranet",
    ],
)
def test_w005_is_silent_where_there_is_one(entry):
    assert said(5, CSRF_TRUSTED_ORIGINS=[entry]) == []


# --- W006 --------------------------------------------------------------------------------------


def test_w006_names_the_limits_that_are_off():
    [sentence] = said(6, WSREQUEST={"MAX_DEPTH": None, "MAX_CONNECTIONS": None, "WORKERS": 2})
    assert "MAX_DEPTH, MAX_CONNECTIONS. " in sentence


@pytest.mark.parametrize(
    "settings",
    [
        {"WSREQUEST": {"MAX_DEPTH": 10**9}},
        {"WSREQUEST": {"REQUEST_TIMEOUT": None, "IDLE_ANONYMOUS_TIMEOUT": None, "HANDSHAKE": None}},
        {"WSREQUEST": {"MAX_DEPTH": None, "WORKERS": "wrong"}},  # E002 has the word
    ],
)
def test_w006_is_silent_where_none_is(settings):
    assert said(6, **settings) == []


# --- W007 --------------------------------------------------------------------------------------


def authentication(*classes, **wsrequest):
    return {
        "REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": classes},
        "WSREQUEST": wsrequest,
    }


@pytest.mark.parametrize(
    ("kind", "scheme"), [(SIMPLEJWT, "Bearer"), (TOKEN, "Token"), (DRF_JWT, "Bearer")]
)
def test_w007_a_scheme_that_nobody_listens_to(kind, scheme):
    [sentence] = said(7, **authentication(kind))
    assert f"is 'JWT', and the project's authentication classes listen to {scheme!r}" in sentence
    assert said(7, **authentication(kind, TOKEN_SCHEME=scheme)) == []
    assert said(7, **authentication(kind, TOKEN_SCHEME="Other")) != []


def test_w007_simplejwt_is_exact_and_the_others_are_not():
    assert said(7, **authentication(SIMPLEJWT, TOKEN_SCHEME="bearer")) != []
    assert said(7, **authentication(TOKEN, TOKEN_SCHEME="token")) == []
    assert said(7, **authentication(DRF_JWT, TOKEN_SCHEME="BEARER")) == []


def test_w007_one_of_several_is_enough():
    classes = (SESSION, TOKEN, SIMPLEJWT)
    for scheme in ("Token", "Bearer"):
        assert said(7, **authentication(*classes, TOKEN_SCHEME=scheme)) == []
    [sentence] = said(7, **authentication(*classes))
    assert "'Token' or 'Bearer'" in sentence


def test_w007_knows_the_packages_settings():
    jwt = {"SIMPLE_JWT": {"AUTH_HEADER_TYPES": ("JWT", "Bearer")}}
    assert said(7, **authentication(SIMPLEJWT), **jwt) == []


def test_w007_is_silent_where_nothing_is_known():
    assert said(7, **authentication(SESSION)) == []
    assert said(7, **authentication(TOKEN, TOKEN_SCHEME=5)) == []


def test_w007_knows_an_installed_package_without_rest_frameworks_default(settings):
    installed = [*settings.INSTALLED_APPS, "rest_framework_simplejwt"]
    [sentence] = said(7, INSTALLED_APPS=installed, WSREQUEST={})
    assert "'Bearer'" in sentence
    without = [
        name for name in settings.INSTALLED_APPS if name not in ("rest_framework", "tests.project")
    ]
    with override_settings(ROOT_URLCONF="tests.lifecycle.other_urls"):
        assert said(7, INSTALLED_APPS=without) == []


# --- W008 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"MAX_CONNECTIONS": 10, "MAX_CONNECTIONS_PER_USER": 11}, "PER_USER (11) is never reached"),
        ({"MAX_CONNECTIONS": 10, "MAX_CONNECTIONS_PER_ADDRESS": 11}, "PER_ADDRESS (11) is never"),
        ({"MESSAGES_PER_SECOND": None, "MESSAGE_BURST": 10}, "MESSAGE_BURST means nothing"),
        ({"MESSAGE_BURST": 31}, "have 32 requests running"),
        ({"MAX_IN_FLIGHT": 2001}, "refuses it the one after 2000"),
        ({"MAX_MESSAGE_BYTES": 2621441}, "more than 2621440 bytes"),
    ],
)
def test_w008_says_what_contradicts_what(limits, words):
    [sentence] = said(8, WSREQUEST=limits)
    assert sentence.startswith("WSREQUEST: ")
    assert words in sentence


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"MAX_CONNECTIONS": 10},  # the defaults of the parts are larger, and give way
        {"MAX_CONNECTIONS": 10, "MAX_CONNECTIONS_PER_USER": 10},
        {"MAX_CONNECTIONS": None, "MAX_CONNECTIONS_PER_USER": 11},
        {"MAX_CONNECTIONS": 10, "MAX_CONNECTIONS_PER_ADDRESS": None},
        {"MESSAGES_PER_SECOND": None},
        {"MESSAGE_BURST": 32},
        {"MAX_MESSAGE_BYTES": 2621440},
        {"MAX_MESSAGE_BYTES": None},
        {"MESSAGE_BURST": 1, "WORKERS": 0},  # E002 has the word
    ],
)
def test_w008_is_silent_otherwise(limits):
    assert said(8, WSREQUEST=limits) == []


def test_w008_where_django_has_no_limit():
    large = {"MAX_MESSAGE_BYTES": 10**8}
    assert said(8, WSREQUEST=large, DATA_UPLOAD_MAX_MEMORY_SIZE=None) == []


# --- W009 --------------------------------------------------------------------------------------


def plain(request):
    return HttpResponse()


@pytest.fixture
def handover(monkeypatch, settings):
    """Whether W009 is said of a view and of these caches."""

    def check(view, **options):
        urls = types.ModuleType("urls_of_a_handover")
        urls.urlpatterns = [path("plain/", plain), path("cookies/", view)]
        monkeypatch.setitem(sys.modules, urls.__name__, urls)
        caches = {
            name: {"BACKEND": f"django.core.cache.backends.{backend}"}
            for name, backend in (
                ("default", "locmem.LocMemCache"),
                ("nothing", "dummy.DummyCache"),
                ("shared", "db.DatabaseCache"),
            )
        }
        caches["shared"]["LOCATION"] = "cache_table"
        return said(9, ROOT_URLCONF=urls.__name__, CACHES=caches, **options)

    return check


def test_w009_a_cache_that_keeps_nothing(handover):
    [sentence] = handover(CookieHandover.as_view(cache="nothing"))
    assert "CACHES['nothing']" in sentence
    [sentence] = handover(csrf_exempt(CookieHandover.as_view(cache="nothing")))
    assert handover(CookieHandover.as_view(cache="shared"), deploy=True) == []
    assert handover(plain, deploy=True) == []


def test_w009_a_cache_of_one_process(handover):
    assert handover(CookieHandover.as_view()) == []
    [sentence] = handover(CookieHandover.as_view(), deploy=True)
    assert "in the memory of each process" in sentence

    class Mine(CookieHandover):
        cache = "nothing"

    assert len(handover(Mine.as_view())) == 1


def test_w009_needs_no_urls(settings):
    del settings.ROOT_URLCONF
    assert said(9, deploy=True) == []


# --- W010 --------------------------------------------------------------------------------------

VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS", "GUNICORN_CMD_ARGS")


@pytest.fixture
def started(monkeypatch):
    """As a server was started: with these arguments, and these variables."""

    def start(*arguments, **variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", list(arguments))

    return start


@pytest.mark.parametrize(
    ("arguments", "variables", "shown"),
    [
        (["manage.py", "check"], {"WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY=2"),
        (["manage.py", "check"], {"UVICORN_WORKERS": "3"}, "UVICORN_WORKERS=3"),
        (["manage.py", "check"], {"GUNICORN_CMD_ARGS": "-b :1 -w 4"}, "-w 4"),
        (["/venv/bin/uvicorn", "a:b", "--workers", "4"], {}, "--workers 4"),
        (["/venv/lib/uvicorn/__main__.py", "--workers=4", "a:b"], {}, "--workers=4"),
        (["/venv/bin/gunicorn", "-w4", "a:b"], {"WEB_CONCURRENCY": "1"}, "-w4"),
        (["hypercorn", "-w", "10", "a:b"], {}, "-w 10"),
        (["granian", "--workers", "2"], {}, "--workers 2"),
    ],
)
def test_w010_several_processes(started, arguments, variables, shown):
    started(*arguments, **variables)
    [sentence] = said(10, WSREQUEST={})
    assert (
        f"'default'] is in the memory of each process, and there are several ({shown})" in sentence
    )


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["manage.py", "check"], {}),
        (["uvicorn", "a:b"], {"WEB_CONCURRENCY": "1", "UVICORN_WORKERS": "many"}),
        (["uvicorn", "a:b", "--workers", "1"], {}),
        (["uvicorn", "a:b", "--workers"], {}),
        (["manage.py", "sort", "-w", "4"], {"GUNICORN_CMD_ARGS": "-w '"}),
        ([], {}),
    ],
)
def test_w010_is_silent_where_one_process_is_all_that_is_known(started, arguments, variables):
    started(*arguments, **variables)
    assert said(10, WSREQUEST={}) == []


def test_w010_of_brokers_that_are_shared(started):
    started("uvicorn", WEB_CONCURRENCY="2")
    shared = {"BACKEND": "wsrequest.push.brokers.redis.RedisBroker"}
    assert said(10, WSREQUEST={"BROKERS": {"default": shared}}) == []
    memory = {"BACKEND": "wsrequest.push.brokers.memory.MemoryBroker"}
    [sentence] = said(10, WSREQUEST={"BROKERS": {"default": shared, "other": memory}})
    assert "'other'" in sentence
    assert said(10, WSREQUEST={"BROKERS": {"default": {"BACKEND": "no.such.broker"}}}) == []
    assert said(10, WSREQUEST={"BROKERS": "memory"}) == []
