"""The comparison itself can fail: each of its reasons to, shown on small logs."""

from __future__ import annotations

import json

import pytest

from tests.suites.compare import Comparison, Run


def log(*, passed: str = "", failed: str = "", skipped: str = "", sent: str = "") -> Run:
    """A run whose tests are single letters."""
    outcomes = {"passed": passed, "failed": failed, "skipped": skipped}
    lines = [{"sent": test} for test in sent]
    lines += [
        {"test": test, "outcome": how, "why": "x"}
        for how, tests in outcomes.items()
        for test in tests
    ]
    return Run.read(json.dumps(line) for line in lines)


def test_the_same_is_good():
    comparison = Comparison(log(passed="abc", sent="ab"), log(passed="abc", sent="ab"), {})

    assert comparison.good
    assert comparison.share == 1.0


def test_a_loss_without_a_reason_is_not_good():
    comparison = Comparison(log(passed="ab", sent="ab"), log(passed="a", failed="b", sent="ab"), {})

    assert comparison.unknown == ["b"]
    assert comparison.share == 0.5
    assert not comparison.good


def test_a_test_that_did_not_run_is_a_loss():
    assert Comparison(log(passed="ab", sent="a"), log(passed="a", sent="a"), {}).unknown == ["b"]
    skipped = log(passed="a", skipped="b", sent="a")
    assert Comparison(log(passed="ab", sent="a"), skipped, {}).unknown == ["b"]


@pytest.mark.parametrize(("of", "good"), [(100, True), (99, False)])
def test_reasons_excuse_one_in_a_hundred(of: int, good: bool):
    tests = [chr(1000 + number) for number in range(of)]
    http = log(passed="".join(tests), sent="".join(tests))
    message = log(passed="".join(tests[1:]), failed=tests[0], sent="".join(tests))

    assert Comparison(http, message, {tests[0]: "a reason"}).good is good


def test_a_reason_that_is_not_needed_is_stale():
    run = log(passed="a", failed="b", sent="ab")

    assert Comparison(run, run, {"a": "passes"}).stale == ["a"]
    assert Comparison(run, run, {"b": "fails over HTTP too"}).stale == ["b"]
    assert not Comparison(run, run, {"a": "passes"}).good


def test_a_reason_for_a_test_outside_the_share_is_not_stale():
    run = log(passed="a", sent="a")

    assert Comparison(run, run, {"z": "was not run"}).good


@pytest.mark.parametrize("sent", ["", "a"])
def test_requests_that_were_not_messages_are_noticed(sent: str):
    comparison = Comparison(log(passed="ab", sent="ab"), log(passed="ab", sent=sent), {})

    assert comparison.silent
    assert not comparison.good


def test_a_failure_anywhere_in_a_test_stays():
    lines = ['{"test": "a", "outcome": "failed", "why": "subtest"}']
    lines.append('{"test": "a", "outcome": "passed", "why": ""}')

    run = Run.read(lines)

    assert run.outcomes == {"a": "failed"}
    assert run.reasons == {"a": "subtest"}
