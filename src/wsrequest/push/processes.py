"""Whether several processes serve the project, as far as that can be told from the inside of one."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

#: Variables that say how many: of several servers, and of one.
_VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")

#: Servers that are told by an option: all know ``--workers``, and some a short one.
_SERVERS = {"granian", "gunicorn", "hypercorn", "uvicorn"}
_LONG = re.compile(r"--workers=(\d+)")
_SHORT = re.compile(r"-w=?(\d+)")


def several_processes() -> str | None:
    """What says so (``"WEB_CONCURRENCY=4"``, ``"--workers 4"``); None where nothing does. Configuration files are not
    looked at."""
    return next((said for said, number in _told() if number > 1), None)


def _told() -> Iterator[tuple[str, int]]:
    for variable in _VARIABLES:
        value = os.environ.get(variable, "")
        if value.isdecimal():
            yield f"{variable}={value}", int(value)
    for arguments in (_of_the_server(), _of_gunicorn()):
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
            found = _LONG.fullmatch(argument) or _SHORT.fullmatch(argument)
            if found:
                yield argument, int(found[1])
            elif argument in ("--workers", "-w") and following.isdecimal():
                yield f"{argument} {following}", int(following)


def _of_the_server() -> list[str]:
    """This process's own arguments, where it is a server (``gunicorn ...``, ``python -m uvicorn ...``)."""
    program, *arguments = sys.argv or [""]
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.stem
    return arguments if name in _SERVERS else []


def _of_gunicorn() -> list[str]:
    try:
        return shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))
    except ValueError:  # quotation marks that don't match: gunicorn will say so
        return []
