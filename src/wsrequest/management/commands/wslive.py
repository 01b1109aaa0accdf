"""``manage.py wslive``: what is kept up to date in all processes, and what it depends on."""

from __future__ import annotations

import argparse
import asyncio
import json
import textwrap
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from wsrequest.livequery.report import MOST, Audience, Dependency
from wsrequest.log import shown
from wsrequest.management.census import Answer, Census
from wsrequest.management.topics import broker_errors
from wsrequest.push.brokers import DEFAULT, broker_of
from wsrequest.push.brokers.base import Broker

WIDTH = 80
NO_BREAK = "\N{NO-BREAK SPACE}"

#: Seconds that may be waited.
LONGEST = 60.0


class Command(BaseCommand):
    """Asks whatever processes have connections, and prints what has come after a while."""

    help = "Show which GETs are live in all processes, for how many, and what they depend on."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wait",
            type=_seconds,
            default=1.0,
            metavar="SECONDS",
            help="for the processes' answers (default: 1)",
        )
        parser.add_argument(
            "--most",
            type=_number,
            default=50,
            metavar="N",
            help="GETs of a process that are shown, those with most subscribers (default: 50)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        census = Census()
        with broker_errors():
            asyncio.run(census.take(_shared_broker(), options["most"], options["wait"]))
        if options["json"]:
            self.stdout.write(json.dumps({"processes": [_facts(each) for each in census.answers]}))
        elif census.answers:
            self._show(census.answers)
        else:
            text = (
                f"Nobody has answered within {options['wait']:g} s. A process answers as soon as it has had a"
                " connection."
            )
            self.stdout.write(self.style.WARNING(textwrap.fill(text, WIDTH)))

    def _show(self, answers: list[Answer]) -> None:
        audiences = sum(each.head.total for each in answers)
        subscribers = sum(each.head.subscribers for each in answers)
        text = f"{_many(audiences, 'live GET')} for {_many(subscribers, 'subscriber')} in {_processes(answers)}"
        self.stdout.write(self.style.MIGRATE_HEADING(text))
        for answer in answers:
            self.stdout.write("")
            self._show_process(answer)

    def _show_process(self, answer: Answer) -> None:
        head, audiences = answer.head, answer.audiences
        figures = (
            f"{_many(head.total, 'live GET')} for {_many(head.subscribers, 'subscriber')};"
            f" {_runs(head.reruns, head.saved)}"
        )
        self.stdout.write(self.style.MIGRATE_LABEL(_harmless(head.process)))
        self.stdout.write(_paragraph(figures, "  "))
        for audience in audiences:
            self.stdout.write("")
            self._show_audience(audience)
        omitted = head.total - len(audiences)
        if omitted > 0:
            why = "(see --most)" if answer.is_whole else "(not all has come; see --wait)"
            self.stdout.write("")
            self.stdout.write(f"  ... and {_many(omitted, 'live GET')} more {why}")

    def _show_audience(self, audience: Audience) -> None:
        self.stdout.write(f"  {self.style.SUCCESS(_cut(audience.url))}")
        by = ", ".join(map(_harmless, audience.varies))
        whom = f"differs by {by}" if by else "the same for everyone"
        self.stdout.write(
            _paragraph(
                f"{_many(audience.subscribers, 'subscriber')}, {whom}; {_runs(audience.reruns, audience.saved)};"
                f" answered {_ago(audience.age)}",
                "    ",
            )
        )
        reads = [_dependency(each) for each in audience.reads]
        if audience.reads_omitted:
            reads.append(f"{audience.reads_omitted} more tables")
        self.stdout.write(_paragraph(f"reads {', '.join(reads) or 'no table'}", "    "))


def _shared_broker() -> Broker:
    broker = broker_of()
    if broker.within_process:
        raise CommandError(
            f"The broker {DEFAULT!r} is a {type(broker).__name__}: it reaches its own process only, and the server is"
            " another one. Choose a broker that processes share, in WSREQUEST['BROKERS']."
        )
    return broker


def _facts(answer: Answer) -> dict[str, Any]:
    head = answer.head
    return {
        "process": head.process,
        "audiences": head.total,
        "subscribers": head.subscribers,
        "reruns": head.reruns,
        "saved": head.saved,
        "whole": answer.is_whole and len(answer.audiences) == head.total,
        "live": [msgspec.to_builtins(each) for each in answer.audiences],
    }


# In words.


def _processes(answers: list[Answer]) -> str:
    number = len({each.head.process for each in answers})
    return f"{number} process{'' if number == 1 else 'es'}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _runs(reruns: int, saved: int) -> str:
    return f"{_many(reruns, 'run')}, {saved:,} saved"


def _ago(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return NO_BREAK.join((f"{seconds / size:.0f}", unit, "ago"))
    return "just now"


def _dependency(dependency: Dependency) -> str:
    table, keys, rows = dependency.table, dependency.keys, dependency.rows
    if table.startswith("name:"):
        return shown(table.removeprefix("name:"))
    name = _harmless(table)
    if rows is None:
        return name
    if not keys:
        return f"{name}{NO_BREAK}({_many(rows, 'row')})"
    more = f" and {rows - len(keys)} more" if rows > len(keys) else ""
    return f"{name}{NO_BREAK}({', '.join(map(_harmless, keys))}{more})"


def _harmless(text: str) -> str:
    """Without what a terminal would obey."""
    return shown(text)[1:-1]


def _cut(url: str) -> str:
    text = shown(url)
    return text if len(text) <= WIDTH - 2 else f"{text[: WIDTH - 6]}...{text[-1]}"


def _paragraph(text: str, indent: str) -> str:
    """Wrapped; but not at a no-break space."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    ).replace(NO_BREAK, " ")


# Arguments.


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to {LONGEST:g}")
    return seconds


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST}")
    return int(text)
