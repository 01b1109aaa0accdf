"""What a message leaves on its thread (a tenant in a ``threading.local``, a cursor, a transaction) is its own, from its
first hook to the last chunk of its stream, however many others run on however few threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.signals import request_started
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.decorators import sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

from tests.lifecycle import support
from tests.lifecycle.fixtures import MakeRunner

WORKERS = 2
MESSAGES = 24

tenant = threading.local()


def name() -> str:
    return f"{getattr(tenant, 'name', None)} "


def _sign(response: HttpResponseBase) -> HttpResponseBase:
    response["x-tenant"] = name()
    return response


class Hooks(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        tenant.name = request.headers["x-tenant"]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        return _sign(response)


class RequestHook(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        tenant.name = request.headers["x-tenant"]


class ResponseHook(MiddlewareMixin):
    """On the other side of an asynchronous middleware: a hop of its own."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        return _sign(response)


@sync_only_middleware
def around(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        tenant.name = request.headers["x-tenant"]
        return _sign(get_response(request))

    return middleware


def _wait() -> str:
    """Some time in which others have their turn."""
    before = name()
    threading.Event().wait(0.001)
    return before + name()


def sync(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_wait())


async def asynchronous(request: HttpRequest) -> HttpResponse:
    seen = ""
    for _ in range(3):
        seen += await sync_to_async(_wait)()
        await asyncio.sleep(0.001)
    return HttpResponse(seen)


def _parts() -> Iterator[str]:
    for _ in range(3):
        yield _wait()


async def _aparts() -> AsyncIterator[str]:
    for _ in range(3):
        yield await sync_to_async(_wait)()
        await asyncio.sleep(0.001)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts())


async def astream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_aparts())


def stream_of_async_parts(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_aparts())


async def astream_of_sync_parts(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts())


class Meeting:
    """A view that answers when so many are in it at once."""

    wanted: ClassVar[int]
    here: ClassVar[int]
    all_here: ClassVar[asyncio.Event]

    @classmethod
    def of(cls, wanted: int) -> None:
        cls.wanted, cls.here, cls.all_here = wanted, 0, asyncio.Event()

    @classmethod
    async def view(cls, request: HttpRequest) -> HttpResponse:
        cls.here += 1
        if cls.here == cls.wanted:
            cls.all_here.set()
        await cls.all_here.wait()
        return HttpResponse(await sync_to_async(_wait)())


def _rows() -> Iterator[str]:
    for user in User.objects.order_by("username").iterator(chunk_size=2):
        yield f"{user.username} "


def _in_transaction() -> Iterator[str]:
    with transaction.atomic():
        User.objects.create(username="first")
        yield "first "
        assert connection.in_atomic_block
        User.objects.create(username="second")
        yield "second "
    yield str(User.objects.filter(username__in=["first", "second"]).count())


def rows(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_rows())


async def arows(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_rows())


def in_transaction(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_in_transaction())


async def ain_transaction(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_in_transaction())


def count(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(User.objects.count()))


async def acount(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await User.objects.acount()))


urlpatterns = [
    path("sync/", sync),
    path("async/", asynchronous),
    path("stream/", stream),
    path("astream/", astream),
    path("stream-of-async-parts/", stream_of_async_parts),
    path("astream-of-sync-parts/", astream_of_sync_parts),
    path("meeting/", Meeting.view),
    path("rows/", rows),
    path("arows/", arows),
    path("in-transaction/", in_transaction),
    path("ain-transaction/", ain_transaction),
    path("count/", count),
    path("acount/", acount),
]

VIEWS = [
    "/sync/",
    "/async/",
    "/stream/",
    "/astream/",
    "/stream-of-async-parts/",
    "/astream-of-sync-parts/",
]
MINE = "tests.lifecycle.test_own_thread"
CHAINS = {
    "hooks": [f"{MINE}.Hooks"],
    "around": [f"{MINE}.around"],
    "apart": [f"{MINE}.ResponseHook", "tests.lifecycle.middleware.mode", f"{MINE}.RequestHook"],
    "within": ["tests.lifecycle.middleware.ThreadNote", f"{MINE}.around", f"{MINE}.Hooks"],
}


