"""The report, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.plan import FLOOR, NAMES, VIEWS, Contender
from benchmarks.results import Results, Spread, Verdict
from benchmarks.tables import spread_text, table

HELD_STILL = """\
Held still: the same project, views and middleware (`startproject`'s seven), DEBUG off, no log of
requests; one server process on one core, the load generator on {generator}; uvicorn with one
worker, uvloop and httptools, the same for the socket and for Django's ASGI; HTTP connections kept
alive, as many as requests are in flight, against one WebSocket with as many requests in flight;
a client puts what it has to say at one moment into one frame, as the protocol has it, unless the row says
otherwise; no compression; loopback, no TLS; MESSAGES_PER_SECOND None; niceness {priority}.
granian serves WSGI with the number of threads that was its best of {threads}: {granian}.
Contenders are asked in turn in every round ({rounds} rounds of {seconds:g} s each, after a warm-up
of {warm_up:g} s). A ratio is taken within a round. Figures are medians over the rounds, lowest and
highest in parentheses. Every answer's status and body is checked."""

GENERATOR = """\
CPU is the server's, user and system, per request. *Generator* is the share of its core that the
load generator used: it has room wherever that is well below 100 %."""


def markdown(
    results: Results,
    verdicts: Sequence[Verdict],
    *,
    database: str,
    workers: int,
    held: dict[str, object],
) -> str:
    """Return the whole report."""
    system, versions = machine.describe()
    parts = [
        "# Benchmark results",
        f"Made by `make bench` on {datetime.now(UTC).date()}. {system}. {versions}, {database}.",
        HELD_STILL.format(**held),
        "## Ratios",
        table(("ratio", "target", "median (min-max)", ""), map(_verdict, verdicts)),
        "## Every figure",
        GENERATOR,
        table(
            ("view", "served by", "in flight", "requests/s", "CPU µs", "/ floor",
             "p50 ms", "p99 ms", "server", "generator"),
            (_row(results, contender) for contender in sorted(results.samples, key=_place)),
        ),
        "## Database connections",
        _connections(results, workers),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    word = ("met" if verdict.met else "**missed**") if verdict.target.bound else ""
    return verdict.target.claim, verdict.target.bound, spread_text(verdict.ratio, "{:.2f}"), word


def _place(contender: Contender) -> tuple[int, int, int, bool]:
    """Where a row stands: by view, then by requests in flight, the floor first."""
    in_flight = 0 if contender.server == FLOOR else contender.in_flight
    views, servers = list(VIEWS), list(NAMES)
    place = (views.index(contender.path), in_flight, servers.index(contender.server))
    return (*place, contender.apart)


def _row(results: Results, contender: Contender) -> tuple[str, ...]:
    floor = Contender(FLOOR, contender.path.replace("-async", ""))
    return (
        VIEWS[contender.path],
        contender.name,
        str(contender.in_flight) if contender.server != FLOOR else "",
        spread_text(results.spread(contender, lambda sample: sample.rate), "{:,.0f}"),
        spread_text(results.spread(contender, lambda sample: sample.cpu * 1e6), "{:,.0f}"),
        f"{results.ratio(contender, floor, 'cpu').median:.2f}",
        _latency(results, contender, 0.5),
        _latency(results, contender, 0.99),
        f"{results.spread(contender, lambda sample: sample.server_busy).median:.0%}",
        f"{results.spread(contender, lambda sample: sample.generator_busy).median:.0%}",
    )


def _latency(results: Results, contender: Contender, quantile: float) -> str:
    latencies = [sample.latency(quantile) for sample in results.samples[contender]]
    known = [latency * 1e3 for latency in latencies if latency is not None]
    return f"{Spread.of(known).median:.2f}" if known else ""


def _connections(results: Results, workers: int) -> str:
    if not results.connections:
        return "Not counted: there was no PostgreSQL (`pgserver` has no wheel for this Python)."
    rows = (
        (row.server, str(row.requests), str(row.failed), str(row.left_open))
        for row in results.connections
    )
    return (
        "A view with one query, CONN_MAX_AGE=60, PostgreSQL's default limits; what\n"
        "`pg_stat_activity` shows when the last answer is there. WORKERS is "
        f"{workers}.\n\n" + table(("served by", "requests", "of them failed", "left open"), rows)
    )
