"""``manage.py wswatch URL``: a topic's events in a terminal, as they come."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from wsrequest.management.follower import (
    Began,
    Event,
    Follower,
    Interrupted,
    Lost,
    Passing,
    Told,
)
from wsrequest.management.topics import (
    broker_errors,
    is_known,
    shared_broker,
    topic_of_argument,
    unknown,
    written,
)
from wsrequest.push.brokers.base import Position
from wsrequest.push.publication import Joined, Left, publication_in, word_in

#: Characters of data that stand on the line of their event.
SHORT = 60


class Enough(Exception):
    """As many events as were asked for have been shown."""


class Command(BaseCommand):
    """Follows the topic by itself, as a process with connections does."""

    help = "Show the events of a URL as they are published. Ctrl-C ends it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="the path, as clients subscribe to it, or an @ name")
        parser.add_argument(
            "--since",
            type=_position,
            metavar="EPOCH:OFFSET",
            help="begin with what is kept after this position",
        )
        parser.add_argument("--json", action="store_true", help="a line of JSON for each")
        parser.add_argument("--count", type=_count, metavar="N", help="end after so many events")

    def handle(self, *args: Any, **options: Any) -> None:
        self.topic = topic_of_argument(options["url"])
        self.left: int | None = options["count"]
        self.show = self._show_json if options["json"] else self._show
        if not is_known(self.topic):
            self.stderr.write(self.style.WARNING(unknown(self.topic)))
        try:
            with broker_errors():
                broker = shared_broker(self.topic)
                asyncio.run(Follower(self.topic, self._tell).follow(broker, options["since"]))
        except (Enough, KeyboardInterrupt):
            pass
        except BrokenPipeError:
            # Nobody reads any more; nor is anybody there for what the interpreter still flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _tell(self, told: Told) -> None:
        self.show(told)
        self.stdout.flush()
        if isinstance(told, Event) and self.left is not None:
            self.left -= 1
            if not self.left:
                raise Enough

    # For people.

    def _show(self, told: Told) -> None:
        style = self.style
        match told:
            case Began(position):
                text = f"Watching {self.topic} from {written(position)} on. Ctrl-C ends it."
                self.stdout.write(style.MIGRATE_HEADING(text))
            case Event():
                self._show_event(told)
            case Passing(payload):
                name, member = _said_in(payload)
                self._line(style.MIGRATE_LABEL(name), _harmless(member))
            case Lost(after, newest):
                self._line(style.ERROR(f"lost: {_reason(after, newest)}"))
            case Interrupted():
                self._line(style.WARNING("The broker is away. Events will follow, if they can."))
            case _:
                self._line(style.SUCCESS("The broker is back."))

    def _show_event(self, event: Event) -> None:
        time = "earlier " if event.kept else None
        number = self.style.MIGRATE_LABEL(f"{event.position.offset:>6}")
        try:
            said = publication_in(event.payload)
        except ValueError:
            self._line(number, self.style.ERROR("(not an event)"), time=time)
            return
        name = self.style.SUCCESS(_harmless(said.event))
        to = () if said.to is None else (f"to {_harmless(', '.join(_sorted(said.to)))}",)
        self._line(number, name, *to, time=time, data=json.loads(bytes(said.data)))

    def _line(self, *parts: str, time: str | None = None, data: Any = ...) -> None:
        line = "  ".join(part for part in (time or f"{_now():%H:%M:%S}", *parts) if part)
        if data is not ...:
            short = _harmless(json.dumps(data, ensure_ascii=False))
            if len(short) <= SHORT:
                line += f"  {short}"
            else:
                text = json.dumps(data, ensure_ascii=False, indent=2)
                line += "".join(f"\n    {_harmless(each)}" for each in text.split("\n"))
        self.stdout.write(line)

    # For programs.

    def _show_json(self, told: Told) -> None:
        match told:
            case Began(position):
                facts: dict[str, Any] = {"is": "watching", "topic": self.topic, **_json(position)}
            case Event(position, payload):
                facts = {"is": "event", **_json(position), **_facts_in(payload)}
            case Passing(payload):
                name, member = _said_in(payload)
                facts = {"is": name, **({"member": json.loads(member)} if member else {})}
            case Lost(after, newest):
                facts = {"is": "lost", "from": _json(after), "to": _json(newest)}
            case _:
                facts = {"is": "interrupted" if isinstance(told, Interrupted) else "resumed"}
        # When an event was published that the history had, nobody knows.
        if not (isinstance(told, Event) and told.kept):
            facts = {"time": _now().isoformat(timespec="milliseconds"), **facts}
        self.stdout.write(json.dumps(facts))


def _now() -> datetime:
    return datetime.now().astimezone()


def _json(position: Position) -> dict[str, Any]:
    return {"epoch": position.epoch, "offset": position.offset}


def _facts_in(payload: bytes) -> dict[str, Any]:
    try:
        said = publication_in(payload)
    except ValueError:
        return {"unreadable": True}
    to = {} if said.to is None else {"to": _sorted(said.to)}
    return {"event": said.event, **to, "data": json.loads(bytes(said.data))}


def _sorted(keys: frozenset[str]) -> list[str]:
    """Primary keys; numbers among them in their order."""
    return sorted(keys, key=lambda key: (len(key), key))


def _said_in(payload: bytes) -> tuple[str, str]:
    """What was said in passing, and of whom (JSON text, or nothing)."""
    try:
        word = word_in(payload)
    except ValueError:
        return "unreadable", ""
    if isinstance(word, Joined | Left):
        name = "join" if isinstance(word, Joined) else "leave"
        return name, bytes(word.member).decode()
    return "touch", ""


def _reason(after: Position, newest: Position) -> str:
    if after.epoch == newest.epoch:
        return f"{after.offset + 1} to {newest.offset} are not kept any more"
    return f"the history began anew; what came after {written(after)} is gone. On from {written(newest)}"


def _harmless(text: str) -> str:
    """What somebody published, without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _position(text: str) -> Position:
    epoch, colon, offset = text.rpartition(":")
    if not (colon and epoch and offset.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not EPOCH:OFFSET, as wspublish says it")
    return Position(epoch, int(offset))


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of events")
    return int(text)
