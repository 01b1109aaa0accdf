"""The lifecycle pass of a GET, as a live one is run again, and as any other is answered."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping

from django.conf import settings

from benchmarks.live.costs import AGAIN, BARE, INSTALLED, TRACKED, Way, Wrappers
from wsrequest.conf import get_settings
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.handler import sync_handler
from wsrequest.lifecycle.request import RequestFactory, SocketRequest
from wsrequest.lifecycle.response import Reply
from wsrequest.livequery.look import Look
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Request

#: Path, and its name in the report.
CASES = (
    ("/items/", "a user's list, 3 queries"),
    ("/public/", "everybody's list, 1 query"),
    ("/one-by-one/", "a user's list, 23 queries"),
)


def cases_of_gets(session: str, wrappers: Wrappers) -> Iterator[tuple[str, Mapping[str, Way]]]:
    cookie = f"{settings.SESSION_COOKIE_NAME}={session}"
    handshake = Handshake(
        path="/ws/",
        headers=(
            (b"host", b"127.0.0.1"),
            (b"origin", b"http://127.0.0.1"),
            (b"user-agent", b"wsrequest-bench"),
            (b"cookie", cookie.encode()),
        ),
    )
    factory = RequestFactory(handshake, get_settings())
    omitted = frozenset(get_settings().omit_response_headers)
    for path, name in CASES:
        message = Request(url=path, method="GET")

        def call_of(message: Request = message) -> Call:
            return Call(factory, message, cookie, trusted=True, omitted=omitted, codec=JSONCodec())

        def get(call_of: Callable[[], Call] = call_of) -> None:
            contextvars.copy_context().run(answer, call_of())

        def look(call_of: Callable[[], Call] = call_of) -> None:
            seen = Look(call_of(), None, 0, rerun=True)
            contextvars.copy_context().run(answer, seen.call)
            if not seen.reads.tables:
                raise RuntimeError("Nothing was tracked.")

        yield (
            name,
            {
                BARE: wrappers.without(get),
                AGAIN: wrappers.without(get),
                INSTALLED: wrappers.within(get),
                TRACKED: wrappers.within(look),
            },
        )


def answer(call: Call) -> Reply:
    """What a thread of the pool does for a message."""
    request = call.request()
    assert isinstance(request, SocketRequest)
    response = sync_handler().respond(request)
    try:
        reply = call.reply(response)
    finally:
        response.close()
    if reply.status != 200 or len(bytes(reply.data)) < 2_000:  # type: ignore[arg-type]
        raise RuntimeError(f"No list: {reply}")
    return reply
