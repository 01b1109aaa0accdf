"""``Model.save()``, with and without somebody who looks what is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db import transaction

from benchmarks.live.costs import AGAIN, BARE, INSTALLED, Way, Wrappers
from benchmarks.live.in_process import somebody_watches
from benchmarks.live.project.models import Entry

Cases = Iterator[tuple[str, Mapping[str, Way]]]


def cases_of_saves(wrappers: Wrappers, *, over_valkey: bool) -> Cases:
    """Where all is in one process it makes a difference whether anybody there watches anything."""
    if over_valkey:
        yield from _cases("Valkey", wrappers)
        return
    yield from _cases("memory, nobody watches", wrappers)
    with somebody_watches("/others/"):
        yield from _cases("memory, others are watched", wrappers)


def _cases(where: str, wrappers: Wrappers) -> Cases:
    entry = Entry.objects.create(title="Title", text="Text. " * 20, author_id=1)

    def update() -> None:
        entry.number += 1
        entry.save()

    def insert() -> None:
        Entry(title="Title", text="Text. " * 20, author_id=1).save()

    def within(save: Way) -> Way:
        def saved() -> None:
            with transaction.atomic():
                save()

        return saved

    for what, save in (("update", update), ("insert", insert)):
        for how, call in (("autocommit", save), ("in atomic()", within(save))):
            yield (
                f"{where}: {what}, {how}",
                {
                    BARE: wrappers.without(call),
                    AGAIN: wrappers.without(call),
                    INSTALLED: wrappers.within(call),
                },
            )
    wrappers.without(Entry.objects.all().delete)()
