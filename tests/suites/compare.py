"""Two runs of one suite, compared test by test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LEAST_SHARE = 0.99


@dataclass
class Run:
    """What one run's log says."""

    outcomes: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    senders: set[str] = field(default_factory=set)
    requests: int = 0

    @property
    def passed(self) -> set[str]:
        return {test for test, outcome in self.outcomes.items() if outcome == "passed"}

    @classmethod
    def read(cls, lines: Iterable[str]) -> Run:
        """Read a log. A test that failed anywhere (a subtest, its teardown) has failed."""
        run = cls()
        for fact in map(json.loads, lines):
            if "sent" in fact:
                run.requests += 1
                run.senders.add(fact["sent"])
            elif run.outcomes.get(fact["test"]) != "failed":
                run.outcomes[fact["test"]] = fact["outcome"]
                run.reasons[fact["test"]] = fact["why"]
        return run


@dataclass(frozen=True)
class Comparison:
    """How the run over messages differs from the run over HTTP."""

    http: Run
    message: Run
    known: Mapping[str, str]

    @property
    def senders(self) -> set[str]:
        """The tests that send requests and pass over HTTP: those that can tell a difference."""
        return self.http.senders & self.http.passed

    @property
    def lost(self) -> list[str]:
        """What passes over HTTP and not as messages, with a test that did not run."""
        return sorted(self.http.passed - self.message.passed)

    @property
    def unknown(self) -> list[str]:
        return [test for test in self.lost if test not in self.known]

    @property
    def stale(self) -> list[str]:
        """What is listed as failing and passes, or fails over HTTP too, so needs no reason."""
        return sorted(
            test for test in self.known if test in self.http.outcomes and test not in self.lost
        )

    @property
    def silent(self) -> bool:
        """Whether the run over messages sent none, or fewer than the other: then it shows nothing.

        Retries inside a failed test may differ, so only tests that pass in both are looked at.
        """
        both = self.senders & self.message.passed
        return not both or not both <= self.message.senders

    @property
    def share(self) -> float:
        """The share that passes as messages, of the tests that send requests and pass over HTTP."""
        return len(self.senders & self.message.passed) / max(1, len(self.senders))

    @property
    def good(self) -> bool:
        return not self.unknown and not self.stale and not self.silent and self.share >= LEAST_SHARE
