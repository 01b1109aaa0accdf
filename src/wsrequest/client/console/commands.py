"""A line of the console as a command. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

HELP = """\
  GET /api/things/                  a request; also POST, PUT, PATCH, DELETE, HEAD, OPTIONS
  POST /api/things/ {"a": 1}        with a JSON body
  SUBSCRIBE /api/things/            the events of a url
  LIVE /api/things/                 what a url answers, and each newer answer
  CANCEL /api/things/               end a subscription; without a url, all of them
  HEADER Accept-Language: de        a header of all requests from now on; without a value, it is dropped;
                                    without anything, those that are set are shown
  TOKEN abc                         another token for the connection; without one, it has none
  HELP, QUIT"""

#: Words that are no methods.
WORDS = ("CANCEL", "EXIT", "HEADER", "HELP", "LIVE", "QUIT", "SUBSCRIBE", "TOKEN")
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class NoCommand(ValueError):
    """A line that can't be read; it says what to write."""


@dataclass(frozen=True, slots=True)
class Command:
    """``verb`` in capitals; ``rest`` is a url, a header or a token; ``body`` is JSON text, or None for none."""

    verb: str
    rest: str = ""
    body: str | None = None


def parse(line: str) -> Command | None:
    """None for an empty line, or a comment. Raises NoCommand."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    word, _, rest = line.partition(" ")
    verb, rest = word.upper(), rest.strip()
    if verb in ("HEADER", "TOKEN", "HELP", "QUIT", "EXIT"):
        return Command("QUIT" if verb == "EXIT" else verb, rest)
    if not (verb.isascii() and verb.isalpha()):
        raise NoCommand(f"{word!r} is no command; HELP lists them")
    url, _, body = rest.partition(" ")
    body = body.strip()
    if verb == "CANCEL" and not url:
        return Command(verb)
    if not url.startswith("/"):
        raise NoCommand(f"Write a path of the site after {verb}: {verb} /path/")
    if body and verb in ("SUBSCRIBE", "LIVE", "CANCEL"):
        raise NoCommand(f"{verb} has nothing after its path")
    if body:
        _check_json(body)
    return Command(verb, url, body or None)


def header(rest: str) -> tuple[str, str]:
    """Name and value of a header; the value is "" for one that is to be dropped. Raises NoCommand."""
    name, _, value = rest.partition(":")
    name = name.strip().lower()
    if not name or not all(char.isalnum() or char == "-" for char in name) or not name.isascii():
        raise NoCommand("Write HEADER Name: value")
    return name, value.strip()


def _check_json(text: str) -> None:
    try:
        json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise NoCommand(f"The body is no JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"there is no {name}")
