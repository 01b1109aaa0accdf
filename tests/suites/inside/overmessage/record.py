"""The log of one run: which tests ended how, and which of them sent requests.

Suites run in several processes, so every fact is one line of JSON in one file that is opened for
appending: the operating system keeps whole lines apart, however the workers were started.
"""

from __future__ import annotations

import json
import os
import unittest
from collections.abc import Iterator
from contextlib import contextmanager

LOG_VARIABLE = "WSREQUEST_SUITES_LOG"

_current = ""


def write(**fact: object) -> None:
    """Append one fact to the run's log."""
    descriptor = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, json.dumps(fact).encode() + b"\n")
    finally:
        os.close(descriptor)


def outcome(test: str, how: str, why: str = "") -> None:
    """Say how a test ended: ``passed``, ``skipped`` or ``failed``."""
    write(test=test, outcome=how, why=why[:2000])


def sent() -> None:
    """Say that the test that runs now has sent one request."""
    write(sent=_current)


@contextmanager
def running(test: str) -> Iterator[None]:
    """Name the test that runs now. Tests run tests inside (``test_utils``), so this nests."""
    global _current
    before, _current = _current, test
    try:
        yield
    finally:
        _current = before


def name_unittest_tests() -> None:
    """Make each ``unittest`` test name itself while it runs."""
    original = unittest.TestCase.run

    def run(
        self: unittest.TestCase, result: unittest.TestResult | None = None
    ) -> unittest.TestResult | None:
        with running(self.id()):
            return original(self, result)

    unittest.TestCase.run = run  # type: ignore[method-assign]
