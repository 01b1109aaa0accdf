"""What a test case of Django's gets."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from wsrequest.testing.client import AsyncWebSocketClient, WebSocketClient
from wsrequest.testing.published import isolated_brokers
from wsrequest.testing.same import assert_same_over_http
from wsrequest.testing.stage import forget_ended_loops

if TYPE_CHECKING:
    from unittest import TestCase, TestResult

    Base = TestCase
else:
    Base = object


class WebSocketTestMixin(Base):
    """For any test case of Django's: ``class OrdersTest(WebSocketTestMixin, TestCase)``.

    ``self.websocket`` is a client as ``self.client`` is one, and ``self.async_websocket`` its twin for asynchronous
    tests. Each test has brokers of its own.
    """

    websocket_class = WebSocketClient
    async_websocket_class = AsyncWebSocketClient

    @cached_property
    def websocket(self) -> WebSocketClient:
        client = self.websocket_class()
        self.addCleanup(client.disconnect)
        return client

    @cached_property
    def async_websocket(self) -> AsyncWebSocketClient:
        return self.async_websocket_class()

    def run(self, result: TestResult | None = None) -> TestResult | None:
        with isolated_brokers():
            try:
                return super().run(result)
            finally:
                forget_ended_loops()

    def assertSameOverHTTP(self, path: str, data: Any = None, **options: Any) -> Any:  # noqa: N802
        """:func:`assert_same_over_http`, as who is logged in at ``self.websocket``."""
        return assert_same_over_http(path, data, **{"socket": self.websocket, **options})
