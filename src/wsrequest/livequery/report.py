"""What is live in a process, for ``manage.py wslive``: who watches what, and what it depends on.

It goes to a terminal, so it holds no secret: of cookies and headers the names only, of rows the keys that are numbers
(the key of a row may be a token), and of the parameters of a url no value that may be one.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote_plus

import msgspec
from msgspec import Struct

from wsrequest.lifecycle.touched import Varies
from wsrequest.livequery.queries import Queries
from wsrequest.livequery.query import Query
from wsrequest.push.rows import Tables

#: Audiences that are told in one part.
PART = 50

#: Audiences of a process that are told, however many are asked for.
MOST = 10_000

#: Of a url, in characters; of the tables that a GET has read, and of the keys of a table's rows.
MOST_URL, MOST_TABLES, MOST_KEYS = 500, 50, 8

#: Characters of a parameter's value; a longer one may be something signed.
MOST_VALUE = 40

_SECRET = re.compile(
    r"api|auth|code|credential|jwt|key|pass|secret|session|sig|ticket|token", re.IGNORECASE
)


class Dependency(Struct, gc=False):
    """A table, or ``name:`` with a name that ``depends_on()`` gave. ``rows`` are so many of them, None for all;
    ``keys`` some of their keys."""

    table: str
    rows: int | None
    keys: list[str]


class Audience(Struct):
    """A live GET. ``varies`` is what tells its subscribers from others': nothing, where it is the same for everyone;
    ``age`` are the seconds since the url said so."""

    url: str
    subscribers: int
    varies: list[str]
    reads: list[Dependency]
    reads_omitted: int
    reruns: int
    saved: int
    age: float


class Part(Struct):
    """Some of the audiences of an event loop, and figures of all of them. There are ``parts`` of these."""

    loop: str
    process: str
    part: int
    parts: int
    total: int
    subscribers: int
    reruns: int
    saved: int
    audiences: list[Audience]


_decoder = msgspec.json.Decoder(Part)


def part_in(payload: bytes) -> Part:
    """Raises ValueError for what is none."""
    return _decoder.decode(payload)


async def parts(queries: Queries, loop: str, most: int) -> AsyncIterator[bytes]:
    """Tell of the audiences of this event loop, those with most subscribers first. The loop goes on meanwhile."""
    everything = queries.all()
    chosen = heapq.nlargest(min(most, MOST), everything, key=lambda query: len(query.members))
    told = Part(
        loop=loop,
        process=f"{socket.gethostname()}:{os.getpid()}",
        part=0,
        parts=max(1, -(-len(chosen) // PART)),
        total=len(everything),
        subscribers=sum(len(query.members) for query in everything),
        reruns=queries.reruns,
        saved=queries.saved,
        audiences=[],
    )
    for number in range(told.parts):
        now = asyncio.get_running_loop().time()
        some = chosen[number * PART : (number + 1) * PART]
        told.part, told.audiences = number, [_audience(query, now) for query in some]
        yield msgspec.json.encode(told)
        await asyncio.sleep(0)


def _audience(query: Query, now: float) -> Audience:
    name = next((watcher.name for watcher in query.members), "")
    return Audience(
        url=_shown(name),
        subscribers=len(query.members),
        varies=list(_varying(query.varies)),
        reads=list(_dependencies(query.reads)),
        reads_omitted=max(0, len(query.reads) - MOST_TABLES),
        reruns=query.reruns,
        saved=query.saved,
        age=round(max(0.0, now - query.answered), 3),
    )


def _dependencies(reads: Tables) -> Iterator[Dependency]:
    for table in sorted(reads)[:MOST_TABLES]:
        rows = reads[table]
        if rows is None:
            yield Dependency(table, None, [])
        else:
            numbers = sorted(int(row) for row in rows if row.isdecimal() and len(row) < 20)
            yield Dependency(table, len(rows), [str(number) for number in numbers[:MOST_KEYS]])


def _varying(varies: Varies) -> Iterator[str]:
    if varies.alone:
        yield "connection"
    if varies.identity:
        yield "user"
    for name in sorted(varies.cookies):
        yield f"cookie {name}"
    for key in sorted(varies.meta):
        header = key.removeprefix("HTTP_")
        yield key if header == key else f"header {header.replace('_', '-').lower()}"


def _shown(url: str) -> str:
    path, question_mark, query = url.partition("?")
    harmless = f"{path}{question_mark}{'&'.join(map(_parameter, query.split('&')))}"
    return harmless if len(harmless) <= MOST_URL else f"{harmless[: MOST_URL - 3]}..."


def _parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if len(value) > MOST_VALUE or (value and _SECRET.search(unquote_plus(name))):
        value = "***"
    return f"{name}{equals}{value}"
