"""The WSREQUEST setting: its defaults, what is refused, and when it is read again."""

from __future__ import annotations

import dataclasses

import pytest
from django.test import override_settings

from wsrequest.conf import NAMES, Settings, get_settings, problems, unknown_keys
from wsrequest.errors import ConfigurationError


def test_the_defaults():
    with override_settings(WSREQUEST={}):
        assert get_settings() == Settings()
    assert {
        name: value
        for name, value in dataclasses.asdict(Settings()).items()
        if name not in ("workers", "omit_response_headers")
    } == {
        "path": "/ws/",
        "token_scheme": "JWT",
        "max_message_bytes": 2**20,
        "max_depth": 64,
        "max_keys": 10_000,
        "max_in_flight": 32,
        "max_queued": 128,
        "max_subscriptions": 128,
        "reauthorize_interval": 60,
        "event_stream": True,
        "live": True,
        "live_min_interval": 0.05,
        "max_live": 64,
        "max_live_audiences": 5_000,
        "live_ignore": ("sessions.Session", "AUTH_USER_MODEL.last_login"),
        "live_triggers": {},
        "brokers": {
            "default": {
                "BACKEND": "wsrequest.push.brokers.memory.MemoryBroker",
                "OPTIONS": {},
            }
        },
        "topics": {},
        "request_timeout": None,
        "message_burst": 2_000,
        "messages_per_second": 1_000,
        "max_outbox_bytes": 2**20,
        "max_connections": 10_000,
        "max_connections_per_user": 100,
        "max_connections_per_address": 1_000,
        "idle_anonymous_timeout": None,
        "handshake": None,
        "handshake_timeout": 10,
        "expiring_notice": 60,
        "grace_time": 20,
        "ping_interval": 20,
        "handshake_headers": (),
        "metrics": None,
        "idempotency_ttl": 600,
        "idempotency_wait": 30,
        "idempotency_cache": "default",
    }
    assert 5 <= Settings().workers <= 32


def test_a_project_without_the_setting_has_the_defaults(settings):
    del settings.WSREQUEST
    assert (problems(), unknown_keys(), get_settings()) == ([], [], Settings())


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_settings().path = "/x/"


def test_the_setting_is_read_again_when_it_changes():
    with override_settings(WSREQUEST={"PATH": "/a/"}):
        assert get_settings().path == "/a/"
        assert get_settings() is get_settings()
        with override_settings(WSREQUEST={"PATH": "/b/"}), override_settings(DEBUG=True):
            assert get_settings().path == "/b/"
        assert get_settings().path == "/a/"


def test_another_setting_changes_nothing():
    before = get_settings()
    with override_settings(DEBUG=True):
        assert get_settings() is before


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
@pytest.mark.parametrize("name", ["OMIT_RESPONSE_HEADERS", "HANDSHAKE_HEADERS"])
def test_header_names_are_lower_case(kind, name):
    with override_settings(WSREQUEST={name: kind(["X-Own"])}):
        assert getattr(get_settings(), name.lower()) == ("x-own",)


def test_an_unknown_key_is_passed_over_and_reported():
    with override_settings(WSREQUEST={"PATHS": "/a/", 5: 6, "PATH": "/b/"}):
        assert get_settings().path == "/b/"
        assert unknown_keys() == ["PATHS", 5]
        assert problems() == []


@pytest.mark.parametrize("configured", [None, [], "PATH", 5])
def test_it_must_be_a_dict(configured):
    with override_settings(WSREQUEST=configured):
        assert problems() == ["WSREQUEST must be a dict."]
        assert unknown_keys() == []
        with pytest.raises(ConfigurationError, match=r"^WSREQUEST must be a dict\.$"):
            get_settings()


