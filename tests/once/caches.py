"""Django's cache in memory, as a test wants it: it can be waited for, and it can fail."""

from __future__ import annotations

from django.core.cache.backends.locmem import LocMemCache
from django.db import connection

from tests.project.gates import Tally


class Broken(Exception):
    """As from a server that is gone."""


class WatchedCache(LocMemCache):
    """``looks`` counts the looks of repeats at what is kept; the calls in ``broken`` raise."""

    looks = Tally()
    broken: set[str] = set()
    in_transaction: list[bool] = []

    def add(self, *args, **kwargs):
        self._note("add")
        return super().add(*args, **kwargs)

    def set(self, *args, **kwargs):
        self._note("set")
        return super().set(*args, **kwargs)

    def delete(self, *args, **kwargs):
        self._note("delete")
        return super().delete(*args, **kwargs)

    def get_many(self, *args, **kwargs):
        found = super().get_many(*args, **kwargs)
        type(self).looks.add()
        return found

    def _note(self, name):
        self.in_transaction.append(connection.in_atomic_block)
        if name in self.broken:
            raise Broken(name)
