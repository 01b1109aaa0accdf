"""Synchronous code of a test: on a thread of its own, with Django connections that are closed afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from django.db import connections, transaction

from tests.push.postgres.fixtures import ALIAS, forget_connection

T = TypeVar("T")


async def on_thread(function: Callable[..., T], *arguments: Any) -> T:
    def run() -> T:
        try:
            return function(*arguments)
        finally:
            forget_connection()

    return await asyncio.to_thread(run)


def execute(query: str, *parameters: Any) -> list[Any]:
    """On this thread's connection of Django's; rows of what gives any."""
    with closing(connections[ALIAS].cursor()) as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []


async def until_it_is(rows: list[Any], query: str, *parameters: Any) -> None:
    """Ask until this is the answer."""
    async with asyncio.timeout(30):
        while await on_thread(execute, query, *parameters) != rows:
            pass


@contextmanager
def table_locked() -> Iterator[None]:
    """Nobody gets at the members; the lock is another thread's."""
    locked, free = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(using=ALIAS):
            execute("LOCK TABLE wsrequest_member")
            locked.set()
            free.wait(30)
        forget_connection()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(30)
    try:
        yield
    finally:
        free.set()
        thread.join()
