"""``python -m benchmarks.connections``: run it all and write ``benchmarks/connections.md``."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import load, processes
from benchmarks.connections import memory, report
from benchmarks.connections.beside import Accompanied, Paced, flood
from benchmarks.connections.crowd import PER_ADDRESS, occupy
from benchmarks.connections.streams import read_stream
from benchmarks.figures import NONE, Figures, Target
from benchmarks.load import Load, SocketLoad
from benchmarks.processes import Cores, in_own_session, say
from benchmarks.project.settings import SLOW_SECONDS, WORKERS
from benchmarks.samples import Sample
from benchmarks.servers import Server, explained, uvicorn

RESULTS = Path(__file__).resolve().parent.parent / "connections.md"
NEIGHBOURS = 8
PACE, STALL = 20.0, 2.0
MANY = 10_000
KIB_EACH = Target(at_most=24)
NEAR_BASE = Target(at_most=0.1)
STREAM_MIB = Target(less_than=8)
TIMES = Target(at_most=2)
KIB, MIB, SHARE = "{:.2f} KiB", "{:.2f} MiB", "{:.2f}"
#: Files that the server or the clients hold open beside their connections.
OTHER_FILES = 500


@dataclass(frozen=True)
class Plan:
    """How much of it all."""

    rounds: int
    seconds: float
    idle: int
    idle_rounds: int
    crowd: int
    megabytes: int
    stream_rounds: int


FULL = Plan(rounds=11, seconds=0.8, idle=5000, idle_rounds=3, crowd=MANY, megabytes=100,
            stream_rounds=3)  # fmt: skip
SHORT = Plan(rounds=2, seconds=0.4, idle=300, idle_rounds=1, crowd=500, megabytes=20,
             stream_rounds=1)  # fmt: skip


class Bench:
    """One run: its servers, and what is asked of them."""

    def __init__(self, plan: Plan, cores: Cores, place: Path) -> None:
        self.plan, self.cores, self.place = plan, cores, place
        self.env = {"BENCH_SQLITE": str(place / "bench.sqlite3")}
        self.figures = Figures()

    def server(self, name: str, application: str = "asgi_socket", **options: str) -> Server:
        env = {**self.env, "BENCH_RATE": options.pop("rate", "none")}
        return Server(name, uvicorn(application, **options), self.cores.server, self.place, env)

    def run(self) -> None:
        processes.run_to_end(["-m", "benchmarks.project.prepare"], env=self.env)
        for number in range(1, self.plan.idle_rounds + 1):
            say(f"idle connections, round {number} of {self.plan.idle_rounds}")
            self.idle()
        say(f"{self.plan.crowd:,} connections")
        self.crowd()
        with self.server("beside") as unlimited, self.server("rated", rate="default") as rated:
            for number in range(1, self.plan.rounds + 1):
                say(f"neighbours, round {number} of {self.plan.rounds}")
                self.slow(unlimited)
                self.flood(unlimited, rated)
        with self.server("streams") as server:
            for number in range(1, self.plan.stream_rounds + 1):
                say(f"streams, round {number} of {self.plan.stream_rounds}")
                self.streams(server)

    def idle(self) -> None:
        """What a connection takes that says nothing, with either event loop."""
        for loop in ("uvloop", "asyncio"):
            with self.server(f"idle-{loop}", loop=loop) as server, explained(server):
                found = uvloop.run(occupy(server.port, self.plan.idle, resident(server)))
            with self.server(f"bare-{loop}", "asgi_bare", loop=loop) as server, explained(server):
                bare = uvloop.run(
                    occupy(server.port, self.plan.idle, resident(server), counted=False)
                )
            for step, name in (("opened", "opened"), ("answered", "after a request")):
                target = KIB_EACH if step == "opened" else NONE
                for kept, what, bound in (
                    (found, loop, target),
                    (bare, f"{loop}, a bare server", NONE),
                ):
                    size = kept.each(step) / memory.KIB
                    self.figures.add("idle", f"{what}, {name}", size, KIB, bound)

    def crowd(self) -> None:
        """As many connections as a process takes: open, answered, closed, and forgotten."""
        number = self.plan.crowd
        with self.server("crowd") as server, explained(server):
            found = uvloop.run(occupy(server.port, number, resident(server), limit=MANY))
        add, mib = self.figures.add, memory.MIB
        add("crowd", "the process before", found.base / mib, MIB)
        add("crowd", "all open", found.opened / mib, MIB)
        add("crowd", "all have asked", found.answered / mib, MIB)
        add("crowd", "all are closed", found.left / mib, MIB)
        add("crowd", "as many again", found.again / mib, MIB)
        add("crowd", "still in use, of what they took", found.kept, SHARE, NEAR_BASE)
        add("crowd", "growth when they come again", found.grown, SHARE, NEAR_BASE)
        self.figures.facts.append((f"{number:,} connections open at once, all answered", True))
        if number == MANY:
            self.figures.facts.append(("one more is refused with 503", found.refused))

    def slow(self, server: Server) -> None:
        """Fast requests on a socket, with and without slow ones."""
        for in_flight in (1, 8):
            alone = self.ask(server, Accompanied("/empty/", in_flight))
            for name, path, number in (
                ("an async one", "/slow-async/", 1),
                ("8 async ones", "/slow-async/", 8),
                ("a sync one", "/slow/", 1),
                (f"{WORKERS - 2} sync ones", "/slow/", WORKERS - 2),
            ):
                together = self.ask(server, Accompanied("/empty/", in_flight, [path] * number))
                if path == "/slow/":
                    time.sleep(SLOW_SECONDS)  # they hold their threads until they end
                claim = f"{in_flight} in flight, {name} beside"
                self.figures.add("slow", claim, p99(together) / p99(alone), SHARE, TIMES)

    def flood(self, unlimited: Server, rated: Server) -> None:
        """Neighbours with and without a flood."""
        busy = SocketLoad("/empty/", 1, sockets=NEIGHBOURS)
        calm = Paced("/empty/", NEIGHBOURS, 0.02)
        for server, path, name, neighbours in (
            (unlimited, "/empty/", "a sync view", busy),
            (unlimited, "/empty-async/", "an async view", busy),
            (rated, "/empty/", "a sync view, default MESSAGES_PER_SECOND", busy),
            (unlimited, "/empty/", "a sync view; calm neighbours", calm),
        ):
            alone = self.ask(server, neighbours)
            log = self.place / "flood.log"
            with flood(server.port, path, self.cores.generator, log):
                flooded = self.ask(server, neighbours)
            target = TIMES if neighbours is busy else NONE
            self.figures.add("flood", f"flood of {name}", p99(flooded) / p99(alone), SHARE, target)
            median = p50(flooded) / p50(alone)
            self.figures.add("flood", f"flood of {name}: their median", median, SHARE)

    def streams(self, server: Server) -> None:
        """A long stream, read fast and slowly."""
        size = self.plan.megabytes * 1000 * 1000
        path = self.place / "stream.bin"
        if not path.exists():
            path.write_bytes(os.urandom(size))
        for name, url in (
            ("a synchronous generator", f"/stream/{size}/"),
            ("an asynchronous generator", f"/stream-async/{size}/"),
            ("FileResponse", f"/file/?path={path}"),
        ):
            for how, pace, stall in (("", None, 0.0), (", read slowly", PACE * 1e6, STALL)):
                with explained(server):
                    uvloop.run(read_stream(server.port, "/stream/1000000/"))
                    pid = pid_of(server)
                    memory.forget_peak(pid)
                    before = memory.resident(pid)
                    read = uvloop.run(read_stream(server.port, url, pace=pace, stall=stall))
                if read != size:
                    raise RuntimeError(f"{url}: {read} bytes instead of {size}")
                taken = (memory.peak(pid) - before) / memory.MIB
                self.figures.add("stream", f"{name}{how}", taken, MIB, STREAM_MIB)

    def ask(self, server: Server, asked: Load) -> Sample:
        with explained(server):
            return uvloop.run(
                load.measure(
                    asked,
                    server.port,
                    server.cpu_seconds,
                    warm_up=0.15,
                    seconds=self.plan.seconds,
                )
            )


def p99(sample: Sample) -> float:
    return sample.latency(0.99) or 0.0


def p50(sample: Sample) -> float:
    return sample.latency(0.5) or 0.0


def pid_of(server: Server) -> int:
    assert server.process is not None
    return server.process.pid


def resident(server: Server) -> Callable[[], int]:
    return lambda: memory.resident(pid_of(server))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.connections", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="a few connections, printed and not written"
    )
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args(arguments)
    plan = SHORT if options.short else FULL
    raise_file_limit(plan.crowd + OTHER_FILES)
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.generator})
    first = processes.raise_priority(os.getpid())
    with tempfile.TemporaryDirectory(prefix="bench-connections-") as place:
        bench = Bench(plan, cores, Path(place))
        bench.run()
    text = report.markdown(
        bench.figures,
        {
            "clients": "another" if cores.apart else "the same (there is only one)",
            "priority": f"{processes.NICENESS} for all of them" if first else "unchanged",
            "workers": WORKERS,
            "rounds": f"{plan.rounds}; {plan.idle_rounds} for memory, {plan.stream_rounds} for streams",
            "idle": plan.idle,
            "crowd": plan.crowd,
            "addresses": -(-plan.crowd // PER_ADDRESS),
            "neighbours": NEIGHBOURS,
            "megabytes": plan.megabytes,
            "pace": PACE,
            "stall": STALL,
        },
    )
    if not options.short:
        RESULTS.write_text(text)
    print(text)
    missed = [f"{figure.group}: {figure.claim}" for figure in bench.figures.missed()]
    untrue = bench.figures.untrue()
    for claim in (*missed, *untrue):
        say(f"Missed: {claim}")
    return 1 if untrue or (options.check and missed) else 0


def raise_file_limit(needed: int) -> None:
    """Let this process, and the servers that it starts, hold so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} open files are needed, and {hard} allowed (ulimit -Hn).")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


if __name__ == "__main__":
    sys.exit(in_own_session(main))
