"""``manage.py wspublish URL JSON``: an event from a terminal, or from a shell script."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NoReturn

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from wsrequest.management.topics import (
    broker_errors,
    is_known,
    shared_broker,
    topic_of_argument,
    unknown,
    written,
)
from wsrequest.push.sending import publications

EXAMPLES = """\
examples:
  manage.py wspublish /orders/42/ '{"status": "paid"}' --event paid --to 7 12
  some-program | manage.py wspublish /orders/42/ -
"""


class _Help(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """With the examples as they are written here."""


class Command(BaseCommand):
    """Publishes at once, and says at which position."""

    help = "Publish an event to the subscribers of a URL."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=_Help, epilog=EXAMPLES, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="the path, as clients subscribe to it, or an @ name")
        parser.add_argument("json", help="the data, as JSON; - reads it from standard input")
        parser.add_argument("--event", default="message", help="its name (default: message)")
        parser.add_argument(
            "--to",
            nargs="+",
            action="extend",
            metavar="PK",
            help="only for the users with these primary keys",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        topic = topic_of_argument(options["url"])
        data = _read(sys.stdin.read() if options["json"] == "-" else options["json"])
        if not is_known(topic):
            self.stderr.write(self.style.WARNING(unknown(topic)))
        with broker_errors():
            shared_broker(topic)
            try:
                (sending,) = publications(topic, data, event=options["event"], to=options["to"])
            except ValueError as error:
                raise CommandError(str(error)) from error
            position = sending.send()
        assert position is not None
        self.stdout.write(
            f"{self.style.SUCCESS(options['event'])} published to {topic} at {written(position)}"
        )


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise CommandError(f"This is not JSON: {error}{_place(error)}") from error
    except RecursionError as error:
        raise CommandError("This is not JSON: it is nested too deep") from error


def _place(error: json.JSONDecodeError) -> str:
    """The part of the line where it is, and a mark below."""
    line = error.doc.split("\n")[error.lineno - 1]
    if not line.strip():
        return ""
    start = max(0, error.colno - 41)
    return f"\n  {line[start : start + 80]}\n  {' ' * (error.colno - 1 - start)}^"


def _refuse(constant: str) -> NoReturn:
    raise CommandError(f"This is not JSON: {constant} has no place there")
