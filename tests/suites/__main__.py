"""Run the suites both ways and say what is lost. Exits with 1 when

- a test passes over HTTP, fails as messages, and ``known.toml`` does not say why;
- ``known.toml`` says why a test fails, and it passes (or fails over HTTP as well);
- of the tests that send requests and pass over HTTP, less than 99 % pass as messages;
- a test sent its requests some other way than as messages.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Sequence

from tests.suites.compare import LEAST_SHARE, Comparison
from tests.suites.environment import HERE, Environment, prepare
from tests.suites.labels import DJANGO, DJANGO_SHORT, DRF, DRF_SHORT
from tests.suites.run import Suite


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    options = parse(arguments)
    known = tomllib.loads((HERE / "known.toml").read_text())
    started = time.monotonic()
    results = []
    for suite in choose(prepare(), options):
        reasons = known.get(suite.name, {})
        http = suite.run_http(fresh=options.fresh)
        message = suite.run_message(switches(options))
        results.append((suite.name, Comparison(http, message, reasons)))
    for name, comparison in results:
        report(name, comparison)
    lost = sum(len(comparison.unknown) + len(comparison.stale) for _, comparison in results)
    passed = sum(
        len(comparison.http.passed & comparison.message.passed) for _, comparison in results
    )
    print(f"\n{time.monotonic() - started:.0f} s in all")
    print(f"{passed} passed, {lost} failed")
    return 0 if all(comparison.good for _, comparison in results) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a share of both, under two minutes")
    parser.add_argument("--json", action="store_true", help="send JSON bodies as plain data")
    parser.add_argument("--wire", action="store_true", help="read each response from the wire")
    parser.add_argument("--fresh", action="store_true", help="run over HTTP again as well")
    parser.add_argument("--django", nargs="+", metavar="LABEL", help="only these, of Django's")
    parser.add_argument("--drf", nargs="+", metavar="FILE", help="only these, of DRF's")
    return parser.parse_args(arguments)


def switches(options: argparse.Namespace) -> dict[str, str]:
    """Say to the processes of the suite how messages are to be sent."""
    chosen = {"WSREQUEST_SUITES_JSON": options.json, "WSREQUEST_SUITES_WIRE": options.wire}
    return {name: "1" for name, on in chosen.items() if on}


def choose(environment: Environment, options: argparse.Namespace) -> list[Suite]:
    """Choose the suites and the shares of them."""
    if options.django or options.drf:
        django, drf = tuple(options.django or ()), tuple(options.drf or ())
    elif options.short:
        django, drf = DJANGO_SHORT, DRF_SHORT
    else:
        django, drf = DJANGO, DRF
    suites = [Suite.of_django(environment, django)] if django else []
    return suites + ([Suite.of_drf(environment, drf)] if drf else [])


def report(name: str, comparison: Comparison) -> None:
    """Say how one suite went."""
    http, message = comparison.http, comparison.message
    print(f"\n{name}: {len(http.outcomes)} tests, {message.requests} requests as messages")
    print(f"  passes over HTTP: {len(http.passed)}", end=", ")
    print(f"passes as message: {len(http.passed & message.passed)}")
    print(f"  of the {len(comparison.senders)} that send requests: ", end="")
    print(f"{comparison.share:.2%} (at least {LEAST_SHARE:.0%})")
    if comparison.share < LEAST_SHARE:
        print("  TOO FEW")
    if comparison.silent:
        print("  NOT SENT AS MESSAGES: the client was not changed in some process")
    for test in comparison.lost:
        if test in comparison.known:
            print(f"  known: {test}\n      {comparison.known[test]}")
    for test in comparison.unknown:
        why = message.reasons.get(test, "did not run")
        print(f"  LOST: {test}\n{indent(why)}")
    for test in comparison.stale:
        print(f"  STALE in known.toml: {test}")


def indent(text: str) -> str:
    """Set a traceback's last lines in."""
    return "\n".join("      " + line for line in text.rstrip().splitlines()[-12:])


if __name__ == "__main__":
    sys.exit(main())
