"""``python -m benchmarks.live``: run it all and write ``benchmarks/live.md``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import processes
from benchmarks.live import report
from benchmarks.live.bench import FULL, SHORT, Bench
from benchmarks.postgres import database
from benchmarks.processes import Cores, allow_files, in_own_session, say
from benchmarks.valkey import valkey

RESULTS = Path(__file__).resolve().parent.parent / "live.md"
#: Files beside the clients' connections.
OTHER_FILES = 500
#: Seconds after which the servers' part is given up.
PATIENCE = 900.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="a few clients, printed and not written"
    )
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args(arguments)
    plan = SHORT if options.short else FULL
    allow_files(plan.crowd + OTHER_FILES)
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.generator})
    first = processes.raise_priority(os.getpid())
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        bench = Bench(plan, cores, Path(folder))
        with database() as postgres, valkey(cores.generator, Path(folder)) as url:
            bench.costs("SQLite", bench.sqlite, url)
            if postgres.postgres is not None:
                bench.costs("PostgreSQL", postgres.env, url)
            name = postgres.name
        uvloop.run(asyncio.wait_for(bench.serving(), PATIENCE))
    text = report.markdown(
        bench.figures,
        bench.cells,
        {
            "elsewhere": "another" if cores.apart else "the same (there is only one)",
            "priority": f"{processes.NICENESS} for all of them" if first else "unchanged",
            "postgres": "" if name == "SQLite" else f"; {name} on the other core, by a Unix socket",
            "rounds": plan.rounds,
            "gets": plan.gets,
            "saves": plan.saves,
            "users": plan.users,
            "crowd": plan.crowd,
            "changes": plan.changes,
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


if __name__ == "__main__":
    sys.exit(in_own_session(main))