INTEGERS = [
    name
    for name in NAMES
    if name.startswith("MAX_") or name in ("WORKERS", "MESSAGE_BURST", "IDEMPOTENCY_TTL")
]
NUMBERS = ["MESSAGES_PER_SECOND", "REQUEST_TIMEOUT", "HANDSHAKE_TIMEOUT", "IDLE_ANONYMOUS_TIMEOUT"]
NUMBERS += ["EXPIRING_NOTICE", "GRACE_TIME", "IDEMPOTENCY_WAIT", "PING_INTERVAL"]
NUMBERS += ["LIVE_MIN_INTERVAL", "REAUTHORIZE_INTERVAL"]
ALWAYS = ["EXPIRING_NOTICE", "GRACE_TIME", "IDEMPOTENCY_WAIT"]
ALWAYS += ["LIVE_MIN_INTERVAL", "REAUTHORIZE_INTERVAL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, 1) for name in INTEGERS],
        *[(name, None) for name in ("MAX_MESSAGE_BYTES", "MAX_DEPTH", "MAX_KEYS")],
        *[(name, value) for name in NUMBERS for value in (1, 0.5, 1e9)],
        *[(name, None) for name in NUMBERS if name not in ALWAYS],
        *[(name, value) for name in ("EVENT_STREAM", "LIVE") for value in (True, False)],
        *[(name, None) for name in ("MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_USER")],
        ("MAX_CONNECTIONS_PER_ADDRESS", None),
        *[("HANDSHAKE", None), ("HANDSHAKE", "tests.project.views.hello"), ("METRICS", None)],
        *[("PING_INTERVAL", 1), ("PING_INTERVAL", 0.5), ("PATH", "/"), ("TOKEN_SCHEME", "Bearer")],
    ],
)
def test_what_can_be_used(name, value):
    with override_settings(WSREQUEST={name: value}):
        assert problems() == []
        assert getattr(get_settings(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        *[(name, 0, "must be an integer greater than 0.") for name in INTEGERS],
        *[(name, True, "must be an integer greater than 0.") for name in INTEGERS],
        *[
            (name, None, "can't be None.")
            for name in ("PATH", "TOKEN_SCHEME", "WORKERS", "MAX_IN_FLIGHT", "MAX_QUEUED")
        ],
        *[
            ("MAX_OUTBOX_BYTES", None, "can't be None."),
            ("HANDSHAKE_HEADERS", None, "can't be None."),
        ],
        *[(name, 0, "must be a number greater than 0.") for name in NUMBERS],
        *[(name, "1", "must be a number greater than 0.") for name in NUMBERS],
        *[(name, True, "must be a number greater than 0.") for name in NUMBERS],
        *[(name, None, "can't be None.") for name in ALWAYS],
        *[(name, None, "can't be None.") for name in ("MAX_LIVE", "MAX_LIVE_AUDIENCES", "LIVE")],
        *[
            (name, value, "must be True or False.")
            for name in ("EVENT_STREAM", "LIVE")
            for value in (0, 1, "no", [])
        ],
        ("MESSAGE_BURST", None, "can't be None."),
        ("HANDSHAKE", 5, "must be a dotted path to a callable."),
        ("HANDSHAKE", "tests.project.settings.SECRET_KEY", "must be a dotted path to a callable."),
        ("WORKERS", -1, "must be an integer greater than 0."),
        ("WORKERS", 1.5, "must be an integer greater than 0."),
        ("WORKERS", "4", "must be an integer greater than 0."),
        ("PING_INTERVAL", 0, "must be a number greater than 0."),
        ("PING_INTERVAL", False, "must be a number greater than 0."),
        ("PING_INTERVAL", "20", "must be a number greater than 0."),
        ("PING_INTERVAL", float("nan"), "must be a number greater than 0."),
        ("PING_INTERVAL", float("inf"), "must be a number greater than 0."),
        ("PATH", b"/ws/", "must be a string."),
        ("PATH", "ws/", "must begin with a slash."),
        ("PATH", "", "must begin with a slash."),
        ("TOKEN_SCHEME", 5, "must be a string."),
        ("OMIT_RESPONSE_HEADERS", "date", "must be a list of strings."),
        ("OMIT_RESPONSE_HEADERS", [5], "must be a list of strings."),
        ("HANDSHAKE_HEADERS", {"x-own": 1}, "must be a list of strings."),
        ("HANDSHAKE_HEADERS", [b"x-own"], "must be a list of strings."),
    ],
)
def test_what_can_not_be_used(name, value, problem):
    with override_settings(WSREQUEST={name: value}):
        assert problems() == [f"WSREQUEST[{name!r}] {problem}"]
        with pytest.raises(ConfigurationError) as error:
            get_settings()
        assert str(error.value) == f"WSREQUEST[{name!r}] {problem}"


