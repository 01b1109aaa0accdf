"""Django's test runner, with every test's end written to the run's log."""

from __future__ import annotations

import pickle
import traceback
import unittest
from types import TracebackType
from typing import Any

from django.test.runner import (
    DiscoverRunner,
    ParallelTestSuite,
    RemoteTestResult,
    RemoteTestRunner,
)

from overmessage import record

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Recording(unittest.TestResult):
    """A mixin for results: the outcome is written where the test ran."""

    def addSuccess(self, test: unittest.TestCase) -> None:
        record.outcome(test.id(), "passed")
        super().addSuccess(test)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        record.outcome(test.id(), "passed")
        super().addExpectedFailure(test, picklable(err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        record.outcome(test.id(), "skipped", reason)
        super().addSkip(test, reason)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        record.outcome(test.id(), "failed", "unexpected success")
        super().addUnexpectedSuccess(test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        record.outcome(test.id(), "failed", told(err))
        super().addError(test, picklable(err))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        record.outcome(test.id(), "failed", told(err))
        super().addFailure(test, picklable(err))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            record.outcome(test.id(), "failed", f"{subtest}: {told(err)}")
            # The subtest's parameters may be anything, so they don't go to the parent process:
            # there it is a failure of the test.
            super().addFailure(test, picklable(err))
        else:
            super().addSubTest(test, subtest, err)


def told(err: ErrorInfo) -> str:
    """The end of a traceback: where it failed, and the error."""
    return "".join(traceback.format_exception(*err))[-2000:]


def picklable(err: ErrorInfo) -> ErrorInfo:
    """The error, or its text where the error itself can't go to the parent process.

    Django's runner gives up on all tests of a class there.
    """
    try:
        pickle.loads(pickle.dumps(err))
    except Exception:  # noqa: BLE001  what pickling raises is up to the exception
        error = AssertionError(told(err))
        return type(error), error, None
    return err


class WorkerResult(Recording, RemoteTestResult):
    """The result in a worker process."""


class WorkerRunner(RemoteTestRunner):
    """The runner in a worker process."""

    resultclass = WorkerResult


class RecordingSuite(ParallelTestSuite):
    """The suite that hands classes of tests to worker processes."""

    runner_class = WorkerRunner


class ParentResult(Recording, unittest.TextTestResult):
    """The result where nothing runs in parallel."""


class RecordingRunner(DiscoverRunner):
    """Chosen by ``TEST_RUNNER``."""

    parallel_test_suite = RecordingSuite

    def get_resultclass(self) -> type[unittest.TextTestResult] | None:
        """Workers write for themselves; what they report must not be written twice."""
        return None if self.parallel > 1 else ParentResult
