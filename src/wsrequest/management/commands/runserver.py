"""``manage.py runserver``: Django's own, by an ASGI server, so that WebSockets are served while developing."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import runserver
from django.urls import get_script_prefix
from django.utils import autoreload
from django.utils.module_loading import import_string

from wsrequest.conf import get_settings
from wsrequest.management.requestlog import RequestLog, log_messages
from wsrequest.management.servers import SERVERS, DevelopmentServer, installed
from wsrequest.transports.asgi import ASGIApplication

if TYPE_CHECKING or not apps.is_installed("django.contrib.staticfiles"):
    Base = runserver.Command
else:
    from django.contrib.staticfiles.management.commands.runserver import Command as Base


class Command(Base):
    """That of ``django.contrib.staticfiles`` where it is installed, with an ASGI server in place of Django's."""

    help = "Starts a lightweight web server for development: HTTP, WebSockets and static files."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Run Django's own WSGI server instead, which serves no WebSockets.",
        )
        parser.add_argument(
            "--server",
            choices=[server.package for server in SERVERS],
            help="The ASGI server to run (default: the first of these that is installed).",
        )

    # Django sets these, and its stubs don't know them.
    addr: str
    _raw_ipv6: bool

    def handle(self, *args: Any, **options: Any) -> Any:
        self.use_asgi: bool = options["use_asgi"]
        if self.use_asgi:
            # Django's stubs know no other kind of server.
            self.server_cls: Any = _server(options["server"])
        return super().handle(*args, **options)

    def run(self, **options: Any) -> None:
        """Ends at once with the process that the auto-reloader has started: a thread with a request that takes a minute
        would put off the next start for so long."""
        status: Any = 0
        try:
            super().run(**options)
        except SystemExit as end:
            status = end.code
            if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true":
                raise
        if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status if isinstance(status, int) else 1)

    def get_handler(self, *args: Any, **options: Any) -> Any:
        if not self.use_asgi:
            return super().get_handler(*args, **options)
        log_messages()
        handler = _application()
        is_wanted = settings.DEBUG or options.get("insecure_serving")
        if options.get("use_static_handler") and is_wanted:
            handler = ASGIStaticFilesHandler(handler)
        return RequestLog(handler)

    def on_bind(self, server_port: int) -> None:
        if not self.use_asgi:
            super().on_bind(server_port)
            return
        host = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        host = "0.0.0.0" if host == "0" else host  # noqa: S104 (as Django writes it)
        path = get_script_prefix().rstrip("/") + get_settings().path
        key = "CTRL-BREAK" if sys.platform == "win32" else "CONTROL-C"
        self.stdout.write(
            f"{datetime.now():%B %d, %Y - %X}\n"  # noqa: DTZ005 (as the clock on the wall has it)
            f"Django version {self.get_version()}, using settings {settings.SETTINGS_MODULE!r}\n"
            f"Starting development server at {self.protocol}://{host}:{server_port}/\n"
            f"WebSockets at ws://{host}:{server_port}{path}, by {self.server_cls.label()}\n"
            f"Quit the server with {key}."
        )
        if os.environ.get("DJANGO_RUNSERVER_HIDE_WARNING") != "true":
            warning = (
                "WARNING: This is a development server. Do not use it in a production setting."
            )
            self.stdout.write(self.style.WARNING(warning))


def _server(name: str | None) -> type[DevelopmentServer]:
    """The one that was asked for, or the first that is installed."""
    if name is None:
        if (found := installed()) is not None:
            return found
        raise CommandError(
            "There is no ASGI server to run. Install one: pip install 'django-websocket-request[server]' (uvicorn), "
            "or hypercorn, daphne or granian. Or say --noasgi, and do without WebSockets."
        )
    server = next(server for server in SERVERS if server.package == name)
    if (missing := server.missing()) is not None:
        raise CommandError(
            f"--server {name}: it needs the package {missing}: pip install {missing}."
        )
    return server


def _application() -> Any:
    """What ASGI_APPLICATION names, else the project as :func:`wsrequest.asgi.get_asgi_application` gives it."""
    path = getattr(settings, "ASGI_APPLICATION", None)
    if path is None:
        return ASGIApplication()
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"ASGI_APPLICATION {path!r} can't be loaded: {error}") from error
