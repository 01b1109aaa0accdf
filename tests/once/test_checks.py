"""What `manage.py check` says of the cache for keys."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

BACKENDS = "django.core.cache.backends"


def found(*, deploy: bool = False) -> list[str]:
    messages = run_checks(include_deployment_checks=deploy)
    return [message.id for message in messages if (message.id or "").startswith("wsrequest.")]


def use(settings: Settings, backend: str, **options: object) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{BACKENDS}.{backend}", **options}}


def test_e003_for_a_cache_that_is_not_there(settings: Settings) -> None:
    settings.WSREQUEST = {"IDEMPOTENCY_CACHE": "shared"}
    [error] = [message for message in run_checks() if message.id == "wsrequest.E003"]
    assert error.level == 40
    assert error.msg == (
        "WSREQUEST['IDEMPOTENCY_CACHE'] is 'shared', and CACHES has no such entry."
    )
    assert error.hint == "Name one of these: 'default'."
    assert found(deploy=True) == ["wsrequest.E003"]
    settings.CACHES = {**settings.CACHES, "shared": settings.CACHES["default"]}
    assert found() == []


@pytest.mark.parametrize(
    ("backend", "options"),
    [("dummy.DummyCache", {}), ("filebased.FileBasedCache", {"LOCATION": "/nowhere/at/all"})],
)
def test_w002_for_one_that_can_not_tell_who_was_first(
    settings: Settings, backend: str, options: dict[str, str]
) -> None:
    use(settings, backend, **options)
    [warning] = [message for message in run_checks() if message.id == "wsrequest.W002"]
    assert warning.level == 30
    assert warning.msg.startswith("CACHES['default'] can't tell")


def test_w003_for_one_that_each_process_has_for_itself(settings: Settings) -> None:
    use(settings, "locmem.LocMemCache")
    assert found() == []
    assert found(deploy=True) == ["wsrequest.W003"]
    use(settings, "redis.RedisCache", LOCATION="redis://127.0.0.1:1/0")
    assert found(deploy=True) == []


def test_settings_that_are_wrong_are_told_once(settings: Settings) -> None:
    settings.WSREQUEST = {"IDEMPOTENCY_CACHE": 5}
    assert found(deploy=True) == ["wsrequest.E002"]
