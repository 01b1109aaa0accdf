"""``python -m benchmarks``: run it all and write ``benchmarks/results.md``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import load, plan, processes, report
from benchmarks.floor import Floor
from benchmarks.plan import BARE, DJANGO, GRANIAN, NAMES, SOCKET, Contender
from benchmarks.postgres import Database, database
from benchmarks.processes import Cores, in_own_session
from benchmarks.project.settings import WORKERS
from benchmarks.results import Connections, Results, Verdict
from benchmarks.samples import Sample
from benchmarks.servers import Server, granian, uvicorn

RESULTS = Path(__file__).with_name("results.md")
CONNECTION_REQUESTS = 640
GENERATOR_LIMIT = 0.85


@dataclass(frozen=True)
class Pace:
    """How many rounds, and how long each contender is asked in one."""

    rounds: int
    seconds: float
    warm_up: float
    granian_threads: Sequence[int]


# Many short rounds: neighbours in time then see the same weather on a machine that is shared.
FULL = Pace(rounds=15, seconds=0.5, warm_up=0.15, granian_threads=(1, 2, 4))
SHORT = Pace(rounds=1, seconds=0.3, warm_up=0.1, granian_threads=(2,))


class Bench:
    """One run: its processes, and what is asked of them."""

    def __init__(self, pace: Pace, cores: Cores, where: Database, logs: Path) -> None:
        self.pace, self.cores, self.database, self.logs = pace, cores, where, logs
        self.results = Results()
        self.granian_threads = pace.granian_threads[0]

    def server(self, name: str, command: Sequence[str], **env: str) -> Server:
        return Server(name, command, self.cores.server, self.logs, {**self.database.env, **env})

    def prepare(self) -> None:
        processes.run_to_end(["-m", "benchmarks.project.prepare"], env=self.database.env)

    def choose_granian(self) -> None:
        """Let granian try its numbers of threads, and keep the one that answers most."""
        rates: dict[int, float] = {}
        if len(self.pace.granian_threads) == 1:
            return
        for threads in self.pace.granian_threads:
            with self.server(f"granian-{threads}", granian(threads)) as server:
                sample = self.ask(Contender(GRANIAN, "/empty/", 16), server)
            rates[threads] = sample.rate
            say(f"granian with {threads} threads: {sample.rate:,.0f} requests/s")
        self.granian_threads = max(rates, key=lambda threads: rates[threads])

    def measure_all(self) -> None:
        """Ask every contender in turn, round after round."""
        with ExitStack() as stack:
            floor = stack.enter_context(
                Floor(core=self.cores.server, logs=self.logs, env=self.database.env)
            )
            servers = {
                SOCKET: self.server(SOCKET, uvicorn("asgi_socket")),
                # As Django's documentation says: no persistent connections under ASGI.
                DJANGO: self.server(DJANGO, uvicorn("asgi_django"), BENCH_CONN_MAX_AGE="0"),
                GRANIAN: self.server(GRANIAN, granian(self.granian_threads)),
                BARE: self.server(BARE, uvicorn("asgi_bare")),
            }
            for server in servers.values():
                stack.enter_context(server)
            for number in range(1, self.pace.rounds + 1):
                say(f"round {number} of {self.pace.rounds}")
                for contender in plan.contenders():
                    if contender.load is None:
                        sample = floor.run(
                            contender.path, warm_up=self.pace.warm_up, seconds=self.pace.seconds
                        )
                    else:
                        sample = self.ask(contender, servers[contender.server])
                    self.results.add(contender, sample)

    def ask(self, contender: Contender, server: Server) -> Sample:
        assert contender.load is not None
        with explained(f"{contender}", server):
            return uvloop.run(
                load.measure(
                    contender.load,
                    server.port,
                    server.cpu_seconds,
                    warm_up=self.pace.warm_up,
                    seconds=self.pace.seconds,
                )
            )

    def count_connections(self) -> None:
        """Make 640 requests with a query each, and see how many connections stay open."""
        if self.database.postgres is None:
            return
        for name, application, asked in (
            (SOCKET, "asgi_socket", load.SocketLoad("/row/", 16, sockets=10)),
            (DJANGO, "asgi_django", load.HTTPLoad("/row/", 16)),
        ):
            with self.server(f"{name}-connections", uvicorn(application)) as server:
                with explained("Counting connections", server):
                    tally = uvloop.run(load.count(asked, server.port, CONNECTION_REQUESTS))
                left = self.database.connections(server.name)
            self.results.connections.append(
                Connections(NAMES[name], CONNECTION_REQUESTS, tally.failed, left)
            )


@contextmanager
def explained(what: str, server: Server) -> Iterator[None]:
    """Add to an error what was being done, and what the server said meanwhile."""
    try:
        yield
    except Exception as error:
        error.add_note(f"{what}; the server said:\n{server.log.read_text()[-2000:]}")
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    pace = SHORT if options.short else FULL
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.generator})
    first = processes.raise_priority(os.getpid())
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as logs, database() as where:
        bench = Bench(pace, cores, where, Path(logs))
        bench.prepare()
        bench.choose_granian()
        bench.count_connections()
        bench.measure_all()
        database_name = where.name
    verdicts = [bench.results.verdict(target) for target in plan.targets()]
    text = report.markdown(
        bench.results,
        verdicts,
        database=database_name,
        workers=WORKERS,
        held={
            "generator": "another" if cores.apart else "the same (there is only one)",
            "threads": ", ".join(map(str, pace.granian_threads)),
            "granian": bench.granian_threads,
            "priority": f"{processes.NICENESS} for all of them" if first else "unchanged",
            "rounds": pace.rounds,
            "seconds": pace.seconds,
            "warm_up": pace.warm_up,
        },
    )
    if not options.short:
        RESULTS.write_text(text)
    print(text)
    complaints = list(wrong(bench))
    if options.check:
        complaints += missed(bench, verdicts)
    for complaint in complaints:
        say(complaint)
    return 1 if complaints else 0


def wrong(bench: Bench) -> Iterator[str]:
    """Yield what must not be, however fast or slow the machine is."""
    for row in bench.results.connections:
        if row.server == NAMES[SOCKET] and (row.failed or row.left_open > WORKERS):
            yield f"{row} is against the promise: at most {WORKERS} connections, and no failure."


def missed(bench: Bench, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the targets that this run did not reach, or could not tell."""
    for verdict in verdicts:
        if not verdict.met:
            yield f"Missed: {verdict.target.claim}, {verdict.ratio.median:.2f}"
    if not bench.results.connections:
        yield "Not measured: the connections, for want of PostgreSQL."
    for contender in bench.results.samples:
        busy = bench.results.spread(contender, lambda sample: sample.generator_busy).median
        if busy > GENERATOR_LIMIT:
            yield f"Not measured: the generator was {busy:.0%} busy with {contender}."
    if not bench.cores.apart:
        yield "Not measured: there is one core only, which the generator takes a share of."


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="one quick round, printed and not written"
    )
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    return parser.parse_args(arguments)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(in_own_session(main))
