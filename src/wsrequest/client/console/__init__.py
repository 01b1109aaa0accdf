"""``python -m wsrequest URL``: a console for people, and for scripts."""

from __future__ import annotations

import argparse
import asyncio
import sys

from wsrequest.client.console.commands import HELP
from wsrequest.client.console.printing import Plain
from wsrequest.client.console.session import FAILED, INTERRUPTED, USAGE, Console
from wsrequest.client.options import Options

__all__ = ["main"]

_EPILOG = f"""\
commands, one a line:
{HELP}

Where standard input is no terminal, or with -c, each answer, event and state is one line of JSON on standard output,
and what went wrong is said on standard error.

exit status: 0; 1 where an answer had a status of 400 or more; 2 for a command that can't be read; 3 where there was no
connection, or none any more; 130 after Ctrl+C.
"""


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        options = _options(parsed)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    lines = parsed.command
    if lines is None and not sys.stdin.isatty():
        lines = sys.stdin
    try:
        if lines is not None:
            printer = Plain(sys.stdout, sys.stderr, with_headers=parsed.headers)
            console = Console(parsed.url, options, printer, most_events=parsed.events)
            return asyncio.run(console.run_lines(lines))
        from wsrequest.client.console.terminal import run_terminal

        return asyncio.run(run_terminal(parsed.url, options, with_headers=parsed.headers))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has had enough
        sys.stderr.close()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wsrequest",
        description="Talk to a Django project over its WebSocket.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="ws://host/ws/ or wss://host/ws/")
    parser.add_argument(
        "-c", "--command", action="append", help="do this and leave; may be repeated"
    )
    parser.add_argument(
        "-n", "--events", type=int, help="leave a subscription after so many lines of it"
    )
    parser.add_argument("-i", "--headers", action="store_true", help="show the headers of answers")
    parser.add_argument("-t", "--token", help="the token of the connection")
    parser.add_argument("--cookie", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--origin", help="the Origin of the handshake; by default the url's own site"
    )
    parser.add_argument("--msgpack", action="store_true", help="speak MessagePack instead of JSON")
    return parser


def _options(parsed: argparse.Namespace) -> Options:
    from wsrequest.client.options import target

    options = Options(codec="msgpack" if parsed.msgpack else "json", token=parsed.token)
    options["cookies"] = dict(_pair(cookie) for cookie in parsed.cookie)
    options["origin"] = parsed.origin or target(parsed.url, options).http
    return options


def _pair(cookie: str) -> tuple[str, str]:
    name, separator, value = cookie.partition("=")
    if not separator:
        raise ValueError(f"{cookie!r} is no cookie: write NAME=VALUE")
    return name, value
