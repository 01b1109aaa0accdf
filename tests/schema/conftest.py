"""The shop as the project, and what `manage.py wsschema` writes of it."""

from __future__ import annotations

import io
import json

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

with override_settings(
    REST_FRAMEWORK={"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
):
    from tests.schema import shop  # whose decorators look at the setting

SHOP = {
    "ROOT_URLCONF": shop.__name__,
    "INSTALLED_APPS": [*settings.INSTALLED_APPS, "drf_spectacular"],
}


def wsschema(*arguments: str) -> str:
    out = io.StringIO()
    call_command("wsschema", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def in_shop():
    with override_settings(**SHOP):
        yield


@pytest.fixture(scope="module")
def document():
    """All URLs of the shop, with presence on the clock."""
    topics = {"/clock/": {"PRESENCE": True}}
    with override_settings(**SHOP, WSREQUEST={"TOPICS": topics}):
        return json.loads(wsschema("--all", "--title", "The shop"))


@pytest.fixture(scope="module")
def types():
    with override_settings(**SHOP):
        return wsschema("--typescript")