@pytest.fixture(autouse=True)
def own_urls(settings: Any) -> None:
    settings.ROOT_URLCONF = MINE


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("url", [*VIEWS, "all"])
async def test_what_a_middleware_left_is_there_to_the_end(
    make_runner: MakeRunner, settings: Any, chain: str, url: str
) -> None:
    settings.MIDDLEWARE = CHAINS[chain]
    runner = make_runner(WORKERS)
    urls = [url] if url != "all" else VIEWS
    recorders = [
        support.start(runner, urls[number % len(urls)], headers={"x-tenant": f"t{number}"})
        for number in range(MESSAGES)
    ]
    for number, recorder in enumerate(recorders):
        await recorder.wait()
        assert recorder.errors == []
        assert set(recorder.text.split()) == {f"t{number}"}
        (head,) = recorder.heads or recorder.replies
        assert head.headers["x-tenant"].strip() == f"t{number}"
    assert not any(worker.leased for worker in runner.pool.workers)


@pytest.mark.parametrize("url", VIEWS)
async def test_what_a_receiver_left_is_there_too(
    make_runner: MakeRunner, settings: Any, url: str
) -> None:
    def receiver(environ: dict[str, Any], **kwargs: Any) -> None:
        tenant.name = environ["HTTP_X_TENANT"]

    with support.listening(request_started, receiver):
        settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
        runner = make_runner(WORKERS)
        recorders = [
            support.start(runner, url, headers={"x-tenant": f"t{number}"})
            for number in range(MESSAGES)
        ]
        for number, recorder in enumerate(recorders):
            assert set((await recorder.wait()).text.split()) == {f"t{number}"}


@pytest.mark.parametrize("chain", CHAINS)
async def test_more_async_views_than_workers_under_sync_middleware(
    make_runner: MakeRunner, settings: Any, chain: str
) -> None:
    """Each holds a thread while it waits for the others: fewer threads than messages would be a deadlock."""
    settings.MIDDLEWARE = CHAINS[chain]
    Meeting.of(12)
    runner = make_runner(WORKERS)
    recorders = [
        support.start(runner, "/meeting/", headers={"x-tenant": f"t{number}"})
        for number in range(12)
    ]
    for number, recorder in enumerate(recorders):
        assert set((await recorder.wait()).text.split()) == {f"t{number}"}


class HeldUp(support.Recorder):
    """Takes no second chunk before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = asyncio.Event()

    async def chunk(self, chunk: bytes) -> None:
        await super().chunk(chunk)
        await self.may_go.wait()


@pytest.fixture
def users(transactional_db: None) -> None:
    User.objects.bulk_create([User(username=f"u{number:03}") for number in range(500)])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/rows/", [f"u{number:03}" for number in range(500)]),
        ("/arows/", [f"u{number:03}" for number in range(500)]),
        ("/in-transaction/", ["first", "second", "2"]),
        ("/ain-transaction/", ["first", "second", "2"]),
    ],
)
async def test_a_stream_keeps_its_cursor_and_its_transaction(
    make_runner: MakeRunner, users: None, url: str, expected: list[str]
) -> None:
    """With CONN_MAX_AGE 0 each other request closes its connection as it ends; not that of the stream."""
    runner = make_runner(1)
    recorder = HeldUp()
    message = support.message(url)
    runner.start(support.call(message), contextvars.copy_context(), recorder)
    await asyncio.wait_for(recorder.got_chunk.wait(), support.PATIENCE)
    for other in ("/count/", "/acount/") * 5:
        assert (await support.run(runner, other)).text == "500"  # and no half of a transaction
    recorder.may_go.set()
    others = [support.start(runner, "/count/") for _ in range(20)]
    await recorder.wait()
    assert recorder.errors == []
    assert recorder.text.split() == expected
    for one in others:
        assert (await one.wait()).text in ("500", "502")


async def test_streams_in_flight_leave_the_workers_to_others(make_runner: MakeRunner) -> None:
    """A stream whose peer is slow holds a thread of its own, and none of the pool's."""
    runner = make_runner(1)
    held_up = [HeldUp() for _ in range(6)]
    for number, recorder in enumerate(held_up):
        message = support.message(VIEWS[2 + number % 4])
        runner.start(support.call(message), contextvars.copy_context(), recorder)
        await asyncio.wait_for(recorder.got_chunk.wait(), support.PATIENCE)
    for url in ("/sync/", "/async/") * 3:
        assert (await support.run(runner, url)).status == 200
    for recorder in held_up:
        recorder.may_go.set()
        assert len((await recorder.wait()).chunks) == 3
    assert not any(worker.leased for worker in runner.pool.workers)
