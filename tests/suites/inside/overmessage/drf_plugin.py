"""A pytest plugin for Django REST framework's suite: changes the client, logs every test's end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from overmessage import bridge, client, record


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run after the suite's own ``conftest.py``, which configures Django."""
    client.install()
    if client.over_messages():
        force_authentication()


def force_authentication() -> None:
    """Let ``APIClient.force_authenticate`` reach the request of a message.

    It is no fact of a request: REST framework's handler sets it on the ``HttpRequest`` itself,
    right before Django's ``get_response``. So does this, for the handler that runs a message.
    """
    from django.core.handlers.base import BaseHandler
    from rest_framework.test import ForceAuthClientHandler, force_authenticate

    forced: ContextVar[tuple[Any, Any] | None] = ContextVar("forced", default=None)
    get_response = BaseHandler.get_response

    def authenticated(self: BaseHandler, request: Any) -> Any:
        if (user_and_token := forced.get()) is not None:
            force_authenticate(request, *user_and_token)
        return get_response(self, request)

    def call(self: Any, environ: dict[str, Any]) -> Any:
        with set_to(forced, (self._force_user, self._force_token)):
            return bridge.call(self, environ)

    BaseHandler.get_response = authenticated  # type: ignore[method-assign]
    ForceAuthClientHandler.__call__ = call


@contextmanager
def set_to(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    """Set a context variable for a while."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with record.running(item.nodeid):
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        how = report.outcome if not hasattr(report, "wasxfail") else "passed"
        record.outcome(report.nodeid, how, report.longreprtext if report.failed else "")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that can't be imported is a failure too, not a lack of tests."""
    if report.failed:
        record.outcome(report.nodeid, "failed", report.longreprtext)
