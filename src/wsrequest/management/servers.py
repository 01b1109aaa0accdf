"""The ASGI servers that ``manage.py runserver`` can run, each as Django's ``runserver`` runs its own.

Django makes ``server_cls((address, port), handler_class, ipv6=...)``, which listens; then ``set_app()`` and
``serve_forever()``. So all that comes before and after, from the system checks to what is said of a port that is in
use, stays Django's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from abc import ABC, abstractmethod
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, ClassVar

#: Seconds that connections have to end after Ctrl+C.
GRACE = 1


class DevelopmentServer(ABC):
    """Listens on a socket, which it hands to a server. In any thread, as the auto-reloader needs the main one."""

    #: The package, and modules one of which it needs for WebSockets.
    package: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    daemon_threads: bool  # which Django sets

    @classmethod
    def missing(cls) -> str | None:
        """Which package has to be installed for it; None where it can run."""
        if find_spec(cls.package) is None:
            return cls.package
        if cls.needs and not any(find_spec(name) for name in cls.needs):
            return cls.needs[0]
        return None

    @classmethod
    def label(cls) -> str:
        try:
            return f"{cls.package} {version(cls.package)}"
        except PackageNotFoundError:  # on the path, but not installed
            return cls.package

    def __init__(self, address: tuple[str, int], handler: Any = None, ipv6: bool = False) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(address)
            self.socket.listen(128)
        except BaseException:
            self.socket.close()
            raise
        self.server_address = self.socket.getsockname()
        self.server_port: int = self.server_address[1]
        self._app: Any = None

    def set_app(self, app: Any) -> None:
        self._app = app

    @abstractmethod
    def serve_forever(self) -> None:
        """Until Ctrl+C, where this is the main thread."""


class Uvicorn(DevelopmentServer):
    """With either of the libraries that it speaks WebSocket by."""

    package = "uvicorn"
    needs = ("websockets", "wsproto")

    def serve_forever(self) -> None:
        uvicorn = import_module("uvicorn")
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            ws_per_message_deflate=False,
        )
        # It calls a handshake an error that was refused by an HTTP answer, as they are all.
        logging.getLogger("uvicorn.error").addFilter(_says_more)
        uvicorn.Server(config).run(sockets=[self.socket])


def _says_more(record: logging.LogRecord) -> bool:
    return "without completing handshake" not in record.getMessage()


class Hypercorn(DevelopmentServer):
    """In this process, without workers."""

    package = "hypercorn"

    def serve_forever(self) -> None:
        config = import_module("hypercorn.config").Config()
        config.bind = [f"fd://{self.socket.fileno()}"]
        config.graceful_timeout = config.shutdown_timeout = GRACE
        config.loglevel = "WARNING"
        serve = import_module("hypercorn.asyncio").serve
        asyncio.run(serve(self._app, config, shutdown_trigger=asyncio.Event().wait))


class Daphne(DevelopmentServer):
    """On Twisted's reactor, which runs an asyncio loop."""

    package = "daphne"

    def serve_forever(self) -> None:
        server = import_module("daphne.server").Server(
            application=self._app,
            endpoints=[f"fd:fileno={self.socket.fileno()}"],
            signal_handlers=threading.current_thread() is threading.main_thread(),
            verbosity=0,
        )
        server.run()


class Granian(DevelopmentServer):
    """As it is embedded in other programs: in this process, without workers."""

    package = "granian"

    def serve_forever(self) -> None:
        host, port = self.server_address[:2]
        self.socket.close()  # it takes an address, and no socket
        embedded = import_module("granian.server.embed")
        server = embedded.Server(
            self._app,
            address=host,
            port=port,
            interface=import_module("granian.constants").Interfaces.ASGI,
            log_enabled=False,
        )
        asyncio.run(server.serve())


#: The first one that is installed is run.
SERVERS: tuple[type[DevelopmentServer], ...] = (Uvicorn, Hypercorn, Daphne, Granian)


def installed() -> type[DevelopmentServer] | None:
    """The server to run, unless another one is asked for."""
    return next((server for server in SERVERS if server.missing() is None), None)
