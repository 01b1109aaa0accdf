"""``python -m benchmarks.push``: run it all and write ``benchmarks/push.md``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import processes
from benchmarks.processes import Cores, allow_files, in_own_session, say
from benchmarks.push import report
from benchmarks.push.bench import BURST, FULL, SHORT, Bench
from benchmarks.valkey import valkey

RESULTS = Path(__file__).resolve().parent.parent / "push.md"
#: Servers that have their subscribers at the same time, and files beside the connections.
SERVERS, OTHER_FILES = 6, 500


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="a few subscribers, printed and not written"
    )
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args(arguments)
    plan = SHORT if options.short else FULL
    # The server may see the clients come back before it has seen all of them go.
    allow_files(max(2 * plan.clients, SERVERS * plan.subscribers) + OTHER_FILES)
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.generator})
    first = processes.raise_priority(os.getpid())
    with (
        tempfile.TemporaryDirectory(prefix="bench-push-") as folder,
        valkey(cores.generator, Path(folder)) as url,
    ):
        bench = Bench(plan, cores, Path(folder), url)
        uvloop.run(bench.run())
    text = report.markdown(
        bench.figures,
        {
            "elsewhere": "another" if cores.apart else "the same (there is only one)",
            "priority": f"{processes.NICENESS} for all of them" if first else "unchanged",
            "rounds": plan.rounds,
            "subscribers": plan.subscribers,
            "burst": BURST,
            "pace": plan.pace,
            "clients": plan.clients,
            "missed": plan.missed,
            "recoveries": plan.recoveries,
        },
    )
    if not options.short:
        RESULTS.write_text(text)
    print(text)
    missed = bench.figures.missed()
    for figure in missed:
        say(f"Missed: {figure.group}: {figure.claim}")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(in_own_session(main))
