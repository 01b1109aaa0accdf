"""What is said to those whose `/ws/` would answer 404, or who have no server to run."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.commands import runserver as of_django
from django.test import override_settings

from wsrequest.management import servers
from wsrequest.management.commands import runserver
from wsrequest.management.requestlog import RequestLog

STATICFILES = "django.contrib.staticfiles"
BASE = ["django.contrib.auth", "django.contrib.contenttypes"]


def said(id):
    return [f"{check.msg} {check.hint}" for check in run_checks() if check.id == id]


@pytest.mark.parametrize(
    ("debug", "installed", "warned"),
    [
        (True, [*BASE, STATICFILES, "wsrequest"], True),
        (False, [*BASE, STATICFILES, "wsrequest"], False),
        (True, [*BASE, "wsrequest", STATICFILES], False),
        (True, [*BASE, "wsrequest"], False),
        (True, [*BASE, "tests.development.reloading", STATICFILES, "wsrequest"], False),
    ],
)
def test_w011_an_app_before_this_one_has_a_runserver(debug, installed, warned):
    with override_settings(DEBUG=debug, INSTALLED_APPS=installed, ROOT_URLCONF=__name__):
        found = said("wsrequest.W011")
    assert bool(found) is warned
    if warned:
        (message,) = found
        assert message == (
            "manage.py runserver is that of 'django.contrib.staticfiles', a WSGI server: /ws/ answers 404 there."
            " Put 'wsrequest' before 'django.contrib.staticfiles' in INSTALLED_APPS."
        )


urlpatterns = []

DJANGOS = (
    "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
)


@pytest.mark.parametrize(
    ("source", "warned"),
    [
        (DJANGOS, True),
        (DJANGOS.replace("django.core.asgi", "wsrequest.asgi"), False),
        (f"{DJANGOS}from shop.routing import websocket_urlpatterns\n", False),
        ("raise RuntimeError('it is read, and not run')  # django.core.asgi\n", True),
        ("", False),
    ],
)
@pytest.mark.parametrize("setting", ["ASGI_APPLICATION", "WSGI_APPLICATION"])
def test_w012_asgi_py_is_djangos_own(tmp_path, monkeypatch, setting, source, warned):
    package = f"site_{abs(hash((setting, source)))}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "asgi.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"{package}.{setting[:4].lower()}"
    changed = {"ASGI_APPLICATION": None, setting: f"{module}.application"}
    with override_settings(WSREQUEST={"PATH": "/socket/"}, **changed):
        found = said("wsrequest.W012")
    assert bool(found) is warned
    if warned:
        (message,) = found
        assert message == (
            f"{package}.asgi takes get_asgi_application() from django.core.asgi: /socket/ answers 404 there."
            " Import it from wsrequest.asgi."
        )


@pytest.mark.parametrize("path", ["nowhere.at.all.application", "application"])
def test_w012_is_not_about_what_is_not_there(path):
    with override_settings(ASGI_APPLICATION=path):
        assert said("wsrequest.W012") == []


def test_what_to_install_where_there_is_no_server(monkeypatch):
    monkeypatch.setattr(servers, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"pip install 'django-websocket-request\[server\]'"):
        call_command(runserver.Command(), "--noreload")
    with pytest.raises(CommandError, match=r"--server daphne: .* pip install daphne\."):
        call_command(runserver.Command(), "--noreload", "--server", "daphne")


def test_uvicorn_is_no_server_without_a_websocket_library(monkeypatch):
    here = {"uvicorn", "granian"}
    monkeypatch.setattr(servers, "find_spec", lambda name: name in here or None)
    assert servers.installed() is servers.Granian
    with pytest.raises(CommandError, match=r"pip install websockets\."):
        call_command(runserver.Command(), "--noreload", "--server", "uvicorn")
    here.add("wsproto")
    assert servers.installed() is servers.Uvicorn


def test_the_order_of_the_servers():
    assert [server.package for server in servers.SERVERS] == [
        "uvicorn",
        "hypercorn",
        "daphne",
        "granian",
    ]
    assert servers.installed() is servers.Uvicorn


@pytest.fixture
def command():
    made = runserver.Command()
    made.use_asgi = True
    return made


def handler_of(command, **options):
    log = logging.getLogger("wsrequest.request")
    level, handlers = log.level, list(log.handlers)
    try:
        return command.get_handler(**options)
    finally:
        log.level, log.handlers = level, handlers


def test_the_application_that_is_served(command):
    with override_settings(ASGI_APPLICATION="tests.project.asgi.application"):
        handler = handler_of(command)
        from tests.project.asgi import application

        assert isinstance(handler, RequestLog)
        assert handler._app is application


def test_an_application_that_can_not_be_loaded(command):
    problem = "ASGI_APPLICATION 'mysite.nowhere.application' can't be loaded"
    changed = override_settings(ASGI_APPLICATION="mysite.nowhere.application")
    with changed, pytest.raises(ImproperlyConfigured, match=problem):
        handler_of(command)


@pytest.mark.parametrize(
    ("debug", "options", "static"),
    [
        (True, {"use_static_handler": True}, True),
        (True, {"use_static_handler": False}, False),
        (False, {"use_static_handler": True}, False),
        (False, {"use_static_handler": True, "insecure_serving": True}, True),
        (True, {}, False),
    ],
)
def test_static_files_as_django_serves_them(command, debug, options, static):
    with override_settings(DEBUG=debug, ASGI_APPLICATION=None):
        inner = handler_of(command, **options)._app
    assert (type(inner).__name__ == "ASGIStaticFilesHandler") is static


def test_it_is_djangos_own_with_more_options():
    assert issubclass(runserver.Command, of_django.Command)
    options = runserver.Command().create_parser("manage.py", "runserver").format_help()
    for option in "--noreload", "--nothreading", "--nostatic", "--insecure", "--ipv6", "--noasgi":
        assert option in options


ASGI = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
from wsrequest.asgi import get_asgi_application
from django.contrib.auth.models import User
application = get_asgi_application()
assert type(application).__name__ == "ASGIApplication", application
"""


def test_models_may_be_imported_before_the_application_is_made():
    """Where the import of wsrequest.asgi comes first, and the settings are named before it."""
    command = [sys.executable, "-W", "error", "-c", ASGI]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