def test_all_that_is_wrong_is_said_at_once():
    with override_settings(WSREQUEST={"PATH": 1, "WORKERS": 0}):
        assert len(problems()) == 2
        with pytest.raises(ConfigurationError, match=r"PATH.*WORKERS"):
            get_settings()


@pytest.mark.parametrize(
    ("brokers", "problem"),
    [
        ([], 'must be a dict that has "default".'),
        ({"other": {"BACKEND": "x"}}, 'must be a dict that has "default".'),
        ({"default": "x"}, "must have a dict with \"BACKEND\" (a dotted path) for 'default'."),
        ({"default": {}}, "must have a dict with \"BACKEND\" (a dotted path) for 'default'."),
        (
            {"default": {"BACKEND": "x", "LOCATION": "y"}},
            "has 'LOCATION' for 'default', where only BACKEND and OPTIONS mean something.",
        ),
        (
            {"default": {"BACKEND": "x", "OPTIONS": "redis://"}},
            "must have a dict as OPTIONS for 'default'.",
        ),
    ],
)
def test_brokers_that_can_not_be(brokers, problem):
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        assert problems() == [f"WSREQUEST['BROKERS'] {problem}"]


@pytest.mark.parametrize(
    ("topics", "problem"),
    [
        ([], "must be a dict of path patterns."),
        ({1: {}}, "must have a string as each key, and a dict as each value."),
        ({"/a/*": 1}, "must have a string as each key, and a dict as each value."),
        (
            {"/a/*": {"SIZE": 1}},
            "has 'SIZE' for '/a/*'; known are HISTORY_SIZE, HISTORY_TTL, PRESENCE, PRESENCE_INFO, SLOW, BROKER.",
        ),
        (
            {"/a/*": {"HISTORY_SIZE": -1}},
            "must have an integer of at least 0 as HISTORY_SIZE of '/a/*'.",
        ),
        (
            {"/a/*": {"HISTORY_SIZE": True}},
            "must have an integer of at least 0 as HISTORY_SIZE of '/a/*'.",
        ),
        (
            {"/a/*": {"HISTORY_TTL": 0}},
            "must have a number greater than 0 as HISTORY_TTL of '/a/*'.",
        ),
        ({"/a/*": {"PRESENCE": 1}}, "must have True or False as PRESENCE of '/a/*'."),
        (
            {"/a/*": {"PRESENCE": False, "PRESENCE_INFO": "tests.presence.urls.info"}},
            "has PRESENCE_INFO for '/a/*', which means nothing without PRESENCE.",
        ),
        *(
            (
                {"/a/*": {"PRESENCE_INFO": wrong}},
                "must have a dotted path to a function (no asynchronous one) as PRESENCE_INFO of '/a/*'.",
            )
            for wrong in (repr, "nowhere.at_all", "wsrequest.__version__", "wsrequest.apresence")
        ),
        (
            {"/a/*": {"SLOW": "drop"}},
            'must have "resync", "latest" or "close" as SLOW of \'/a/*\'.',
        ),
        ({"/a/*": {"BROKER": "other"}}, "must have an alias in BROKERS as BROKER of '/a/*'."),
    ],
)
def test_topics_that_can_not_be(topics, problem):
    with override_settings(WSREQUEST={"TOPICS": topics}):
        assert problems() == [f"WSREQUEST['TOPICS'] {problem}"]


def test_topics_at_their_limits():
    topics = {
        "/a/*": {"HISTORY_SIZE": 0, "HISTORY_TTL": 0.1, "PRESENCE": True, "BROKER": "default"},
        "/b/": {"SLOW": "latest"},
        "/c/": {"PRESENCE": True, "PRESENCE_INFO": "tests.presence.urls.info"},
    }
    with override_settings(WSREQUEST={"TOPICS": topics}):
        assert problems() == []
        assert get_settings().topics == topics
