"""The report, as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.figures import Figures, facts_table, figures_table

HELD_STILL = """\
Held still: the same project and middleware (`startproject`'s seven), DEBUG off, SQLite, no log of
requests; one uvicorn process with one worker on one core, the clients on {clients}; httptools,
websockets, no compression; loopback, no TLS; the protocol negotiated (`wsrequest.v1.json`), eight
headers in a handshake; niceness {priority}. WORKERS is {workers}, everything else the default but
MESSAGES_PER_SECOND, which is off unless a row says so. What is compared is asked in turn in each of
the rounds, and a ratio is taken within a round. Figures are medians over the rounds ({rounds}),
lowest and highest in parentheses. Every answer's status and body (of a stream: size) is checked."""

ABOUT = {
    "idle": """\
## An idle connection

What the server process has in memory (RSS) above its own, divided by {idle:,} connections. *Opened*:
it was greeted and said nothing. *After a request*: it asked for the empty view once, all of them at
the same time; what the process took for that moment and has free by now is counted, too, as the
system does not get it back. The bare server is uvicorn with an application of thirty lines that keeps
nothing: what is left is ours.""",
    "crowd": """\
## Many connections in one process

{crowd:,} connections from {addresses} addresses (MAX_CONNECTIONS is 10,000 and MAX_CONNECTIONS_PER_ADDRESS
1,000), all open at once; each asks for the empty view; all close, and as many come again. *Still in
use* is counted in Python's own blocks of memory (`sys.getallocatedblocks`), after the collector has
run. The process keeps most of what is free then, for the next to come: Python's allocator gives an
arena of a mebibyte back to the system only when nothing at all is left in it.""",
    "slow": """\
## A slow view beside fast ones

One socket with a number of requests for the empty view under way all the time, and beside them on the
same socket requests for a view that takes a second: p99 of the fast ones, with / without. A
synchronous slow view takes one of the WORKERS ({workers}) for its second: as long as one is left for
the fast ones, they don't wait.""",
    "flood": """\
## A flood beside neighbours

{neighbours} connections with one request under way each, and one more that sends requests as fast as they
are taken, from a process of its own, and reads its answers: p99 of the neighbours, with / without. It
holds MAX_IN_FLIGHT (32) and MAX_QUEUED (128) places all the time. The other rows show their median
in the same way, and neighbours that pause for 20 ms after each answer.""",
    "stream": """\
## A stream of {megabytes} MB

The most that the process had in memory during the stream, above what it had before. The file is
random bytes, which go as base64; the generators yield text in pieces of 44 kB. *Slowly*: the client
reads {pace:g} MB a second, and in the midst nothing at all for {stall:g} s.""",
}


def markdown(figures: Figures, held: dict[str, object]) -> str:
    """Return the whole report."""
    system, versions = machine.describe()
    parts = [
        "# What connections cost, and what they do to each other",
        f"Made by `make bench-connections` on {datetime.now(UTC).date()}. {system}. {versions}.",
        HELD_STILL.format(**held),
    ]
    for group, rows in figures.groups().items():
        parts.append(ABOUT[group].format(**held))
        parts.append(figures_table(rows))
    if figures.facts:
        parts += ["## Also", facts_table(figures)]
    return "\n\n".join(parts) + "\n"
