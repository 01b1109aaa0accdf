"""The fixtures, in a project's own run of pytest, which finds them by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
SECRET_KEY = "x"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "wsrequest"]
ROOT_URLCONF = "shop_urls"
USE_TZ = True
# Nobody is there: tests have brokers of their own.
WSREQUEST = {"BROKERS": {"default": {
    "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
    "OPTIONS": {"url": "redis://127.0.0.1:1"},
}}}
"""

URLS = """
from django.contrib.auth.models import User
from django.http import JsonResponse
from django.urls import path
from wsrequest import publish

def users(request):
    if request.method == "POST":
        User.objects.create_user("ada")
        publish("/users/", "ada", on_commit=False)
    return JsonResponse(list(User.objects.values_list("username", flat=True)), safe=False)

async def ausers(request):
    return JsonResponse({"hello": "world"})

urlpatterns = [path("users/", users), path("ausers/", ausers)]
"""

TESTS = """
import pytest
from django.contrib.auth.models import User
from wsrequest import publish

def test_request(db, websocket_client):
    subscription = websocket_client.subscribe("/users/")
    assert websocket_client.post("/users/").json() == ["ada"]
    assert subscription.next().data == "ada"
    assert User.objects.count() == 1

def test_each_is_isolated(db, websocket_client):
    assert websocket_client.get("/users/").json() == []
    assert websocket_client.subscribe("/users/").position["offset"] == 0

def test_brokers(isolated_brokers):
    publish("/users/", 1, on_commit=False)

def test_published(published, isolated_brokers):
    publish("/users/", 1, event="made", on_commit=False)
    assert [(said.url, said.event, said.data) for said in published] == [("/users/", "made", 1)]

async def test_async(async_websocket_client):
    response = await async_websocket_client.get("/ausers/")
    assert response.json() == {"hello": "world"}
"""

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

BARE = """
import sys

def test_nothing_is_loaded():
    assert "wsrequest.testing.plugin" in sys.modules
    loaded = {name for name in sys.modules if name.split(".")[0] in ("django", "wsrequest")}
    assert loaded == {"wsrequest", "wsrequest.testing", "wsrequest.testing.plugin"}
"""


def run_pytest(folder: Path, *arguments: str, **environment: str) -> str:
    usual = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    done = subprocess.run(
        [
            sys.executable,
            *("-X", "dev", "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "-p", "no:randomly", *arguments),
        ],
        cwd=folder,
        env={**usual, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    return done.stdout + done.stderr


def test_a_project_with_fixtures(tmp_path: Path) -> None:
    for name, text in (
        ("shop_settings.py", SETTINGS),
        ("shop_urls.py", URLS),
        ("test_shop.py", TESTS),
        ("pytest.ini", INI),
    ):
        (tmp_path / name).write_text(text)
    said = run_pytest(tmp_path, DJANGO_SETTINGS_MODULE="shop_settings")
    assert "5 passed" in said, said


def test_a_project_that_does_not_use_it(tmp_path: Path) -> None:
    (tmp_path / "test_bare.py").write_text(BARE)
    said = run_pytest(tmp_path, "-p", "no:django", "-p", "no:asyncio")
    assert "1 passed" in said, said
