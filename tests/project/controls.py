"""Views that a test steers, and views that do what no view should."""

from __future__ import annotations

import asyncio
import sys
import threading

from django.db import connection
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from tests.project.gates import gates
from tests.project.models import Note


def gate(request, name):
    """Waits until the gate is opened."""
    gates[name].pass_()
    return HttpResponse(f"through {name}")


async def agate(request, name):
    await gates[name].apass()
    return HttpResponse(f"through {name}")


def who_at_gate(request, name):
    """Knows who it is before the gate, and answers behind it."""
    user = str(request.user)
    gates[name].pass_()
    return JsonResponse({"user": user})


async def awho_at_gate(request, name):
    user = str(await request.auser())
    await gates[name].apass()
    return JsonResponse({"user": user})


async def stubborn(request, name):
    """Does not let itself be cancelled before the gate is open."""
    gates[name].entered.add()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        gates[name].cancelled.add()
        await asyncio.to_thread(gates[name].pass_)
    return HttpResponse("never mind")


def open_gate(request, name):
    gates[name].open()
    return HttpResponse(f"opened {name}")


def chunks(request, name, count, size):
    """A stream that counts what was asked of it in ``entered``, and says in ``left`` that it was closed."""

    def parts():
        try:
            for _ in range(count):
                gates[name].entered.add()
                yield b"x" * size
        finally:
            gates[name].left.add()

    return StreamingHttpResponse(parts())


async def achunks(request, name, count, size):
    async def parts():
        try:
            for _ in range(count):
                gates[name].entered.add()
                yield b"x" * size
        except asyncio.CancelledError:
            gates[name].cancelled.add()
            raise
        finally:
            gates[name].left.add()

    return StreamingHttpResponse(parts())


async def endless(request, name):
    """A stream that never ends, and never lets go of the event loop by itself."""

    async def parts():
        try:
            while True:
                gates[name].entered.add()
                yield b"x" * 1000
        finally:
            gates[name].left.add()

    return StreamingHttpResponse(parts())


def gated_stream(request, name):
    """Says "first", and the rest once the gate is open."""

    def parts():
        try:
            yield "first"
            gates[name].pass_()
            yield "second"
        finally:
            gates[name].cancelled.add()

    return StreamingHttpResponse(parts())


async def agated_stream(request, name):
    async def parts():
        yield "first"
        await gates[name].apass()
        yield "second"

    return StreamingHttpResponse(parts())


def broken_stream(request):
    def parts():
        yield "so far so good"
        raise RuntimeError("a secret")

    return StreamingHttpResponse(parts())


async def abroken_stream(request):
    async def parts():
        yield "so far so good"
        raise RuntimeError("a secret")

    return StreamingHttpResponse(parts())


def leave(request):
    sys.exit("a secret")


async def aleave(request):
    sys.exit("a secret")


def interrupt(request):
    raise KeyboardInterrupt


async def cancels_itself(request):
    raise asyncio.CancelledError


def lose_database(request):
    """Closes the connection under the feet of whoever comes next."""
    Note.objects.count()
    connection.close()
    return HttpResponse("closed")


def break_transaction(request):
    """Leaves a transaction open."""
    connection.set_autocommit(False)
    Note.objects.create(slug="left-open")
    return HttpResponse("left open")


def database_thread(request):
    """The name of the thread that used the database here; it waits at a gate so that every thread gets its turn."""
    Note.objects.count()
    gates[request.GET["gate"]].pass_()
    if "close" in request.GET:
        connection.close()
    return HttpResponse(threading.current_thread().name)
